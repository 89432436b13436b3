"""Simulated slots: each job runs once, begins when a slot is free, and takes its time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.benchmark.scale_world import Clock, SimulatedSlots, job_seconds, seconds_left
from discover.dispatch.base import JobState


@given(seconds=st.lists(st.floats(1e3, 1e6), min_size=1, max_size=30), slots=st.integers(1, 4))
def test_jobs_queue_for_slots_and_begin_as_they_fall_free(seconds: list[float], slots: int) -> None:
    answered: list[Path] = []
    clock = Clock()
    simulated = SimulatedSlots(clock, slots, iter(seconds), answered.append)
    jobs = [(simulated.submit(Path(str(i))), Path(str(i))) for i in range(len(seconds))]
    states = [status.state for status in simulated.poll(jobs)]
    assert states.count(JobState.RUNNING) == min(slots, len(seconds))
    while len(answered) < len(seconds):
        clock.skip_to(simulated.next_end())
        simulated.poll(jobs)
    assert {status.state for status in simulated.poll(jobs)} == {JobState.ENDED}
    assert sorted(answered) == sorted(directory for _, directory in jobs)
    assert [end - start for start, end in simulated.intervals] == pytest.approx(seconds)
    for start, _ in simulated.intervals:
        assert sum(a <= start < b for a, b in simulated.intervals) <= slots
    if len(seconds) > slots:
        assert simulated.busy_share(simulated.intervals[slots - 1][0]) == pytest.approx(1.0)


def test_a_clock_jumps_ahead_and_stands_still() -> None:
    clock = Clock(itertools.count().__next__)
    clock.skip_to(100.0)
    assert 100.0 <= clock.now() < 110.0
    clock.skip_to(0.0)
    before = clock.now()
    with clock.stopped(), clock.stopped():
        standing = clock.now()
        assert clock.now() == standing
    assert before < clock.now() < before + 10.0


def test_run_times_have_their_mean_and_long_jobs_are_met_more_often() -> None:
    rng = np.random.default_rng(0)
    drawn = list(itertools.islice(job_seconds(3600.0, 1.0, rng), 50_000))
    assert np.mean(drawn) == pytest.approx(3600.0, rel=0.05)
    left = [seconds_left(3600.0, 1.0, rng) for _ in range(50_000)]
    # of a stationary renewal process: E[T²] / 2 E[T]
    assert np.mean(left) == pytest.approx(3600.0 * np.e / 2, rel=0.1)
