"""The process beside every local job: it waits for a slot, runs the job and records its end.

Started detached by `discover.dispatch.local`, it needs nobody afterwards. All there is to know of a
job stands in its directory:

- `job.lock` is locked for as long as this process or the job lives: it came locked from whoever
  submitted the job, and the kernel frees it when the last process that inherited it is gone.
- `native_id` names this process.
- `started.json` names the job's own process, which leads a process group, and when it started.
- `exit.json` says how and when it ended; the keys are those of `JobStatus`.
- `job.log` has the output of all attempts.

Beside the slots of its campaign a job takes one of the machine's, where `discover up --jobs` or
`DISCOVER_LOCAL_JOBS` caps the jobs of all campaigns together.

Imports the standard library and what needs nothing else, so that it starts fast.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from discover.files import write_atomically
from discover.home import home
from discover.processes import Process

LOCK, NATIVE_ID, STARTED, EXIT, LOG = (
    "job.lock",
    "native_id",
    "started.json",
    "exit.json",
    "job.log",
)
CANCELLED = "cancelled"
MACHINE_JOBS = "DISCOVER_LOCAL_JOBS"
GRACE_SECONDS = 5.0
POLL_SECONDS = 0.05


def wall_time_reason(wall_seconds: float) -> str:
    """Why a job was ended that ran for too long."""
    return f"its wall time of {wall_seconds / 60:g} min was over"


def record_exit(
    directory: Path,
    *,
    exit_code: int | None,
    started_at: float | None,
    reason: str | None,
    retryable: bool,
) -> None:
    """Write `exit.json`, whole or not at all."""
    end = {
        "exit_code": exit_code,
        "started_at": started_at,
        "ended_at": time.time(),
        "reason": reason,
        "retryable": retryable,
    }
    write_atomically(directory / EXIT, json.dumps(end))


def machine_cap_file() -> Path:
    """Holds how many local jobs of all campaigns may run at once; absent where there is no such cap."""
    return home() / "local-jobs"


def machine_cap() -> int | None:
    """Local jobs of all campaigns that may run at once; None where no cap is set."""
    told = os.environ.get(MACHINE_JOBS)
    if told is None:
        with suppress(OSError):
            told = machine_cap_file().read_text(encoding="utf-8")
    number = (told or "").strip()
    return int(number) if number.isdecimal() and int(number) > 0 else None


class Cancellation:
    """Whether somebody asked this process, by SIGTERM, to end its job."""

    def __init__(self) -> None:
        self.requested = False
        signal.signal(signal.SIGTERM, self._request)

    def _request(self, _signal: int, _frame: FrameType | None) -> None:
        self.requested = True


def main() -> None:
    """Run the job of a directory from the wait for a slot to the record of its end."""
    parser = argparse.ArgumentParser(prog="python -m discover.dispatch.local_job")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--lock", type=int, required=True, help="descriptor of the locked job.lock")
    parser.add_argument("--slots", type=Path, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--wall-seconds", type=float, required=True)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()

    cancellation = Cancellation()
    write_atomically(given.directory / NATIVE_ID, str(Process.of(os.getpid())))
    locks = _take_slots(given.slots, given.jobs, cancellation)
    if locks is None:
        record_exit(
            given.directory, exit_code=None, started_at=None, reason=CANCELLED, retryable=False
        )
        return

    started_at = time.time()
    job = _start(given.command, given.directory, given.threads, (given.lock, *locks))
    try:
        started = {"process": str(Process.of(job.pid)), "started_at": started_at}
        write_atomically(given.directory / STARTED, json.dumps(started))
        early_end = _watch(job, given.wall_seconds, cancellation)
    finally:
        exit_code = _end(job)
    record_exit(
        given.directory,
        exit_code=exit_code,
        started_at=started_at,
        reason=early_end or _describe(exit_code),
        retryable=early_end is None,
    )


def _take_slots(directory: Path, jobs: int, cancellation: Cancellation) -> list[int] | None:
    """Locked slots of the campaign and, where it is capped, of the machine; None where cancelled."""
    places = [(directory, jobs)]
    if cap := machine_cap():
        places.append((home() / "slots", cap))
        places[1][0].mkdir(parents=True, exist_ok=True)
    taken = []
    for place, number in places:
        slot = _take_slot(place, number, cancellation)
        if slot is None:
            return None
        taken.append(slot)
    return taken


def _take_slot(directory: Path, jobs: int, cancellation: Cancellation) -> int | None:
    """The locked descriptor of a free slot, as soon as there is one; None where cancelled."""
    slots = [os.open(directory / f"slot-{k}", os.O_RDWR | os.O_CREAT, 0o666) for k in range(jobs)]
    while not cancellation.requested:
        for slot in slots:
            with suppress(BlockingIOError):
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return slot
        time.sleep(POLL_SECONDS)
    return None


def _start(
    command: list[str], directory: Path, threads: int, locks: tuple[int, ...]
) -> subprocess.Popen[bytes]:
    """The job in a process group of its own, holding the locks of directory and slot as well."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
    return subprocess.Popen(
        [*command, str(directory)],
        cwd=directory,
        env=os.environ | dict.fromkeys(names, str(threads)),
        stdin=subprocess.DEVNULL,
        pass_fds=locks,
        process_group=0,
    )


def _watch(
    job: subprocess.Popen[bytes], wall_seconds: float, cancellation: Cancellation
) -> str | None:
    """Wait for the end of the job; the reason where it must be ended before."""
    deadline = time.monotonic() + wall_seconds
    while job.poll() is None:
        if cancellation.requested:
            return CANCELLED
        if time.monotonic() > deadline:
            return wall_time_reason(wall_seconds)
        time.sleep(POLL_SECONDS)
    return None


def _end(job: subprocess.Popen[bytes]) -> int:
    """End what is left of the job, MPI ranks it may have left behind included; its exit code."""
    if job.poll() is None:
        _signal_group(job.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            job.wait(GRACE_SECONDS)
    _signal_group(job.pid, signal.SIGKILL)
    return job.wait()


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


def _describe(exit_code: int) -> str | None:
    if exit_code == 0:
        return None
    if exit_code > 0:
        return f"it ended with exit code {exit_code}"
    return f"it was killed by {signal.Signals(-exit_code).name}"


if __name__ == "__main__":
    main()
