"""Jobs as detached processes of this machine, in a fixed number of slots."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from discover.calculations.job import RESULT
from discover.dispatch import local_job
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.local_job import EXIT, LOCK, LOG, NATIVE_ID, POLL_SECONDS, STARTED
from discover.errors import DispatchError
from discover.processes import Process

ANSWER_SECONDS = 20.0


class LocalDispatcher:
    """Runs at most `jobs` jobs at once on this machine; more of them wait for a slot.

    Each job has a process beside it (`discover.dispatch.local_job`) that outlives this one, and
    everything known of it is read off its directory, so any process may poll and cancel any job. A
    slot is a lock on a file in `slots_directory` that the kernel frees when its job is gone: the cap
    holds for all dispatchers that share the directory. Directories must lie on a local disk. `command`
    is what runs a job, given its directory: `python -m discover.calculations` by default.
    """

    def __init__(
        self,
        slots_directory: Path,
        jobs: Annotated[int, Field(ge=1)] = 1,
        threads: Annotated[int, Field(ge=1)] = 1,
        wall_time_minutes: Annotated[float, Field(gt=0)] = 60.0,
        command: Sequence[str] | None = None,
    ) -> None:
        self._slots_directory = slots_directory.absolute()
        self._jobs = jobs
        self._threads = threads
        self._wall_seconds = 60.0 * wall_time_minutes
        self._command = command or (sys.executable, "-m", "discover.calculations")
        self._children: list[subprocess.Popen[bytes]] = []

    def submit(self, directory: Path) -> str:
        """Start or queue the job in this directory; its native id.

        A job that is queued or running is not started again, nor is one that has its result. Raises
        DispatchError where no process can be started there.
        """
        self._reap()
        directory = directory.absolute()
        try:
            self._slots_directory.mkdir(parents=True, exist_ok=True)
            with (directory / LOCK).open("a") as lock:
                running = _lock_or_running_id(lock.fileno(), directory)
                if running is not None:
                    return running
                if (directory / RESULT).exists():
                    return _read_id(directory) or "finished"
                for left_over in (NATIVE_ID, STARTED, EXIT):
                    (directory / left_over).unlink(missing_ok=True)
                child = self._start(directory, lock.fileno())
        except OSError as error:
            raise DispatchError(f"{directory}: the job cannot be started: {error}") from error
        self._children.append(child)
        return str(Process.of(child.pid))

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """State of each (native id, directory), in the same order; `unknown` where it cannot be read."""
        self._reap()
        return [self._status(directory) for _, directory in jobs]

    def cancel(self, native_id: str, directory: Path) -> None:
        """End a job with all its processes; no error where it has ended already.

        DispatchError where its processes cannot be ended.
        """
        _end(directory, native_id, local_job.CANCELLED)

    def _start(self, directory: Path, lock: int) -> subprocess.Popen[bytes]:
        with (directory / LOG).open("ab") as log:
            log.write(
                f"=== submitted at {datetime.now(UTC).isoformat(timespec='seconds')}\n".encode()
            )
            log.flush()
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "discover.dispatch.local_job", str(directory)),
                    *("--lock", str(lock)),
                    *("--slots", str(self._slots_directory)),
                    *("--jobs", str(self._jobs)),
                    *("--threads", str(self._threads)),
                    *("--wall-seconds", str(self._wall_seconds)),
                    *("--", *self._command),
                ],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,
            )

    def _status(self, directory: Path) -> JobStatus:
        try:
            # The lock first: a job that ends in between has written its end by then.
            held = _is_held(directory)
            end = _read_json(directory / EXIT)
            if end is not None:
                return JobStatus(JobState.ENDED, **end)
            started = _read_json(directory / STARTED)
            started_at = None if started is None else float(started["started_at"])
            if held:
                if started_at is not None and self._is_overdue(directory, started_at):
                    _end(directory, "", local_job.wall_time_reason(self._wall_seconds))
                return JobStatus(
                    JobState.QUEUED if started_at is None else JobState.RUNNING,
                    started_at=started_at,
                )
            if (directory / RESULT).exists():
                return JobStatus(JobState.ENDED, started_at=started_at)
            return JobStatus(
                JobState.LOST, started_at=started_at, reason="its processes disappeared"
            )
        except (OSError, ValueError, TypeError, KeyError, DispatchError) as error:
            return JobStatus(JobState.UNKNOWN, reason=f"{directory}: {error}")

    def _is_overdue(self, directory: Path, started_at: float) -> bool:
        """Whether a job is out of time with nobody beside it who would end it."""
        beside = Process.parse(_read_id(directory) or "")
        return (
            time.time() - started_at > self._wall_seconds
            and beside is not None
            and not beside.is_alive
        )

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


def _lock_or_running_id(lock: int, directory: Path) -> str | None:
    """Lock the directory's job (None), or the native id of the one that has it locked."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        if _try_lock(lock, fcntl.LOCK_EX):
            return None
        if _try_lock(lock, fcntl.LOCK_SH):  # it was only being polled
            fcntl.flock(lock, fcntl.LOCK_UN)
        elif not (directory / EXIT).exists() and (running := _read_id(directory)):
            return running  # with its end on record it is only about to free the lock
        time.sleep(POLL_SECONDS)
    raise DispatchError(f"{directory / LOCK} is locked by something that is no job of ours")


def _end(directory: Path, native_id: str, reason: str) -> None:
    """End all processes of a job that is queued or running, and record why."""
    if not _is_held(directory):
        return
    beside = Process.parse(_read_id(directory) or native_id)
    if beside is not None and beside.is_alive:
        beside.send(signal.SIGTERM)
        _wait(local_job.GRACE_SECONDS + ANSWER_SECONDS, lambda: not beside.is_alive)
        beside.send(signal.SIGKILL)
    started = _read_json(directory / STARTED)
    job = Process.parse(started["process"]) if started else None
    if job is not None:
        job.send_to_group(signal.SIGKILL)
    _wait(ANSWER_SECONDS, lambda: not _is_held(directory))
    if _is_held(directory):
        raise DispatchError(
            f"{directory}: not all processes of the job could be ended; `fuser {LOCK}` names them"
        )
    _record_end(directory, reason, None if started is None else started["started_at"])


def _record_end(directory: Path, reason: str, started_at: float | None) -> None:
    """Record the end of a job that could not do so itself, unless it left a result."""
    with (directory / LOCK).open("a") as lock:
        if not _try_lock(lock.fileno(), fcntl.LOCK_EX):
            return  # it was submitted again in the meantime
        if not (directory / EXIT).exists() and not (directory / RESULT).exists():
            local_job.record_exit(
                directory, exit_code=None, started_at=started_at, reason=reason, retryable=False
            )


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(directory: Path) -> bool:
    """Whether a process of the job lives (a shared lock asks without being in a submission's way)."""
    try:
        with (directory / LOCK).open() as lock:
            return not _try_lock(lock.fileno(), fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _wait(seconds: float, condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds, at the latest after this time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _read_id(directory: Path) -> str | None:
    with suppress(FileNotFoundError):
        return (directory / NATIVE_ID).read_text(encoding="utf-8")
    return None


def _read_json(path: Path) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
    return None
