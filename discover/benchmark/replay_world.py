"""Replayed campaigns: what the loop would have found, and spent, on materials that are known already.

Steering, surrogate and acquisition are the real ones; a calculation is a look into a table, which costs
what it is said to cost on a simulated clock. What the table holds is told to the loop only when a
calculation at that fidelity has ended.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover.acquisition.ladder import select_rung, with_rung
from discover.errors import SurrogateError
from discover.objectives import Goal
from discover.pool import Pool
from discover.records import Candidate
from discover.steering import Action, Collect, Pick, Situation, Train
from surrogates import TrainingData

if TYPE_CHECKING:
    from botorch.models.model import Model

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class KnownMaterials:
    """Materials with a property known at several fidelities, cheap to dear.

    `values` (N x F, on the model's scale) are not a number where a calculation failed, which happens
    below the target only. `candidates` have their descriptors.
    """

    candidates: tuple[Candidate, ...]
    values: Array
    fidelities: tuple[str, ...]

    def top(self, n: int, goal: Goal) -> frozenset[str]:
        """Ids of the n best at the target."""
        order = np.argsort(self.values[:, -1] * (1 if goal == "min" else -1), kind="stable")
        return frozenset(self.candidates[i].id for i in order[:n])

    def at(self, *fidelities: str) -> KnownMaterials:
        """The same with these fidelities only."""
        columns = [self.fidelities.index(name) for name in fidelities]
        return KnownMaterials(self.candidates, self.values[:, columns], fidelities)


@dataclass
class ReplayWorld:
    """A campaign over known materials, as `discover.steering.World`; ends when `sought` are found.

    `costs` (F) are the cost of a calculation at each fidelity, in any unit; that is also how long it
    takes. `seed` shuffles the order in which candidates are proposed and seeds the models.
    """

    known: KnownMaterials
    surrogate: Any
    acquisition: Any
    costs: Sequence[float]
    seed: int
    sought: frozenset[str]
    goal: Goal = "max"
    clock: float = 0.0
    spent: float = 0.0
    trained_on: int = 0
    model: Model | None = None
    fitted: int = 0
    running: list[tuple[float, int, int, int]] = field(default_factory=list)
    collected: list[tuple[int, int, int]] = field(default_factory=list)
    found: list[tuple[float, str]] = field(default_factory=list)
    picked: int = 0
    picked_below: int = 0

    def __post_init__(self) -> None:
        self.pool = Pool(len(self.costs))
        order = np.random.default_rng(self.seed).permutation(len(self.known.candidates))
        self.pool.add(self.known.candidates[i] for i in order)
        self._row = {c.id: i for i, c in enumerate(self.known.candidates)}
        self._features = np.array([c.features for c in self.known.candidates])

    def situation(self) -> Situation:
        """What has ended by now; all candidates are proposed from the start."""
        ended = sorted(order for end, order, *_ in self.running if end <= self.clock)
        return Situation(
            ended=tuple(map(str, ended)),
            active=len(self.running) - len(ended),
            picked=self.picked,
            below=self.picked_below,
            ready=len(self.pool),
            exhausted=True,
            observed=len(self._observed()),
            trained_on=self.trained_on,
            has_model=self.model is not None,
            stop_requested=self.sought <= {name for _, name in self.found},
        )

    def perform(self, action: Action) -> None:
        """Do it for real; only a calculation takes time."""
        match action:
            case Collect(calculations):
                self._collect(set(map(int, calculations)))
            case Train():
                self._train()
            case Pick(explore):
                self._start(*self._choose(explore=explore))
            case _:
                raise ValueError(f"{action} has no place in a replay: every candidate is there")

    def record(self, actions: tuple[Action, ...]) -> None:
        """Nothing is kept of a pass."""

    def wait(self) -> None:
        """Set the clock to the next end of a calculation."""
        self.clock = max(self.clock, self.running[0][0])

    def cost_of_sought(self) -> list[float]:
        """What had been spent when each of those that are sought was found, in order."""
        return [spent for spent, name in self.found if name in self.sought]

    def calculations(self) -> list[int]:
        """How many were made at each fidelity."""
        return [sum(rung == at for _, _, rung in self.collected) for at in range(len(self.costs))]

    def _observed(self) -> list[tuple[int, int, int]]:
        """Order, row and rung of the calculations that gave a value, in the order of their picks."""
        return sorted(c for c in self.collected if np.isfinite(self.known.values[c[1], c[2]]))

    def _collect(self, over: set[int]) -> None:
        for _, order, row, rung in sorted(c for c in self.running if c[1] in over):
            self.collected.append((order, row, rung))
            self.spent += self.costs[rung]
            if rung == len(self.costs) - 1:
                self.found.append((self.spent, self.known.candidates[row].id))
        self.running = [c for c in self.running if c[1] not in over]
        heapq.heapify(self.running)

    def _train(self) -> None:
        import torch

        observed = self._observed()
        self.trained_on = len(observed)
        _, rows, rungs = (np.array(part, dtype=np.int64) for part in zip(*observed, strict=True))
        formulas = {c.formula: i for i, c in enumerate(self.known.candidates)}
        groups = [formulas[self.known.candidates[row].formula] for row in rows]
        data = TrainingData(
            x=torch.from_numpy(with_rung(self._features[rows], rungs, len(self.costs))),
            y=torch.from_numpy(self.known.values[rows, rungs]).unsqueeze(-1),
            groups=torch.tensor(groups),
            fidelities=len(self.costs),
        )
        try:
            self.model = self.surrogate.fit(data, self.seed)
            self.fitted = len(observed)
        except SurrogateError:  # too few values yet
            self.model = None

    def _choose(self, *, explore: bool) -> tuple[str, int]:
        if explore or self.model is None:
            return self.pool.first()
        target = len(self.costs) - 1
        at_target = [row for _, row, rung in self._observed() if rung == target]
        busy = [(row, rung) for _, _, row, rung in self.running]
        busy += [(row, rung) for _, row, rung in self._observed()[self.fitted :]]
        ids, features, asked = self.pool.open(
            without={self.known.candidates[row].id for _, _, row, _ in self.running}
        )
        rows, rungs = np.array(busy, dtype=np.int64).reshape(-1, 2).T
        chosen = select_rung(
            self.model,
            features,
            ids,
            asked,
            self.costs,
            self.acquisition,
            goal=self.goal,
            observed=self.known.values[at_target, target],
            observed_features=self._features[at_target],
            pending=with_rung(self._features[rows], rungs, len(self.costs)) if busy else None,
            picks=self.picked,
            seed=self.seed,
        )
        return ids[chosen.candidate.index], chosen.rung

    def _start(self, candidate: str, rung: int) -> None:
        self.pool.take(candidate, rung)
        end = self.clock + self.costs[rung]
        heapq.heappush(self.running, (end, self.picked, self._row[candidate], rung))
        self.picked += 1
        self.picked_below += rung < len(self.costs) - 1
