"""The queue of packed jobs: a folder that dispatcher and allocations share, changed by renames alone.

    queue/STAMP-TOKEN.json                       a job that waits for a place
    allocations/NAME/claims/STAMP-TOKEN.json     a job that this allocation has taken
    allocations/NAME/submission.json ...         the allocation itself, kept like a job's directory
    allocations/NAME/closed                      it takes no more jobs
    past/NAME/                                   allocations that are over

A job is taken by one rename, which only one of several allocations can win, and put back by another.
Imports little, so that it starts fast on a compute node.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from discover.dispatch.submission import EXIT, Exit
from discover.files import write_atomically

CLAIMS, CLOSED = "claims", "closed"
CUT_OFF = "the end of its allocation cut it off {times} times: give bulk.resources more wall time"


class Packed(BaseModel):
    """One job in the queue: what it needs, and how often the end of an allocation cut it off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    directory: Path
    cores: int
    memory_mb: int | None
    wall_seconds: int
    cut_offs: int = 0


@dataclass(frozen=True)
class BulkFolder:
    """The folder; every method may be called by any process that sees it."""

    root: Path

    @property
    def allocations(self) -> Path:
        """Where each allocation has a directory."""
        return self.root / "allocations"

    def make(self) -> None:
        """Make the folder; OSError where that is not possible."""
        for name in ("queue", "allocations", "past"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def add(self, job: Packed) -> None:
        """Put a job at the end of the queue."""
        path = self.root / "queue" / f"{time.time_ns():020d}-{job.token}.json"
        write_atomically(path, job.model_dump_json())

    def waiting(self) -> dict[str, Path]:
        """The queue's files by token, first come first."""
        return {_token(path): path for path in sorted((self.root / "queue").glob("[0-9]*.json"))}

    def claimed(self) -> dict[str, Path]:
        """The files of jobs that allocations have taken, by token; NAME is two folders above."""
        found = self.allocations.glob(f"*/{CLAIMS}/*.json")
        return {_token(path): path for path in sorted(found)}

    def claims_of(self, allocation: str) -> list[Path]:
        """The files of the jobs that one allocation has taken."""
        return sorted((self.allocations / allocation / CLAIMS).glob("[0-9]*.json"))

    def claim(self, path: Path, allocation: str) -> Path | None:
        """Take a job out of the queue; None where another allocation was faster."""
        mine = self.allocations / allocation / CLAIMS / path.name
        mine.parent.mkdir(exist_ok=True)
        try:
            path.rename(mine)
        except FileNotFoundError:  # over NFS an answer that got lost may tell so of a success
            return mine if mine.exists() else None
        return mine

    def put_back(self, claim: Path, most_cut_offs: int) -> None:
        """Give a job back to the queue that the end of its allocation cut off.

        One that was cut off too often is not put back: its end is noted in its directory.
        """
        job = read(claim)
        if job is None:
            return
        end = Exit.of(job.directory, job.token)
        if end is None or not end.final:
            job = job.model_copy(update={"cut_offs": job.cut_offs + 1})
            if job.cut_offs > most_cut_offs:
                note_end(job, "cut off", CUT_OFF.format(times=job.cut_offs))
            elif _token(claim) not in self.waiting():
                write_atomically(self.root / "queue" / claim.name, job.model_dump_json())
        claim.unlink(missing_ok=True)

    def retire(self, allocation: str) -> None:
        """Put the directory of an allocation aside that is over."""
        with suppress(FileNotFoundError):
            (self.allocations / allocation).rename(self.root / "past" / allocation)


def read(path: Path) -> Packed | None:
    """The job of a file; None where somebody has taken the file away."""
    try:
        return Packed.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None


def note_end(job: Packed, cause: str, reason: str, exit_code: int | None = None) -> None:
    """Note how a job ended that could not do so itself, beside what its script may have noted."""
    known = Exit.of(job.directory, job.token)
    Exit(
        token=job.token,
        exit_code=exit_code if known is None else known.exit_code,
        signal=known and known.signal,
        started_at=known and known.started_at,
        ended_at=time.time(),
        verdict=True,
        cause=cause,
        reason=reason,
    ).write(job.directory / EXIT)


def added_at(path: Path) -> float:
    """When the job of a file was first put into the queue (seconds since the epoch)."""
    return int(path.stem.partition("-")[0]) / 1e9


def _token(path: Path) -> str:
    return path.stem.partition("-")[2]
