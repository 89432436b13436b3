"""How busy the loop keeps its job slots, against the same loop with a batch barrier.

The steering, the surrogate and the selection are the real ones; only the jobs are simulated. Their run
times are log-normal, as those of DFT jobs are: a few take many times the mean. The clock is simulated
too, but every second that the loop itself needs is measured and counted as time in which a slot that
fell free stays idle.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover.acquisition.adapters import load_acquisition
from discover.acquisition.selection import select
from discover.errors import SurrogateError
from discover.steering import (
    Action,
    Collect,
    Pick,
    Propose,
    Rules,
    Situation,
    Train,
    steer,
)
from surrogates import TrainingData
from surrogates.gp import GaussianProcess

if TYPE_CHECKING:
    from botorch.models.model import Model

DIMENSION = 16
POOL = 1000
INITIAL = 8


@dataclass
class SimulatedWorld:
    """A pool with a known function, jobs that take a known time, and a clock that can be set.

    `barrier`: no job starts before all of the last batch have ended.
    """

    slots: int
    seconds: npt.NDArray[np.float64]
    seed: int
    barrier: bool
    clock: float = 0.0
    overhead: float = 0.0
    last_start: float = 0.0
    batch_open: bool = True
    trained_on: int = 0
    model: Model | None = None
    running: list[tuple[float, int]] = field(default_factory=list)
    picked: list[int] = field(default_factory=list)
    collected: list[int] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.x = rng.random((POOL + len(self.seconds), DIMENSION))
        self.y = -((self.x - 0.7) ** 2).sum(axis=1) + 0.05 * rng.standard_normal(len(self.x))
        self._acquisition = load_acquisition("logei")

    def situation(self) -> Situation:
        """All jobs whose time is up have ended; behind a barrier the others hold every slot."""
        ended = [job for end, job in self.running if end <= self.clock]
        active = len(self.running) - len(ended)
        self.batch_open = (self.batch_open or not active) and active < self.slots
        held = self.slots if self.barrier and not self.batch_open else active
        return Situation(
            ended=tuple(str(job) for job in sorted(ended)),
            active=held,
            picked=len(self.picked),
            ready=len(self.x) - len(self.picked),
            observed=len(self.collected),
            trained_on=self.trained_on,
            has_model=self.model is not None,
        )

    def perform(self, action: Action) -> None:
        """Do it for real, and let the simulated clock run on by what it took."""
        started = time.perf_counter()
        match action:
            case Collect(calculations):
                over = set(map(int, calculations))
                self.running = [(end, job) for end, job in self.running if job not in over]
                heapq.heapify(self.running)
                self.collected += sorted(over)
            case Train():
                self._train()
            case Propose():
                pass
            case Pick(explore):
                self._start(self._choose(explore=explore), time.perf_counter() - started)
        took = time.perf_counter() - started
        self.overhead += took
        self.clock += took

    def record(self, actions: tuple[Action, ...]) -> None:
        """Nothing is kept of a pass."""

    def wait(self) -> None:
        """Set the clock to the next end of a job."""
        self.clock = max(self.clock, min(end for end, _ in self.running))

    def busy_share(self) -> float:
        """Share of slot time in use until the last job started (the end, with nothing left, is cut)."""
        until = self.last_start
        used = sum(min(end, until) - start for start, end in self.intervals if start < until)
        return used / (self.slots * until)

    def _train(self) -> None:
        import torch

        rows = sorted(self.collected)
        data = TrainingData(
            x=torch.from_numpy(self.x[rows]), y=torch.from_numpy(self.y[rows]).unsqueeze(-1)
        )
        self.trained_on = len(rows)
        try:
            self.model = GaussianProcess().fit(data, self.seed)
        except SurrogateError:  # too few rows yet
            self.model = None

    def _choose(self, *, explore: bool) -> int:
        free = np.setdiff1d(np.arange(len(self.x)), self.picked)
        if explore or self.model is None:
            return int(free[0])
        running = [job for _, job in self.running]
        best = select(
            self.model,
            self.x[free],
            [str(i) for i in free],
            self._acquisition,
            goal="max",
            observed=self.y[self.collected],
            pending=self.x[running] if running else None,
            seed=self.seed,
        )[0]
        return int(free[best.index])

    def _start(self, candidate: int, delay: float) -> None:
        start = self.clock + delay
        end = start + float(self.seconds[len(self.picked)])
        self.picked.append(candidate)
        self.last_start = start
        self.intervals.append((start, end))
        heapq.heappush(self.running, (end, candidate))


def run(
    *,
    slots: int,
    calculations: int,
    mean_seconds: float,
    sigma: float,
    seed: int,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Busy share of both loops over the same jobs, their ratio, and the loop's cost per calculation.

    Run times are log-normal with this mean (in seconds) and `sigma`, the spread of their logarithm.
    """
    rng = np.random.default_rng(seed)
    seconds = mean_seconds * np.exp(sigma * rng.standard_normal(calculations) - sigma**2 / 2)
    rules = Rules(
        jobs=slots,
        calculations=calculations,
        hours=None,
        failures_in_a_row=calculations,
        pool_size=1,
        pool_batch=1,
        initial=INITIAL,
        retrain_every=1,
    )
    results: dict[str, Any] = {
        "slots": slots,
        "calculations": calculations,
        "mean_job_seconds": float(seconds.mean()),
        "longest_job_seconds": float(seconds.max()),
    }
    for name, barrier in (("loop", False), ("barrier", True)):
        told(f"{name}: {calculations} calculations on {slots} slots")
        world = SimulatedWorld(slots=slots, seconds=seconds, seed=seed, barrier=barrier)
        steer(world, rules)
        results[name] = {
            "slots_busy": world.busy_share(),
            "hours": world.last_start / 3600.0,
            "overhead_seconds_per_calculation": world.overhead / calculations,
        }
    results["busy_ratio"] = results["loop"]["slots_busy"] / results["barrier"]["slots_busy"]
    return results


def show(result: dict[str, Any]) -> None:
    """The result as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=(
            f"{result['calculations']} calculations on {result['slots']} slots, "
            f"{result['mean_job_seconds'] / 60:.0f} min on average, "
            f"longest {result['longest_job_seconds'] / 3600:.1f} h"
        )
    )
    for heading in ("", "slots busy", "hours (simulated)", "own seconds per calculation"):
        table.add_column(heading, justify="right")
    for name, label in (("loop", "this loop"), ("barrier", "with a batch barrier")):
        row = result[name]
        table.add_row(
            label,
            f"{row['slots_busy']:.4f}",
            f"{row['hours']:.1f}",
            f"{row['overhead_seconds_per_calculation']:.3f}",
        )
    console = Console()
    console.print(table)
    console.print(f"ratio of the busy shares: {result['busy_ratio']:.2f}")
