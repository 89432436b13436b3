"""What a job asks its scheduler for, and the script that is handed over."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from pathlib import Path

from discover.dispatch import submission as noted
from discover.dispatch.machines import MachineProfile
from discover.dispatch.scheduler import Request, Scheduler
from discover.dispatch.scripts import body
from discover.dispatch.submission import Submission
from discover.files import write_atomically

COMMAND = ("-m", "discover.calculations")


@dataclass(frozen=True)
class Asking:
    """From a machine profile to requests; `threads` and `wall_time_minutes` hold where it gives none."""

    profile: MachineProfile
    scheduler: Scheduler
    threads: int
    wall_time_minutes: float

    def request(self, directory: Path, submission: Submission) -> Request:
        """What the job in this directory asks for, with what it was given more of than usual."""
        retry = self.profile.retry
        resources = self.profile.asked(*noted.kind_and_engine(directory))
        memory = resources.memory_per_node_gb
        if memory is not None:
            memory = _at_most(memory * submission.larger, retry.max_memory_per_node_gb, memory)
        usual = resources.wall_time_minutes or self.wall_time_minutes
        minutes = _at_most(usual * submission.longer, retry.max_wall_time_minutes, usual)
        return Request(
            token=submission.token,
            resources=resources,
            cores_per_task=resources.cores_per_task or self.threads,
            wall_seconds=math.ceil(60 * minutes),
            memory_per_node_mb=None if memory is None else math.ceil(1000 * memory),
        )

    def grown(self, directory: Path, previous: Submission, cause: str) -> dict[str, float]:
        """What changes in the next submission after this end; empty where there is no more to give."""
        retry = self.profile.retry
        factors = {
            "time": ("longer", retry.wall_time_factor),
            "memory": ("larger", retry.memory_factor),
        }
        if cause not in factors or previous.grown >= retry.times:
            return {}
        key, factor = factors[cause]
        update = {key: getattr(previous, key) * factor, "grown": previous.grown + 1}
        before = self.request(directory, previous)
        after = self.request(directory, previous.model_copy(update=update))
        more = (after.wall_seconds, after.memory_per_node_mb or 0) > (
            before.wall_seconds,
            before.memory_per_node_mb or 0,
        )
        return update if more else {}

    def prepare(self, directory: Path, previous: Submission | None, cause: str) -> Submission:
        """A new submission, not noted yet, with more time or memory where `cause` ended the last one."""
        submission = Submission(token=noted.new_token())
        if previous is None:
            return submission
        noted.revoke(directory, previous.token)  # the scheduler may yet start it again
        growth = {"longer": previous.longer, "larger": previous.larger, "grown": previous.grown}
        return submission.model_copy(update=growth | self.grown(directory, previous, cause))

    def write_script(self, directory: Path, submission: Submission, *, header: bool = True) -> None:
        """Put `job.sh` into the directory; without a header for the scheduler where it is packed."""
        request = self.request(directory, submission)
        command = (request.resources.python, *COMMAND, str(directory))
        text = body(
            shlex.quote(str(directory)),
            submission.token,
            request.resources,
            request.cores_per_task,
            command,
        )
        script = self.scheduler.script(request, text) if header else f"#!/bin/bash\n{text}"
        write_atomically(directory / noted.SCRIPT, script)


def _at_most(value: float, limit: float | None, usual: float) -> float:
    """`value`, but no more than `limit`; what is asked for at first is not limited."""
    return value if limit is None else min(value, max(limit, usual))
