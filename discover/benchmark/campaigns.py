"""One campaign replayed on known data: real steering, a simulated clock, values told when they end."""

from __future__ import annotations

import contextlib
import heapq
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from discover.benchmark.datasets import DataSet
from discover.benchmark.select import peak_memory_mib
from discover.benchmark.strategies import Known, Strategy
from discover.errors import SurrogateError
from discover.objectives import Goal
from discover.steering import Action, Collect, Pick, Rules, Situation, Train, steer

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sought:
    """Rows to be found: the `top` ones, and among them `best_needed` of the `best`."""

    top: frozenset[int]
    best: frozenset[int]
    best_needed: int = 1


@dataclass(frozen=True)
class Settings:
    """How a campaign runs: random picks first, calculations in all, and how many at once."""

    goal: Goal
    initial: int
    budget: int
    concurrency: int


@dataclass(frozen=True)
class Selected:
    """What selecting one row took: wall seconds, its share of the training included, and memory."""

    seconds: float
    peak_mib: float


@dataclass
class Campaign:
    """A replayed campaign, as `discover.steering.World`; ends at the budget or when all is found.

    `durations` (N) is how long each row's calculation takes, in any unit; `seed` shuffles the order in
    which rows are proposed, the first of which are the initial picks.
    """

    data: DataSet
    strategy: Strategy
    settings: Settings
    sought: Sought
    durations: Array
    seed: int
    clock: float = 0.0
    trained_on: int = 0
    has_model: bool = False
    training_seconds: float = 0.0
    running: list[tuple[float, int, int]] = field(default_factory=list)
    ended: dict[int, int] = field(default_factory=dict)
    picked: list[int] = field(default_factory=list)
    collected: list[int] = field(default_factory=list)
    selected: list[Selected] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shuffled = np.random.default_rng(self.seed).permutation(len(self.data))
        self._order: list[int] = shuffled.tolist()

    def run(self) -> None:
        """To its end."""
        n = len(self.data)
        rules = Rules(
            jobs=self.settings.concurrency,
            calculations=min(self.settings.budget, n),
            hours=None,
            failures_in_a_row=n,
            pool_size=1,
            pool_batch=1,
            initial=self.settings.initial,
            retrain_every=1,
        )
        steer(self, rules)

    def situation(self) -> Situation:
        """What has ended by now; all rows are proposed from the start."""
        over = sorted(order for end, order, _ in self.running if end <= self.clock)
        return Situation(
            ended=tuple(map(str, over)),
            active=len(self.running) - len(over),
            picked=len(self.picked),
            ready=len(self.data) - len(self.picked),
            exhausted=True,
            observed=len(self.collected),
            trained_on=self.trained_on,
            has_model=self.has_model,
            stop_requested=self.sought.top <= set(self.collected),
        )

    def perform(self, action: Action) -> None:
        """Do it for real; only a calculation takes simulated time."""
        match action:
            case Collect(calculations):
                self._collect(set(map(int, calculations)))
            case Train():
                self._train()
            case Pick(explore):
                self._start(self._choose(explore=explore))
            case _:
                raise ValueError(f"{action} has no place in a replay: every row is there")

    def record(self, actions: tuple[Action, ...]) -> None:
        """Nothing is kept of a pass."""

    def wait(self) -> None:
        """Set the clock to the next end of a calculation."""
        self.clock = max(self.clock, self.running[0][0])

    def found_after(self, rows: frozenset[int]) -> list[int]:
        """How many calculations had ended when each of these rows was found, in order."""
        return [i for i, row in enumerate(self.collected, start=1) if row in rows]

    def _known(self) -> Known:
        taken = set(self.picked)
        return Known(
            data=self.data,
            observed=tuple(row for _, row in sorted(self.ended.items())),
            running=tuple(row for _, _, row in sorted(self.running, key=lambda job: job[1])),
            open=tuple(row for row in self._order if row not in taken),
            picks=len(self.picked),
            slots=min(
                self.settings.concurrency - len(self.running),
                self.settings.budget - len(self.picked),
            ),
            goal=self.settings.goal,
            seed=self.seed,
        )

    def _collect(self, over: set[int]) -> None:
        for _, order, row in sorted(job for job in self.running if job[1] in over):
            self.ended[order] = row
            self.collected.append(row)
        self.running = [job for job in self.running if job[1] not in over]
        heapq.heapify(self.running)

    def _train(self) -> None:
        reset_peak_memory()
        started = time.perf_counter()
        try:
            self.strategy.train(self._known())
            self.has_model = True
        except Exception as error:  # noqa: BLE001 - too few values, or a plug-in's fault: explore on
            self.has_model = False
            self._refused(error)
        self.trained_on = len(self.collected)
        self.training_seconds = time.perf_counter() - started

    def _choose(self, *, explore: bool) -> int:
        if explore or not self.has_model:
            taken = set(self.picked)
            return next(row for row in self._order if row not in taken)
        started = time.perf_counter()
        try:
            row = self.strategy.pick(self._known())
        except Exception as error:  # noqa: BLE001 - as above
            self._refused(error)
            taken = set(self.picked)
            return next(row for row in self._order if row not in taken)
        took = time.perf_counter() - started + self.training_seconds
        self.selected.append(Selected(took, peak_memory_mib()))
        self.training_seconds = 0.0
        return row

    def _refused(self, error: Exception) -> None:
        kind = "" if isinstance(error, SurrogateError) else f"{type(error).__name__}: "
        self.refusals.append(f"{kind}{error}".splitlines()[0])

    def _start(self, row: int) -> None:
        end = self.clock + float(self.durations[row])
        heapq.heappush(self.running, (end, len(self.picked), row))
        self.picked.append(row)


def seek(y: Array, goal: Goal, top: int, censored: npt.NDArray[np.int8] | None = None) -> Sought:
    """The `top` best rows of targets `y` (N), with all that are as good as the last of them.

    Any row as good as the best is the best. For `extremes` half of the top is from either end, and the
    highest and the lowest row are the best. Where `censored` (N) is -1 or 1 the true value is below or
    above: nothing says that it is high, or low.
    """
    highest, lowest = _surely(y, censored)
    if goal == "extremes":
        half = max(1, math.ceil(top / 2))
        ends = frozenset({int(np.argmax(highest)), int(np.argmin(lowest))})
        return Sought(_as_good(highest, half) | _as_good(-lowest, half), ends, len(ends))
    better = highest if goal == "max" else -lowest
    return Sought(_as_good(better, top), _as_good(better, 1))


def _surely(y: Array, censored: npt.NDArray[np.int8] | None) -> tuple[Array, Array]:
    """How high, and how low, values are at least; the end of the range where nothing is known."""
    if censored is None:
        return y, y
    return np.where(censored < 0, y.min(), y), np.where(censored > 0, y.max(), y)


def _as_good(y: Array, top: int) -> frozenset[int]:
    """Rows that are as high as the `top`-th highest, or higher."""
    return frozenset(np.flatnonzero(y >= np.sort(y)[-top]).tolist())


def best_so_far(
    y: Array, collected: list[int], goal: Goal, censored: npt.NDArray[np.int8] | None = None
) -> Array:
    """The best target after each calculation; for `extremes` the range that is surely covered."""
    high, low = _surely(y, censored)
    highest = np.maximum.accumulate(high[collected])
    lowest = np.minimum.accumulate(low[collected])
    return {"max": highest, "min": lowest, "extremes": highest - lowest}[goal]


def expected_draws(found: int, sought: int, rows: int) -> float:
    """Draws without replacement until `found` of the `sought` among N rows are drawn: k (N+1)/(K+1).

    The k-th order statistic of a random sample of K of the places 1 to N.
    """
    return found * (rows + 1) / (sought + 1)


def reset_peak_memory() -> None:
    """Lets the peak that the kernel keeps begin anew (Linux, proc(5): 5 in clear_refs).

    Where a container forbids it, the peak is that of the process so far.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
