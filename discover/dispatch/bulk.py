"""What runs in an allocation for packed jobs: `python -m discover.dispatch.bulk`, in its directory.

It takes jobs out of the queue (`discover.dispatch.bulk_folder`) while cores and memory are free, runs
each by its own script `job.sh`, which notes start and end in the job's directory, and puts back what
is not done when the allocation's time is nearly over, for a later one to go on with. It ends when there
was nothing to do for a while. It needs the shared folder, no network and no database.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from discover.dispatch.bulk_folder import CLOSED, BulkFolder, Packed, note_end, read
from discover.dispatch.submission import SCRIPT, Exit, revoked

GRACE_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 0.5
CANCELLED = ("cancelled", "cancelled")

_log = logging.getLogger(__name__)


@dataclass
class _Running:
    job: Packed
    claim: Path
    process: subprocess.Popen[bytes]
    began: float
    ending: tuple[str, str] | None = None  # cause and reason
    killed_at: float = float("inf")

    def end(self, cause: str, reason: str) -> None:
        """Ask it to end; what does not listen is killed after a while."""
        if self.ending is None:
            self.ending = (cause, reason)
            self.killed_at = time.monotonic() + GRACE_SECONDS
            self.process.terminate()  # its script passes it on
        elif time.monotonic() > self.killed_at:
            self.kill()

    def kill(self) -> None:
        """End all its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass
class Allocation:
    """One allocation at work: `cores` and `memory_mb` (None: not counted) are what it has to give."""

    folder: BulkFolder
    name: str
    cores: int
    memory_mb: int | None
    ends_at: float
    idle_seconds: float
    most_cut_offs: int
    stop_requested: bool = False
    _running: list[_Running] = field(default_factory=list)

    def run(self) -> None:
        """Run jobs until the time is over, SIGTERM comes, or there was nothing to do for a while."""
        idle_since = time.monotonic()
        closed = self.folder.allocations / self.name / CLOSED
        while not self._is_over():
            self._look_after()
            self._take()
            if self._running:
                idle_since = time.monotonic()
            elif closed.exists():
                return
            elif time.monotonic() - idle_since > self.idle_seconds:
                closed.touch()  # and look once more: a job may have come that counts on this allocation
                continue
            time.sleep(LOOK_AGAIN_SECONDS)
        closed.touch()
        self._put_back()

    def _is_over(self) -> bool:
        return self.stop_requested or time.time() > self.ends_at

    def _take(self) -> None:
        for path in self.folder.waiting().values():
            free = self.cores - sum(running.job.cores for running in self._running)
            if free < 1:
                return
            job = read(path)
            if job is None or job.cores > free or not self._has_memory_for(job):
                continue
            claim = self.folder.claim(path, self.name)
            if claim is None:
                continue
            end = Exit.of(job.directory, job.token)
            if end is not None and end.final:
                claim.unlink()
                continue
            self._running.append(self._started(job, claim))

    def _has_memory_for(self, job: Packed) -> bool:
        taken = sum(running.job.memory_mb or 0 for running in self._running)
        return self.memory_mb is None or taken + (job.memory_mb or 0) <= self.memory_mb

    def _started(self, job: Packed, claim: Path) -> _Running:
        process = subprocess.Popen(
            ["/bin/bash", SCRIPT], cwd=job.directory, stdin=subprocess.DEVNULL, process_group=0
        )
        _log.info("%s started", job.directory.name)
        return _Running(job, claim, process, time.monotonic())

    def _look_after(self) -> None:
        """Note the ends, and end what was cancelled or ran for too long."""
        for running in list(self._running):
            job = running.job
            code = running.process.poll()
            if code is not None:
                self._note(running, code)
                running.claim.unlink(missing_ok=True)
                self._running.remove(running)
            elif is_revoked(job):
                running.end(*CANCELLED)
            elif time.monotonic() - running.began > job.wall_seconds:
                running.end("time", f"its wall time of {job.wall_seconds / 60:g} min was over")

    def _note(self, running: _Running, code: int) -> None:
        running.kill()  # what it may have left behind, such as MPI ranks
        job = running.job
        _log.info("%s ended with exit code %d", job.directory.name, code)
        if not job.directory.exists():  # its result was taken away, and it with that
            return
        end = Exit.of(job.directory, job.token)
        if running.ending is not None:
            note_end(job, *running.ending)
        elif end is None and is_revoked(job):  # its script saw that before anybody else
            note_end(job, *CANCELLED)
        elif end is None:
            killed = code == -signal.SIGKILL  # as a rule for too much memory
            reason = (
                "its script was killed" if killed else f"its script ended with exit code {code}"
            )
            note_end(job, "memory" if killed else "", reason, code)
        elif not end.final:  # the scheduler ends the allocation and was faster than this process
            self.folder.put_back(running.claim, self.most_cut_offs)

    def _put_back(self) -> None:
        """Ask what still runs to save itself, and give it back to the queue."""
        for running in self._running:
            running.process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(
            running.process.poll() is None for running in self._running
        ):
            time.sleep(0.1)
        for running in self._running:
            running.kill()
            running.process.wait()
            self.folder.put_back(running.claim, self.most_cut_offs)
            _log.info("%s was put back, the time is over", running.job.directory.name)


def is_revoked(job: Packed) -> bool:
    """Whether somebody cancelled it, or submitted it anew."""
    return (job.directory / revoked(job.token)).exists()


def main() -> None:
    """Serve as one allocation of a queue."""
    parser = argparse.ArgumentParser(prog="python -m discover.dispatch.bulk")
    parser.add_argument("--cores", type=int, required=True)
    parser.add_argument("--memory-mb", type=int)
    parser.add_argument("--seconds", type=float, required=True, help="until it stops by itself")
    parser.add_argument("--idle-seconds", type=float, required=True)
    parser.add_argument("--cut-offs", type=int, required=True)
    given = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    here = Path.cwd()
    allocation = Allocation(
        BulkFolder(here.parents[1]),
        here.name,
        given.cores,
        given.memory_mb,
        time.time() + given.seconds,
        given.idle_seconds,
        given.cut_offs,
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        allocation.stop_requested = True

    signal.signal(signal.SIGTERM, stop)
    allocation.run()


if __name__ == "__main__":
    main()
