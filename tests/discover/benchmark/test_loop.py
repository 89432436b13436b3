"""The benchmark of the loop, on a small mix of jobs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from discover.benchmark import loop
from discover.steering import Rules, Stop, steer

SLOTS, CALCULATIONS = 3, 18
LONG_SECONDS = 1e7  # next to it, what the loop itself needs vanishes


def run() -> dict[str, Any]:
    return loop.run(
        slots=SLOTS, calculations=CALCULATIONS, mean_seconds=LONG_SECONDS, sigma=1.2, seed=0
    )


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return run()


@pytest.mark.parametrize("barrier", [False, True])
def test_every_calculation_is_done_once_and_never_more_than_the_slots(*, barrier: bool) -> None:
    seconds = LONG_SECONDS * np.random.default_rng(1).lognormal(sigma=1.2, size=CALCULATIONS)
    world = loop.SimulatedWorld(slots=SLOTS, seconds=seconds, seed=0, barrier=barrier)
    rules = Rules(
        jobs=SLOTS,
        calculations=CALCULATIONS,
        hours=None,
        failures_in_a_row=CALCULATIONS,
        pool_size=1,
        pool_batch=1,
        initial=8,
        retrain_every=1,
    )
    assert steer(world, rules) == Stop(f"budget: {CALCULATIONS} calculations")
    assert len(set(world.picked)) == len(world.picked) == CALCULATIONS
    assert sorted(world.collected) == sorted(world.picked)
    lengths = [end - start for start, end in world.intervals]
    assert lengths == pytest.approx(seconds.tolist())
    for start, _ in world.intervals:
        assert sum(a <= start < b for a, b in world.intervals) <= SLOTS
    if barrier:
        batches = [world.intervals[i : i + SLOTS] for i in range(0, CALCULATIONS, SLOTS)]
        for batch, following in pairwise(batches):
            assert max(end for _, end in batch) <= min(start for start, _ in following)


def test_the_loop_is_busier_than_the_barrier(result: dict[str, Any]) -> None:
    busy, held_up = result["loop"]["slots_busy"], result["barrier"]["slots_busy"]
    assert 0.999 < busy <= 1.0
    assert 0.0 < held_up < 0.9
    assert result["busy_ratio"] == pytest.approx(busy / held_up)
    assert result["loop"]["hours"] < result["barrier"]["hours"]
    assert result["loop"]["overhead_seconds_per_calculation"] > 0


def test_only_the_measured_overhead_differs_between_two_runs(result: dict[str, Any]) -> None:
    again = run()
    for key in ("mean_job_seconds", "longest_job_seconds"):
        assert again[key] == result[key]
    for name in ("loop", "barrier"):
        for key in ("slots_busy", "hours"):
            assert again[name][key] == pytest.approx(result[name][key], rel=1e-4)
