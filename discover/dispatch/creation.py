"""From the `dispatch` section of a campaign file to a dispatcher."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from discover import plugins
from discover.campaign import Dispatch
from discover.dispatch.base import Dispatcher
from discover.dispatch.machines import load_machine
from discover.dispatch.remote import RemoteDispatcher
from discover.errors import MachineError

SCHEDULERS = frozenset({"slurm", "pbs"})
"""Dispatchers that can be on another machine, reached by SSH."""


def make_dispatcher(settings: Dispatch, slots: Path, base: Path) -> Dispatcher:
    """The dispatcher of a campaign; file plug-ins are relative to `base`.

    PluginError where there is none of this name, MachineError where it needs a machine profile, or
    another one, MissingDependencyError where the scheduler's programs (or ssh and rsync) are not
    installed here.
    """
    factory = plugins.load("dispatchers", settings.name, base)
    machine = inspect.signature(factory).parameters.get("machine")
    options: dict[str, Any] = {}
    if settings.machine is not None:
        if machine is None:
            raise MachineError(
                f"the dispatcher {settings.name!r} takes no machine profile; remove dispatch.machine, or "
                "set dispatch.name to slurm or pbs"
            )
        if settings.name in SCHEDULERS and (profile := load_machine(settings.machine)).host:
            if profile.scheduler != settings.name:
                raise MachineError(
                    f"machine {settings.machine!r} is one of {profile.scheduler}, not of "
                    f"{settings.name}: set dispatch.name to {profile.scheduler!r}"
                )
            return RemoteDispatcher(slots, profile, settings.threads, settings.wall_time_minutes)
        options["machine"] = settings.machine
    elif machine is not None and machine.default is machine.empty:
        raise MachineError(
            f"the dispatcher {settings.name!r} needs the name of a machine profile as dispatch.machine; "
            "`discover machines list` shows those there are"
        )
    dispatcher: Dispatcher = factory(
        slots,
        jobs=settings.jobs,
        threads=settings.threads,
        wall_time_minutes=settings.wall_time_minutes,
        **options,
    )
    return dispatcher
