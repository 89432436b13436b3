"""Several targets of the same rows: what a replayed campaign trades off, and who picks."""

from __future__ import annotations

import glob
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.acquisition.adapters import Acquisition, load_acquisition
from discover.acquisition.aims import Aims, hypervolume, non_dominated
from discover.acquisition.multi.context import JointContext, is_joint, load_joint_acquisition
from discover.acquisition.multi.selection import select_jointly
from discover.acquisition.selection import select
from discover.benchmark.columns import Columns
from discover.benchmark.datasets import DataSet, load_data
from discover.benchmark.strategies import Known, Strategy, fit_surrogate
from discover.benchmark.tables import read_table
from discover.errors import DataError
from discover.properties import Property, Transform

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates import TrainingData

Array = npt.NDArray[np.float64]

TARGET = re.compile(r"^(?P<column>.+?):(?P<goal>max|min)(?P<rest>(?::[^:]+)*)$")
"""`column:goal`, then `log10` or a reference, in any order."""


@dataclass(frozen=True)
class Target:
    """A column, the wanted end of it, its scale, and the worst value that counts (None: the median)."""

    column: str
    larger: bool
    transform: Transform = "none"
    reference: float | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """From `COLUMN:max`, `COLUMN:min:log10`, `COLUMN:max:4.5`; DataError for anything else."""
        match = TARGET.match(text)
        if match is None:
            raise DataError(
                f"--target {text!r}: of several targets each needs its goal, as in "
                f"'{text.split(':', maxsplit=1)[0]}:max' (then :log10 or a reference value, if wanted)"
            )
        target = cls(match["column"], match["goal"] == "max")
        for word in match["rest"].split(":")[1:]:
            if word == "log10":
                target = replace(target, transform="log10")
                continue
            try:
                target = replace(target, reference=float(word))
            except ValueError:
                raise DataError(
                    f"--target {text!r}: {word!r} is neither log10 nor a reference value"
                ) from None
        return target


@dataclass(frozen=True)
class Tradeoff:
    """A data set with m targets: `y` (N x m) on the model's scale, and what is sought of them."""

    data: DataSet
    y: Array
    aims: Aims

    @property
    def oriented(self) -> Array:
        """The targets (N x m), larger is better."""
        return self.aims.oriented(self.y)

    @property
    def front(self) -> frozenset[int]:
        """Rows that no other one dominates and that count."""
        above = self.oriented > np.array(self.aims.references)
        rows = np.flatnonzero(above.all(axis=1))
        return frozenset(rows[non_dominated(self.oriented[rows])].tolist())

    def volumes(self, rows: Sequence[int]) -> list[float]:
        """Share of the whole table's hypervolume after each of these rows."""
        oriented = self.oriented
        everything = hypervolume(oriented, self.aims.references)
        found: list[float] = []
        kept = np.empty((0, self.y.shape[1]))
        for row in rows:
            point = oriented[[row]]
            if found and (kept >= point).all(axis=1).any():
                found.append(found[-1])
                continue
            kept = np.concatenate([kept[~(point >= kept).all(axis=1)], point])
            found.append(hypervolume(kept, self.aims.references) / everything)
        return found

    def training(self, rows: npt.NDArray[np.int64]) -> TrainingData:
        """These rows, all targets, as surrogates want them."""
        import torch

        one = self.data.training(rows)
        return replace(one, y=torch.from_numpy(self.y[rows]), censored=None)


def load_tradeoff(
    paths: Sequence[Path],
    columns: Columns,
    targets: Sequence[Target],
    *,
    drop_invalid: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> Tradeoff:
    """The rows that have all targets; no target describes a row.

    With `drop_invalid` rows that lack a target are dropped, and listed. Raises DataError as `load_data`
    does, for bounds in the place of values, for a target given twice and for a reference that no row, or
    no trade-off, is better than.
    """
    names = [target.column for target in targets]
    if len(set(names)) < len(names):
        raise DataError(f"--target: a column is given twice: {', '.join(names)}")
    present = read_table(paths, columns.id).columns
    for name in names:
        if name not in present:
            raise DataError(
                f"--target {name!r}: there is no such column{plugins.suggestion(name, present)}"
            )
    loaded: list[DataSet] = []
    said: set[str] = set()

    def tell_once(line: str) -> None:
        if line not in said:
            said.add(line)
            told(line)

    for target in targets:
        others = tuple(glob.escape(name) for name in names if name != target.column)
        loaded.append(
            load_data(
                paths,
                replace(columns, target=target.column, exclude=(*columns.exclude, *others)),
                transform=target.transform,
                drop_invalid=drop_invalid,
                told=tell_once,
            )
        )
    common = sorted(set.intersection(*(set(data.rows.tolist()) for data in loaded)))
    if len(common) < 2:
        raise DataError(f"{loaded[0].source}: fewer than two rows have all targets")
    loaded = [data.only(np.searchsorted(data.rows, common)) for data in loaded]
    for data in loaded:
        if data.censored.any():
            raise DataError(f"--target {data.target}: holds bounds; give a column of values")
    y = np.column_stack([data.y for data in loaded])
    dropped = dict.fromkeys(line for data in loaded for line in data.dropped)
    described = replace(loaded[0], dropped=tuple(dropped))
    signs = tuple(1.0 if target.larger else -1.0 for target in targets)
    named = tuple(
        Property(t.column, t.column, "", t.transform, (-math.inf, math.inf)) for t in targets
    )
    references = [
        float(np.median(y[:, j])) if t.reference is None else named[j].to_model(t.reference)
        for j, t in enumerate(targets)
    ]
    aims = Aims(
        properties=named,
        columns=tuple(range(len(targets))),
        signs=signs,
        references=tuple(s * r for s, r in zip(signs, references, strict=True)),
        lower=(-math.inf,) * len(targets),
        upper=(math.inf,) * len(targets),
    )
    tradeoff = Tradeoff(described, y, aims)
    if not tradeoff.front:
        raise DataError("--target: no row is better than all references at once")
    return tradeoff


class Jointly:
    """A surrogate of all targets, and an acquisition that trades them off."""

    def __init__(self, tradeoff: Tradeoff, surrogate: str, acquisition: str) -> None:
        self._tradeoff = tradeoff
        self._surrogate: Any = plugins.create("surrogates", surrogate)
        self._acquisition = load_joint_acquisition(acquisition)
        self._model: Model | None = None
        self._trained_on: tuple[int, ...] = ()

    def train(self, known: Known) -> None:
        """Fits the surrogate on all targets of the observed rows."""
        self._model = None
        rows = np.array(known.observed, dtype=np.int64)
        self._model = fit_surrogate(self._surrogate, self._tradeoff.training(rows), known.seed)
        self._trained_on = known.observed

    def pick(self, known: Known) -> int:
        """What the acquisition scores highest, given what is running."""
        if self._model is None:
            return known.open[0]
        unseen = [row for row in known.observed if row not in self._trained_on]
        observed = list(known.observed)
        context = JointContext(
            aims=self._tradeoff.aims,
            observed=self._tradeoff.y[observed],
            observed_features=known.x[observed],
            pending=known.x[[*known.running, *unseen]],
            picks=known.picks,
            seed=known.seed,
        )
        features = known.x[list(known.open)]
        return known.open[
            select_jointly(self._model, features, self._acquisition, context)[0].index
        ]


class Scalarized:
    """One number of all targets, and a campaign for it alone: what trading off is compared to.

    The number is the sum of the targets, larger is better, each in standard deviations of the table.
    """

    def __init__(self, tradeoff: Tradeoff, surrogate: str, acquisition: str) -> None:
        oriented = tradeoff.oriented
        spread = oriented.std(axis=0)
        scalar = ((oriented - oriented.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).sum(
            axis=1
        )
        self._data = replace(tradeoff.data, y=scalar)
        self._surrogate: Any = plugins.create("surrogates", surrogate)
        self._acquisition: Acquisition = load_acquisition(acquisition)
        self._model: Model | None = None
        self._trained_on: tuple[int, ...] = ()

    def train(self, known: Known) -> None:
        """Fits the surrogate on the number."""
        self._model = None
        rows = np.array(known.observed, dtype=np.int64)
        self._model = fit_surrogate(self._surrogate, self._data.training(rows), known.seed)
        self._trained_on = known.observed

    def pick(self, known: Known) -> int:
        """What the acquisition scores highest."""
        if self._model is None:
            return known.open[0]
        pending = [*known.running, *(r for r in known.observed if r not in self._trained_on)]
        chosen = select(
            self._model,
            known.x[list(known.open)],
            [known.data.ids[row] for row in known.open],
            self._acquisition,
            goal="max",
            observed=self._data.y[list(known.observed)],
            observed_features=known.x[list(known.observed)],
            pending=known.x[pending] if pending else None,
            picks=known.picks,
            seed=known.seed,
        )
        return known.open[chosen[0].index]


def strategy(
    tradeoff: Tradeoff, surrogate: str, acquisition: str
) -> tuple[str, Callable[[], Strategy]]:
    """A strategy's name and how it is made: joint where the acquisition is, else on one number."""
    joint = is_joint(plugins.load("acquisitions", acquisition))
    name = f"{surrogate} + {acquisition}" + ("" if joint else " of the sum")
    cls: Any = Jointly if joint else Scalarized
    cls(tradeoff, surrogate, acquisition)
    return name, lambda: cls(tradeoff, surrogate, acquisition)
