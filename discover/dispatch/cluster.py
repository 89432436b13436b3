"""Jobs of a cluster's scheduler: each handed over once, polled together, never lost sight of."""

from __future__ import annotations

import fcntl
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from discover.calculations.job import RESULT
from discover.dispatch import submission as noted
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.machines import MachineProfile, load_machine
from discover.dispatch.queue_view import QueueView, View
from discover.dispatch.scheduler import NoAnswerError, Request, Scheduler
from discover.dispatch.scripts import body
from discover.dispatch.submission import Exit, Started, Submission
from discover.errors import DispatchError, MachineError
from discover.files import write_atomically

COMMAND = ("-m", "discover.calculations")
PATIENCE_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.5
SIGNALS_FROM = 128  # how a shell tells that a command was killed
WHY = {
    "time": "its wall time of {minutes:g} min was over",
    "memory": "it was killed for using more memory than it had asked for",
    "node": "its node failed",
    "preempted": "it had to make way for other jobs",
    "cancelled": "cancelled",
    "signalled": "the scheduler ended it early",
    "lost": "its job is gone without a record of its end; see scheduler.log",
}
Found = TypeVar("Found")


class ClusterDispatcher:
    """What dispatchers share that hand jobs to a scheduler; a child names its `scheduler`.

    All that is known of a job stands in its directory (`discover.dispatch.submission`), which login and
    compute nodes must share. The job script notes start and end itself; the scheduler is asked about
    jobs that noted no end. Where it does not answer, a job is unknown, and one that is to be submitted
    is handed over by the first `poll` after it answers again. A job that ran out of time or memory is
    `retryable` where the machine profile has more to give; the next `submit` then asks for it.

    `jobs` and `slots_directory` are not needed: the scheduler has its own queue. `threads` and
    `wall_time_minutes` hold where the profile gives none. MachineError where the profile is unfit.
    """

    scheduler: ClassVar[type[Scheduler]]

    def __init__(
        self,
        slots_directory: Path,  # noqa: ARG002
        machine: str | MachineProfile,
        jobs: Annotated[int, Field(ge=1)] = 1,  # noqa: ARG002
        threads: Annotated[int, Field(ge=1)] = 1,
        wall_time_minutes: Annotated[float, Field(gt=0)] = 60.0,
    ) -> None:
        self._profile = machine if isinstance(machine, MachineProfile) else load_machine(machine)
        if self._profile.scheduler != self.scheduler.name:
            raise MachineError(
                f"machine {machine!r} is one of {self._profile.scheduler}, not of {self.scheduler.name}: "
                f"set dispatch.name to {self._profile.scheduler!r}"
            )
        self._scheduler = self.scheduler(self._profile.answer_seconds)
        self._scheduler.check()
        self._threads = threads
        self._wall_time_minutes = wall_time_minutes
        self._queue = QueueView(self._scheduler, self._profile.poll_seconds)
        self._gone_since: dict[str, float] = {}

    # --- the contract of discover.dispatch.base.Dispatcher ------------------------------------------

    def submit(self, directory: Path) -> str:
        """Hand the job in this directory over; its native id, or its name where nobody answers.

        A job that is queued or running is not started again, nor is one that has its result. Raises
        DispatchError where the scheduler refuses it.
        """
        directory = directory.absolute()
        try:
            with _locked(directory):
                previous = Submission.of(directory)
                if (directory / RESULT).exists():
                    return (previous and previous.native_id) or "finished"
                if previous is not None and (running := self._under_way(directory, previous)):
                    return running
                submission = self._prepare(directory, previous)
                return self._hand_over(directory, submission)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be submitted: {error}") from error

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """State of each (native id, directory), in the same order; `unknown` where nobody answers."""
        directories = dict.fromkeys(directory.absolute() for _, directory in jobs)
        refused: dict[Path, JobStatus] = {}
        open_jobs: dict[str, float] = {}
        for directory in directories:
            try:
                submission = self._submitted(directory)
                if submission and submission.native_id and not _end(directory, submission):
                    open_jobs[submission.native_id] = submission.submitted_at or 0.0
            except (DispatchError, OSError, ValueError) as error:
                refused[directory] = _unreadable(error)
        view = self._view(open_jobs)
        told = {
            directory: refused.get(directory) or self._status(directory, view)
            for directory in directories
        }
        return [told[directory.absolute()] for _, directory in jobs]

    def cancel(self, native_id: str, directory: Path) -> None:  # noqa: ARG002 - the directory knows it
        """End a job; no error where it has ended already.

        DispatchError where the scheduler refuses, or does not answer for half a minute.
        """
        directory = directory.absolute()
        try:
            if Submission.of(directory) is None:
                return
            with _locked(directory):
                submission = Submission.of(directory)
                over = submission is None or _end(directory, submission) is not None
                if submission is None or over or (directory / RESULT).exists():
                    return
                noted.revoke(directory, submission.token)
                submission = submission.model_copy(update={"cancelled": True})
                submission.note(directory)
                self._cancel(directory, submission)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be cancelled: {error}") from error

    # --- submitting -------------------------------------------------------------------------------

    def _under_way(self, directory: Path, previous: Submission) -> str | None:
        """Native id (or name) of the job of this directory that is or may be queued or running."""
        if _end(directory, previous) is not None:
            return None
        try:
            submission = self._identified(directory, previous)
        except NoAnswerError as error:
            self._queue.note_silence(error)
            return previous.token
        if submission is None or submission.native_id is None:
            return None
        self._queue.forget()
        state = self._status(directory, self._view({submission.native_id: 0.0})).state
        if state in {JobState.ENDED, JobState.LOST}:
            return None
        if submission.cancelled:
            self._await_end(directory, submission)
            return None
        return submission.native_id

    def _identified(self, directory: Path, submission: Submission) -> Submission | None:
        """The submission with its native id, searched by name; None where it never arrived."""
        if submission.native_id is not None:
            return submission
        found = self._scheduler.find(submission.token)
        if not found:
            return None
        submission = submission.model_copy(
            update={"native_id": found[0], "submitted_at": time.time()}
        )
        submission.note(directory)
        return submission

    def _prepare(self, directory: Path, previous: Submission | None) -> Submission:
        """Note a new submission, with more time or memory where the last one ran out of it."""
        submission = Submission(token=noted.new_token())
        if previous is not None:
            noted.revoke(directory, previous.token)  # the scheduler may yet start it again
            growth = {"longer": previous.longer, "larger": previous.larger, "grown": previous.grown}
            end = _end(directory, previous)
            growth |= self._grown(directory, previous, end.cause if end else "")
            submission = submission.model_copy(update=growth)
        script = self._scheduler.script(
            self._request(directory, submission), self._body(directory, submission)
        )
        write_atomically(directory / noted.SCRIPT, script)
        submission.note(directory)
        return submission

    def _hand_over(self, directory: Path, submission: Submission) -> str:
        try:
            native_id = self._scheduler.submit(directory, noted.SCRIPT)
        except NoAnswerError as error:
            self._queue.note_silence(error)
            return submission.token
        update = {"native_id": native_id, "submitted_at": time.time()}
        submission.model_copy(update=update).note(directory)
        return native_id

    def _submitted(self, directory: Path) -> Submission | None:
        """The submission, handed over now where that was not possible before."""
        submission = Submission.of(directory)
        if submission is None or submission.native_id or submission.cancelled:
            return submission
        if not self._queue.backs_off and _end(directory, submission) is None:
            self.submit(directory)
            return Submission.of(directory)
        return submission

    # --- what a job asks for ------------------------------------------------------------------------

    def _request(self, directory: Path, submission: Submission) -> Request:
        retry = self._profile.retry
        resources = self._profile.asked(*noted.kind_and_engine(directory))
        memory = resources.memory_per_node_gb
        if memory is not None:
            memory = _at_most(memory * submission.larger, retry.max_memory_per_node_gb, memory)
        usual = resources.wall_time_minutes or self._wall_time_minutes
        minutes = _at_most(usual * submission.longer, retry.max_wall_time_minutes, usual)
        return Request(
            token=submission.token,
            resources=resources,
            cores_per_task=resources.cores_per_task or self._threads,
            wall_seconds=math.ceil(60 * minutes),
            memory_per_node_mb=None if memory is None else math.ceil(1000 * memory),
        )

    def _body(self, directory: Path, submission: Submission) -> str:
        request = self._request(directory, submission)
        command = (request.resources.python, *COMMAND)
        return body(directory, submission.token, request.resources, request.cores_per_task, command)

    def _grown(self, directory: Path, previous: Submission, cause: str) -> dict[str, float]:
        """What changes in the next submission after this end; empty where there is no more to give."""
        retry = self._profile.retry
        factors = {
            "time": ("longer", retry.wall_time_factor),
            "memory": ("larger", retry.memory_factor),
        }
        if cause not in factors or previous.grown >= retry.times:
            return {}
        key, factor = factors[cause]
        update = {key: getattr(previous, key) * factor, "grown": previous.grown + 1}
        before = self._request(directory, previous)
        after = self._request(directory, previous.model_copy(update=update))
        more = (after.wall_seconds, after.memory_per_node_mb or 0) > (
            before.wall_seconds,
            before.memory_per_node_mb or 0,
        )
        return update if more else {}

    # --- what became of it --------------------------------------------------------------------------

    def _view(self, submitted_at: dict[str, float]) -> View | NoAnswerError:
        try:
            return self._queue.of(submitted_at)
        except NoAnswerError as error:
            return error

    def _status(self, directory: Path, view: View | NoAnswerError) -> JobStatus:
        try:
            submission = Submission.of(directory)
            if submission is None:
                finished = (directory / RESULT).exists()
                return JobStatus(
                    JobState.ENDED if finished else JobState.LOST,
                    reason=None if finished else "it was never submitted",
                )
            end = _end(directory, submission)
            if end is None:
                status_or_end = self._asked(directory, submission, view)
                if isinstance(status_or_end, JobStatus):
                    return status_or_end
                end = status_or_end
            return self._told(directory, submission, end)
        except (OSError, ValueError) as error:
            return _unreadable(error)

    def _asked(
        self, directory: Path, submission: Submission, view: View | NoAnswerError
    ) -> JobStatus | Exit:
        """State of a job that noted no end, by the scheduler; its end where that is known by now."""
        started_at = _started_at(directory, submission)
        if isinstance(view, NoAnswerError) or submission.native_id is None:
            if (directory / RESULT).exists():
                return JobStatus(JobState.ENDED, started_at=started_at)
            reason = str(view) if isinstance(view, NoAnswerError) else "not handed over yet"
            return JobStatus(JobState.UNKNOWN, started_at=started_at, reason=reason)
        seen = view.jobs.get(submission.native_id)
        if seen is not None and seen.name not in {"", submission.token}:
            seen = None  # another job has its id now
        if seen is None and (submission.submitted_at or 0.0) >= view.began:
            return JobStatus(JobState.QUEUED)
        if seen is not None and seen.state is not JobState.ENDED:
            self._gone_since.pop(submission.token, None)
            if started_at is None and seen.running_seconds and seen.state is JobState.RUNNING:
                started_at = view.began - seen.running_seconds
            return JobStatus(seen.state, started_at=started_at, reason=seen.said)
        return self._over(directory, submission, seen.cause if seen else "", started_at)

    def _over(
        self, directory: Path, submission: Submission, cause: str, started_at: float | None
    ) -> JobStatus | Exit:
        """The end of a job that the scheduler has done with, noted for good; files may come late."""
        end = Exit.of(directory, submission.token)
        if end is not None and end.final:
            return end
        if submission.cancelled:
            cause = "cancelled"
        elif end is not None and not cause:
            ran = (end.ended_at or 0.0) - (end.started_at or 0.0)
            wall_seconds = self._request(directory, submission).wall_seconds
            cause = "time" if ran >= wall_seconds else "signalled"
        if not cause:
            if (directory / RESULT).exists():
                return JobStatus(JobState.ENDED, started_at=started_at)
            since = self._gone_since.setdefault(submission.token, time.monotonic())
            if time.monotonic() - since < self._profile.settle_seconds:
                return JobStatus(
                    JobState.RUNNING, started_at=started_at, reason="it has just ended"
                )
            cause = "lost"
        self._gone_since.pop(submission.token, None)
        return self._record(directory, submission, cause, end)

    def _record(
        self, directory: Path, submission: Submission, cause: str, end: Exit | None = None
    ) -> Exit:
        """Note how a job ended that could not do so itself; the scheduler soon forgets it."""
        minutes = self._request(directory, submission).wall_seconds / 60
        verdict = Exit(
            token=submission.token,
            exit_code=end.exit_code if end else None,
            signal=end.signal if end else None,
            started_at=end.started_at if end else _started_at(directory, submission),
            ended_at=(end.ended_at if end else None) or time.time(),
            verdict=True,
            cause=cause,
            reason=WHY[cause].format(minutes=minutes),
        )
        verdict.write(directory / noted.EXIT)
        return verdict

    def _told(self, directory: Path, submission: Submission, end: Exit) -> JobStatus:
        code, reason = (end.exit_code, end.reason) if end.verdict else _described(end.exit_code)
        final = end.cause == "cancelled" or (
            end.verdict
            and end.cause in {"time", "memory"}
            and not self._grown(directory, submission, end.cause)
        )
        return JobStatus(
            JobState.LOST if end.cause == "lost" else JobState.ENDED,
            exit_code=code,
            started_at=end.started_at,
            ended_at=end.ended_at,
            reason=reason,
            retryable=not final,
        )

    # --- cancelling -------------------------------------------------------------------------------

    def _cancel(self, directory: Path, submission: Submission) -> None:
        try:
            known = _patiently(lambda: self._identified(directory, submission))
        except NoAnswerError:
            if submission.native_id is None:  # if it starts one day, it finds itself revoked
                self._record(directory, submission, "cancelled")
                return
            raise
        if known is None or known.native_id is None:
            self._record(directory, submission, "cancelled")
            return
        native_id = known.native_id
        _patiently(lambda: self._scheduler.cancel(native_id))
        self._queue.forget()

    def _await_end(self, directory: Path, submission: Submission) -> None:
        """Wait for the end of a job that was cancelled; DispatchError where it does not come."""
        native_id = submission.native_id or ""
        _patiently(lambda: self._scheduler.cancel(native_id))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            self._queue.forget()
            state = self._status(directory, self._view({native_id: 0.0})).state
            if state in {JobState.ENDED, JobState.LOST}:
                return
            time.sleep(LOOK_AGAIN_SECONDS)
        raise DispatchError(
            f"{directory}: job {native_id} was cancelled and still runs; end it by hand first"
        )


def _started_at(directory: Path, submission: Submission) -> float | None:
    started = Started.of(directory, submission.token)
    return started.started_at if started else None


def _end(directory: Path, submission: Submission) -> Exit | None:
    """How this submission ended, where that cannot change any more."""
    end = Exit.of(directory, submission.token)
    if end is None or not end.final:
        return None
    if not end.verdict and _described(end.exit_code)[0] == -signal.SIGKILL:
        return end.model_copy(update={"cause": "memory"})
    return end


def _described(exit_code: int | None) -> tuple[int | None, str | None]:
    """Exit code (negative: killed by this signal) and what it means, from what a shell says."""
    if exit_code is None or exit_code == 0:
        return exit_code, None
    number = exit_code - SIGNALS_FROM
    if number == signal.SIGKILL:
        return -number, "it was killed by SIGKILL, as a rule for using too much memory"
    if number in set(signal.Signals):
        return -number, f"it was killed by {signal.Signals(number).name}"
    if exit_code == 127:
        return (
            exit_code,
            "exit code 127: a program cannot be found on the compute node; see job.log",
        )
    return exit_code, f"it ended with exit code {exit_code}"


def _unreadable(error: Exception) -> JobStatus:
    if isinstance(error, DispatchError):
        return JobStatus(JobState.ENDED, reason=str(error))
    return JobStatus(JobState.UNKNOWN, reason=str(error))


def _at_most(value: float, limit: float | None, usual: float) -> float:
    """`value`, but no more than `limit`; what is asked for at first is not limited."""
    return value if limit is None else min(value, max(limit, usual))


def _patiently(ask: Callable[[], Found]) -> Found:
    """What the scheduler answers, asked again for a while; NoAnswerError where it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except NoAnswerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_SECONDS)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "submit.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
