"""Whether the scheduler would take what a machine profile asks for, before anything is submitted."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from discover.dispatch.asking import Asking
from discover.dispatch.machines import MachineProfile
from discover.dispatch.packing import AllocationAsking
from discover.dispatch.scheduler import NoAnswerError
from discover.dispatch.submission import Submission, new_token

KEYS = {
    r"partition|queue": "queue",
    r"account": "account",
    r"qos": "qos",
    r"time": "wall_time_minutes",
    r"memory": "memory_per_node_gb",
    r"gres|generic resource|gpu": "gpus_per_node",
}
"""What a scheduler complains of, and the key that asks for it; anything else comes from directives."""


def refusals(asking: Asking, kinds: Iterable[tuple[str, str]]) -> list[str]:
    """What would be refused of jobs of these kinds (with their engines): key, value, what is said.

    Empty where all is well, and where the scheduler does not answer or cannot tell before a submission.
    """
    found: dict[str, None] = {}
    for kind, engine in kinds:
        bulk = asking.profile.bulk
        packed = bulk if bulk is not None and bulk.packs(kind, engine) else None
        asked: Asking = asking
        if packed is not None:
            asked = AllocationAsking(
                asking.profile, asking.scheduler, asking.threads, asking.wall_time_minutes, packed
            )
        try:
            said = _refusal(asked, kind, engine)
        except NoAnswerError:
            return []
        if said is not None:
            key = next(
                (key for what, key in KEYS.items() if re.search(what, said, re.IGNORECASE)),
                "directives",
            )
            section = "bulk.resources" if packed else _section(asking.profile, kind, engine, key)
            resources = packed.resources if packed else asking.profile.asked(kind, engine)
            given = getattr(resources, key)
            value = [*given] if isinstance(given, tuple) else given
            found[f"{section}.{key}: {asking.profile.scheduler} refuses {value!r}: {said}"] = None
    return list(found)


def _refusal(asking: Asking, kind: str, engine: str) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        (directory / "input.json").write_text(json.dumps({"kind": kind, "engine": engine}))
        request = asking.request(directory, Submission(token=new_token()))
        array = 1 if isinstance(asking, AllocationAsking) else None
        script = asking.scheduler.script(replace(request, array=array), "exit 0\n")
        return asking.scheduler.refusal(directory, script)


def _section(profile: MachineProfile, kind: str, engine: str, key: str) -> str:
    """The most special section of the profile that gives this key."""
    for name in (f"{kind}/{engine}", kind):
        if name in profile.kinds and key in profile.kinds[name].model_fields_set:
            return f"kinds.{name}"
    return "resources"
