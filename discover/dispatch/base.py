"""The contract of a dispatcher: where a job runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class JobState(StrEnum):
    """What a scheduler says of a job; `lost` is gone without an exit record, `unknown` no answer."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class JobStatus:
    """State of one job; `exit_code` and the times (seconds since the epoch) where they are known.

    `retryable` is False where the same job would end the same way: it hit its wall time or a user
    cancelled it.
    """

    state: JobState
    exit_code: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    reason: str | None = None
    retryable: bool = True


class Dispatcher(Protocol):
    """Runs job directories; polls its scheduler itself and holds no state that a restart would lose."""

    def submit(self, directory: Path) -> str:
        """Start (or queue) the job in this directory and return its native id.

        A job of this directory that is still queued or running is not started again: its id is
        returned.
        """
        ...

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """State of each (native id, directory), in the same order."""
        ...

    def cancel(self, native_id: str, directory: Path) -> None:
        """End a job with all its processes; no error where it has ended already."""
        ...
