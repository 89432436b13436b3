"""Simulated job slots and their clock, for a campaign whose loop is real.

The clock jumps from one end of a job to the next; in between it runs on as the loop needs time, every
second of which is counted. What the jobs would do themselves is left out.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from discover.dispatch.base import JobState, JobStatus


class Clock:
    """Seconds since it was made: those that passed, and those that were skipped.

    What passes is told by a `timer`: the wall clock, or `time.process_time`, where other work on the
    machine is not to count.
    """

    def __init__(self, timer: Callable[[], float] = time.perf_counter) -> None:
        self.timer = timer
        self._zero = timer()
        self._stopped_at: float | None = None

    def now(self) -> float:
        """The present time in seconds."""
        if self._stopped_at is not None:
            return self._stopped_at
        return self.timer() - self._zero

    def skip_to(self, instant: float) -> None:
        """Jump ahead to an instant; no jump back where it has passed."""
        self._zero -= max(0.0, instant - self.now())

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Leave out what happens in the block: it takes no time."""
        if self._stopped_at is not None:
            yield
            return
        self._stopped_at = self.now()
        try:
            yield
        finally:
            self._zero = self.timer() - self._stopped_at
            self._stopped_at = None


def job_seconds(mean: float, sigma: float, rng: np.random.Generator) -> Iterator[float]:
    """Log-normal run times (s) with this mean and spread of their logarithm, one after the other."""
    while True:
        yield float(mean * np.exp(sigma * rng.standard_normal() - sigma**2 / 2))


def seconds_left(mean: float, sigma: float, rng: np.random.Generator) -> float:
    """What is left (s) of such a job that is looked at while it runs.

    Long jobs are met more often: the run time is drawn by its length, the instant evenly within.
    """
    length = mean * np.exp(sigma * rng.standard_normal() + sigma**2 / 2)
    return float(rng.random() * length)


@dataclass
class SimulatedSlots:
    """A dispatcher with so many slots, whose jobs take the `seconds` they are given and then `answer`.

    A job that is submitted while all slots are busy begins when the first one falls free.
    """

    clock: Clock
    slots: int
    seconds: Iterator[float]
    answer: Callable[[Path], None]
    intervals: list[tuple[float, float]] = field(default_factory=list)
    _running: list[tuple[float, str]] = field(default_factory=list)
    _queue: deque[str] = field(default_factory=deque)
    _directories: list[Path] = field(default_factory=list)
    _started: dict[str, float] = field(default_factory=dict)
    _ended: dict[str, float] = field(default_factory=dict)

    def submit(self, directory: Path) -> str:
        """As `Dispatcher.submit`."""
        self._advance()
        native_id = str(len(self._directories))
        self._directories.append(directory)
        if len(self._running) < self.slots:
            self._start(native_id, self.clock.now())
        else:
            self._queue.append(native_id)
        return native_id

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """As `Dispatcher.poll`."""
        self._advance()
        return [self._status(native_id) for native_id, _ in jobs]

    def cancel(self, native_id: str, directory: Path) -> None:
        """Nobody cancels a simulated job."""
        raise NotImplementedError(f"{directory}: job {native_id} is simulated")

    def next_end(self) -> float:
        """When the next job ends."""
        return self._running[0][0]

    @property
    def submitted(self) -> int:
        """Jobs that were ever submitted."""
        return len(self._directories)

    def busy_share(self, since: float) -> float:
        """Share of slot time in use from an instant until the last job started."""
        until = max(start for start, _ in self.intervals)
        used = sum(max(0.0, min(end, until) - max(start, since)) for start, end in self.intervals)
        return used / (self.slots * (until - since))

    def _advance(self) -> None:
        while self._running and self._running[0][0] <= self.clock.now():
            end, native_id = heapq.heappop(self._running)
            self._ended[native_id] = end
            with self.clock.stopped():
                self.answer(self._directories[int(native_id)])
            if self._queue:
                self._start(self._queue.popleft(), end)

    def _start(self, native_id: str, instant: float) -> None:
        self._started[native_id] = instant
        end = instant + next(self.seconds)
        self.intervals.append((instant, end))
        heapq.heappush(self._running, (end, native_id))

    def _status(self, native_id: str) -> JobStatus:
        if native_id in self._ended:
            return JobStatus(JobState.ENDED, exit_code=0, ended_at=self._ended[native_id])
        if native_id in self._started:
            return JobStatus(JobState.RUNNING, started_at=self._started[native_id])
        return JobStatus(JobState.QUEUED)
