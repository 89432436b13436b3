"""Who picks in a replayed campaign: any surrogate with any acquisition, random order, or a peer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.acquisition.adapters import load_acquisition
from discover.acquisition.selection import select
from discover.benchmark.datasets import DataSet
from discover.errors import SurrogateError
from discover.objectives import Goal

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates import TrainingData

Array = npt.NDArray[np.float64]

RANDOM = "random order"


@dataclass(frozen=True)
class Known:
    """What a strategy is told: the data set's descriptors, and the targets of observed rows only.

    `observed`, `running` and `open` are rows: with a value (as they were picked), being computed (picked
    and without a value), and free to be picked (in the order they were proposed). `picks` counts all
    picks so far, `slots` are free now.
    """

    data: DataSet
    observed: tuple[int, ...]
    running: tuple[int, ...]
    open: tuple[int, ...]
    picks: int
    slots: int
    goal: Goal
    seed: int

    @property
    def x(self) -> Array:
        """Descriptors of all rows (N x d)."""
        return self.data.x

    @property
    def y(self) -> Array:
        """Targets of the observed rows, on the model's scale."""
        return self.data.y[list(self.observed)]

    @property
    def larger_is_better(self) -> Array:
        """Those targets as models learn them (`DataSet.unit`), negated for the goal `min`."""
        return (self.y if self.goal == "max" else -self.y) / self.data.unit


def sources(names: Sequence[str]) -> dict[str, str]:
    """Content of those plug-ins (names) that are files: what ran with another one is no answer."""
    files = {name: Path(name.rpartition(":")[0]) for name in names if plugins.is_file_plugin(name)}
    return {name: file.read_text(encoding="utf-8") for name, file in files.items()}


def shown(name: str) -> str:
    """A model or strategy as people see it: of plug-ins that are files the folder is left out."""
    parts = name.split(" + ")
    return " + ".join(p.rpartition("/")[2] if plugins.is_file_plugin(p) else p for p in parts)


def fit_surrogate(surrogate: Any, data: TrainingData, seed: int) -> Model:
    """A fitted model; SurrogateError where a plug-in gives something else."""
    model = surrogate.fit(data, seed)
    if not callable(getattr(model, "posterior", None)):
        raise SurrogateError(f"`fit` of the surrogate gives {model!r}, which has no posterior")
    fitted: Model = model
    return fitted


class Strategy(Protocol):
    """Learns from what is observed and picks the next row; made anew for each campaign."""

    def train(self, known: Known) -> None:
        """Fit to the observed rows; SurrogateError where they cannot be fitted."""
        ...

    def pick(self, known: Known) -> int:
        """One of the open rows; `train` was called before, maybe with fewer observed rows."""
        ...


class RandomOrder:
    """Takes the rows as they were proposed, which is in random order."""

    def train(self, known: Known) -> None:
        """Learns nothing."""

    def pick(self, known: Known) -> int:
        """The first open row."""
        return known.open[0]


class ByModel:
    """A surrogate and an acquisition, as a campaign has them; what is running is believed."""

    def __init__(self, surrogate: str, acquisition: str) -> None:
        self._surrogate: Any = plugins.create("surrogates", surrogate)
        self._acquisition = load_acquisition(acquisition)
        self._model: Model | None = None
        self._trained_on: tuple[int, ...] = ()

    def train(self, known: Known) -> None:
        """Fits the surrogate on the observed rows, bounds included."""
        self._model = None
        data = known.data.training(np.array(known.observed, dtype=np.int64))
        self._model = fit_surrogate(self._surrogate, data, known.seed)
        self._trained_on = known.observed

    def pick(self, known: Known) -> int:
        """What the acquisition scores highest."""
        if self._model is None:
            return known.open[0]
        unseen = [row for row in known.observed if row not in self._trained_on]
        pending = [*known.running, *unseen]
        chosen = select(
            self._model,
            known.x[list(known.open)],
            [known.data.ids[row] for row in known.open],
            self._acquisition,
            goal=known.goal,
            observed=known.y / known.data.unit,
            observed_features=known.x[list(known.observed)],
            pending=known.x[pending] if pending else None,
            picks=known.picks,
            seed=known.seed,
        )
        return known.open[chosen[0].index]


class InBatches:
    """Picks a batch for all free slots at once, and hands it out one by one."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    def train(self, known: Known) -> None:  # noqa: ARG002 - the contract
        """Forgets what is left of the last batch."""
        self._waiting = []

    def pick(self, known: Known) -> int:
        """The next row of the batch."""
        if not self._waiting:
            self._waiting = [int(row) for row in self.batch(known, max(1, known.slots))]
        return self._waiting.pop(0)

    def batch(self, known: Known, n: int) -> Sequence[int]:
        """So many different open rows, or fewer."""
        raise NotImplementedError
