"""From the `dispatch` section of a campaign file to a dispatcher."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from discover import plugins
from discover.campaign import Dispatch
from discover.dispatch.base import Dispatcher
from discover.errors import MachineError


def make_dispatcher(settings: Dispatch, slots: Path, base: Path) -> Dispatcher:
    """The dispatcher of a campaign; file plug-ins are relative to `base`.

    PluginError where there is none of this name, MachineError where it needs a machine profile, or
    another one, MissingDependencyError where the scheduler's programs are not installed here.
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
