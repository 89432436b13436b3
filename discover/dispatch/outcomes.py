"""What became of a job, from its own records and from what the scheduler says."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from discover.calculations.job import RESULT
from discover.dispatch import submission as noted
from discover.dispatch.asking import Asking
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.queue_view import View
from discover.dispatch.scheduler import NoAnswerError
from discover.dispatch.submission import Exit, Started, Submission
from discover.errors import DispatchError
from discover.files import write_atomically

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
FINAL = frozenset({"cancelled", "cut off", "refused"})


class Outcomes:
    """Tells the state of jobs; notes the end of those that could not do so themselves."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._settle_seconds = asking.profile.settle_seconds

    def status(
        self, directory: Path, submission: Submission, view: View | NoAnswerError
    ) -> JobStatus:
        """State of a job that was handed to the scheduler; OSError, ValueError where it is unreadable."""
        end = end_of(directory, submission)
        if end is None:
            status_or_end = self._asked(directory, submission, view)
            if isinstance(status_or_end, JobStatus):
                return status_or_end
            end = status_or_end
        return self.told(directory, submission, end)

    def record(
        self, directory: Path, submission: Submission, cause: str, end: Exit | None = None
    ) -> Exit:
        """Note how a job ended that could not do so itself; the scheduler soon forgets it."""
        minutes = self._asking.request(directory, submission).wall_seconds / 60
        verdict = Exit(
            token=submission.token,
            exit_code=end.exit_code if end else None,
            signal=end.signal if end else None,
            started_at=end.started_at if end else started_at_of(directory, submission),
            ended_at=(end.ended_at if end else None) or time.time(),
            verdict=True,
            cause=cause,
            reason=WHY[cause].format(minutes=minutes),
        )
        verdict.write(directory / noted.EXIT)
        return verdict

    def told(self, directory: Path, submission: Submission, end: Exit) -> JobStatus:
        """The end of a job, and whether it is to be tried again."""
        said = end.verdict or end.reason is not None
        code, reason = (end.exit_code, end.reason) if said else _described(end.exit_code)
        final = end.cause in FINAL or (
            end.verdict
            and end.cause in {"time", "memory"}
            and not self._asking.grown(directory, submission, end.cause)
        )
        return JobStatus(
            JobState.LOST if end.cause == "lost" else JobState.ENDED,
            exit_code=code,
            started_at=end.started_at,
            ended_at=end.ended_at,
            reason=reason,
            retryable=not final,
        )

    def _asked(
        self, directory: Path, submission: Submission, view: View | NoAnswerError
    ) -> JobStatus | Exit:
        """State of a job that noted no end, by the scheduler; its end where that is known by now."""
        started_at = started_at_of(directory, submission)
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
            _gone(directory, submission).unlink(missing_ok=True)
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
            wall_seconds = self._asking.request(directory, submission).wall_seconds
            cause = "time" if ran >= wall_seconds else "signalled"
        if not cause:
            if (directory / RESULT).exists():
                return JobStatus(JobState.ENDED, started_at=started_at)
            if time.time() - _gone_since(directory, submission) < self._settle_seconds:
                return JobStatus(
                    JobState.RUNNING, started_at=started_at, reason="it has just ended"
                )
            cause = "lost"
        _gone(directory, submission).unlink(missing_ok=True)
        return self.record(directory, submission, cause, end)


def started_at_of(directory: Path, submission: Submission) -> float | None:
    """When this submission began (seconds since the epoch), None before."""
    started = Started.of(directory, submission.token)
    return started.started_at if started else None


def _gone(directory: Path, submission: Submission) -> Path:
    """Noted in a file, as the next question may be put by another process."""
    return directory / f".gone-{submission.token}"


def _gone_since(directory: Path, submission: Submission) -> float:
    """When the scheduler was first found to know nothing of this job any more."""
    path = _gone(directory, submission)
    if not path.exists():
        write_atomically(path, str(time.time()))
    return float(path.read_text(encoding="utf-8"))


def end_of(directory: Path, submission: Submission) -> Exit | None:
    """How this submission ended, where that cannot change any more."""
    end = Exit.of(directory, submission.token)
    if end is None or not end.final:
        return None
    if not end.verdict and _described(end.exit_code)[0] == -signal.SIGKILL:
        return end.model_copy(update={"cause": "memory"})
    return end


def unreadable(error: Exception) -> JobStatus:
    """What is told of a job that was refused, or whose directory cannot be read."""
    if isinstance(error, DispatchError):
        return JobStatus(JobState.ENDED, reason=str(error))
    return JobStatus(JobState.UNKNOWN, reason=str(error))


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
            (
                "exit code 127: a program cannot be found on the compute node; see job.log, and python "
                "and launcher in the machine profile"
            ),
        )
    return exit_code, f"it ended with exit code {exit_code}"
