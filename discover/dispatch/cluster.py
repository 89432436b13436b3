"""Jobs of a cluster's scheduler: each handed over once, polled together, never lost sight of."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from discover.calculations.job import RESULT
from discover.dispatch import submission as noted
from discover.dispatch.asking import Asking
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.machines import MachineProfile, load_machine
from discover.dispatch.outcomes import Outcomes, end_of, unreadable
from discover.dispatch.packing import Packing
from discover.dispatch.queue_view import QueueView, View
from discover.dispatch.scheduler import NoAnswerError, Scheduler
from discover.dispatch.submission import Submission
from discover.dispatch.trial import refusals
from discover.errors import DispatchError, MachineError

PATIENCE_SECONDS = 30.0
LOOK_AGAIN_SECONDS = 0.5
Found = TypeVar("Found")


class ClusterDispatcher:
    """What dispatchers share that hand jobs to a scheduler; a child names its `scheduler`.

    All that is known of a job stands in its directory (`discover.dispatch.submission`), which login and
    compute nodes must share. The job script notes start and end itself; the scheduler is asked about
    jobs that noted no end. Where it does not answer, a job is unknown, and one that is to be submitted
    is handed over by the first `poll` after it answers again. A job that ran out of time or memory is
    `retryable` where the machine profile has more to give; the next `submit` then asks for it.

    Kinds that the profile's section `bulk` names do not become jobs of the scheduler: they are packed
    into allocations (`discover.dispatch.packing`), whose queue lies in `slots_directory`.

    `jobs` is not needed: the scheduler has its own queue. `threads` and `wall_time_minutes` hold where
    the profile gives none. MachineError where the profile is unfit.
    """

    scheduler: ClassVar[type[Scheduler]]

    def __init__(
        self,
        slots_directory: Path,
        machine: str | MachineProfile,
        jobs: Annotated[int, Field(ge=1)] = 1,  # noqa: ARG002
        threads: Annotated[int, Field(ge=1)] = 1,
        wall_time_minutes: Annotated[float, Field(gt=0)] = 60.0,
    ) -> None:
        profile = machine if isinstance(machine, MachineProfile) else load_machine(machine)
        if profile.scheduler != self.scheduler.name:
            raise MachineError(
                f"machine {machine!r} is one of {profile.scheduler}, not of {self.scheduler.name}: "
                f"set dispatch.name to {profile.scheduler!r}"
            )
        self._profile = profile
        self._scheduler = self.scheduler(profile.answer_seconds)
        self._scheduler.check()
        self._queue = QueueView(self._scheduler, profile.poll_seconds)
        self._asking = Asking(profile, self._scheduler, threads, wall_time_minutes)
        self._outcomes = Outcomes(self._asking)
        self._packing = Packing.of(slots_directory.absolute() / "bulk", self._asking, self._queue)

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
                return self._start(directory, previous)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be submitted: {error}") from error

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """State of each (native id, directory), in the same order; `unknown` where nobody answers."""
        directories = dict.fromkeys(directory.absolute() for _, directory in jobs)
        told: dict[Path, JobStatus] = {}
        packed: dict[Path, Submission] = {}
        open_jobs: dict[str, float] = {}
        for directory in directories:
            try:
                submission = self._submitted(directory)
                if submission is None or end_of(directory, submission):
                    continue
                if submission.packed:
                    packed[directory] = submission
                elif submission.native_id:
                    open_jobs[submission.native_id] = submission.submitted_at or 0.0
            except (DispatchError, OSError, ValueError) as error:
                told[directory] = unreadable(error)
        allocations = self._packing.native_ids() if self._packing else {}
        view = self._view(open_jobs | allocations)
        try:
            told |= self._packed(packed, view)
        except (OSError, ValueError) as error:
            told |= {directory: unreadable(error) for directory in packed}
        for directory in directories:
            if directory not in told:
                told[directory] = self._status(directory, view)
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
                over = submission is None or end_of(directory, submission) is not None
                if submission is None or over or (directory / RESULT).exists():
                    return
                noted.revoke(directory, submission.token)
                submission = submission.model_copy(update={"cancelled": True})
                submission.note(directory)
                if submission.packed and self._packing:
                    self._packing.holds(submission)  # its allocation, if it runs, finds it revoked
                else:
                    self._cancel(directory, submission)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be cancelled: {error}") from error

    def refusals(self, kinds: Iterable[tuple[str, str]]) -> list[str]:
        """What the scheduler would refuse of jobs of these kinds (with their engines), by key."""
        return refusals(self._asking, kinds)

    # --- submitting -------------------------------------------------------------------------------

    def _under_way(self, directory: Path, previous: Submission) -> str | None:
        """Native id (or name) of the job of this directory that is or may be queued or running."""
        if end_of(directory, previous) is not None:
            return None
        if previous.packed:
            return self._in_queue(directory, previous)
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

    def _in_queue(self, directory: Path, previous: Submission) -> str | None:
        """Id of a packed job that waits or runs; one that was cancelled is waited for."""
        if self._packing is None:
            return None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._packing.holds(previous):
            if not previous.cancelled:
                return previous.native_id
            if time.monotonic() > deadline:
                raise DispatchError(f"{directory}: the job was cancelled and still runs")
            time.sleep(LOOK_AGAIN_SECONDS)
        return None

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

    def _start(self, directory: Path, previous: Submission | None) -> str:
        """A new submission, with more time or memory where the last one ran out of it."""
        end = end_of(directory, previous) if previous else None
        submission = self._asking.prepare(directory, previous, end.cause if end else "")
        if self._packing is not None and self._packing.takes(directory):
            return self._packing.add(directory, submission)
        self._asking.write_script(directory, submission)
        submission.note(directory)
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
        if not self._queue.backs_off and end_of(directory, submission) is None:
            self.submit(directory)
            return Submission.of(directory)
        return submission

    # --- what became of it --------------------------------------------------------------------------

    def _view(self, submitted_at: Mapping[str, float]) -> View | NoAnswerError:
        try:
            return self._queue.of(submitted_at)
        except NoAnswerError as error:
            return error

    def _packed(
        self, jobs: Mapping[Path, Submission], view: View | NoAnswerError
    ) -> dict[Path, JobStatus]:
        if self._packing is not None:
            return self._packing.poll(jobs, view)
        reason = "it waits for an allocation, but the machine profile has no section bulk any more"
        return dict.fromkeys(jobs, JobStatus(JobState.LOST, reason=reason))

    def _status(self, directory: Path, view: View | NoAnswerError) -> JobStatus:
        try:
            submission = Submission.of(directory)
            if submission is not None:
                return self._outcomes.status(directory, submission, view)
            if (directory / RESULT).exists():
                return JobStatus(JobState.ENDED)
            return JobStatus(JobState.LOST, reason="it was never submitted")
        except (OSError, ValueError) as error:
            return unreadable(error)

    # --- cancelling -------------------------------------------------------------------------------

    def _cancel(self, directory: Path, submission: Submission) -> None:
        try:
            known = _patiently(lambda: self._identified(directory, submission))
        except NoAnswerError:
            if submission.native_id is None:  # if it starts one day, it finds itself revoked
                self._outcomes.record(directory, submission, "cancelled")
                return
            raise
        if known is None or known.native_id is None:
            self._outcomes.record(directory, submission, "cancelled")
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
