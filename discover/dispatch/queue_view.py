"""The scheduler's queue as last seen: one question for all jobs, and fewer where no answer comes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from discover.dispatch.scheduler import NoAnswerError, Scheduler, Seen

LONGEST_BACK_OFF_SECONDS = 120.0


@dataclass(frozen=True)
class View:
    """What was seen of the jobs that were `asked` for; the question was put at `began` (epoch)."""

    began: float
    asked: frozenset[str]
    jobs: dict[str, Seen]


class QueueView:
    """Asks the scheduler at most every `poll_seconds`, whoever asks for what in between.

    After a question without an answer it waits twice as long each time. A cache: to lose it costs one
    question.
    """

    def __init__(self, scheduler: Scheduler, poll_seconds: float) -> None:
        self._scheduler = scheduler
        self._poll_seconds = poll_seconds
        self._view: View | None = None
        self._taken = 0.0
        self._failures = 0
        self._retry_at = 0.0
        self._reason = ""

    @property
    def backs_off(self) -> bool:
        """Whether the scheduler is left alone, because it did not answer."""
        return time.monotonic() < self._retry_at

    def of(self, submitted_at: Mapping[str, float]) -> View:
        """A view that covers these jobs, given when each was submitted (seconds since the epoch).

        One that was submitted after a view was taken does not make it old. NoAnswerError where the
        scheduler does not answer.
        """
        if self.backs_off:
            raise NoAnswerError(self._reason)
        view = self._view
        if (
            view is not None
            and time.monotonic() - self._taken < self._poll_seconds
            and all(i in view.asked or at >= view.began for i, at in submitted_at.items())
        ):
            return view
        began = time.time()
        try:
            jobs = self._scheduler.look(list(submitted_at))
        except NoAnswerError as error:
            self.note_silence(error)
            raise
        self._failures = 0
        self._view, self._taken = View(began, frozenset(submitted_at), jobs), time.monotonic()
        return self._view

    def forget(self) -> None:
        """Ask anew next time: something was changed."""
        self._view = None

    def note_silence(self, error: NoAnswerError) -> None:
        """Leave the scheduler alone for a while."""
        self._failures += 1
        wait = min(self._poll_seconds * 2.0**self._failures, LONGEST_BACK_OFF_SECONDS)
        self._retry_at, self._reason, self._view = time.monotonic() + wait, str(error), None
