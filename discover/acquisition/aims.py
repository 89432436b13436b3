"""Objectives and constraints as a model sees them: by column, and on its scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.objectives import target_of

if TYPE_CHECKING:
    from discover.campaign import CampaignSpec
    from discover.properties import Property

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Aims:
    """What is sought of p modelled properties, all on the model's scale.

    The m objectives are the properties `columns`, turned by `signs` (+1 for max, -1 for min) so that
    larger is better; `references` (m) are turned too, not a number where there is none. `lower` and
    `upper` (p) are the limits of each property, infinite where it has none.
    """

    properties: tuple[Property, ...]
    columns: tuple[int, ...]
    signs: tuple[float, ...]
    references: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def of(cls, spec: CampaignSpec) -> Aims:
        """Those of a campaign, whose model has one column for each of `spec.modelled`."""
        names = [target.name for target in spec.modelled]
        signs = tuple(-1.0 if objective.goal == "min" else 1.0 for objective in spec.sought)
        lower, upper = [-math.inf] * len(names), [math.inf] * len(names)
        for limit in spec.constraints:
            column = names.index(limit.property)
            to_model = spec.modelled[column].to_model
            lower[column] = -math.inf if limit.above is None else to_model(limit.above)
            upper[column] = math.inf if limit.below is None else to_model(limit.below)
        return cls(
            properties=spec.modelled,
            columns=tuple(names.index(objective.property) for objective in spec.sought),
            signs=signs,
            references=tuple(
                math.nan
                if objective.reference is None
                else sign * target_of(objective).to_model(objective.reference)
                for sign, objective in zip(signs, spec.sought, strict=True)
            ),
            lower=tuple(lower),
            upper=tuple(upper),
        )

    @property
    def objectives(self) -> list[Property]:
        """The property of each objective."""
        return [self.properties[column] for column in self.columns]

    @property
    def constrained(self) -> list[int]:
        """Columns that have a limit."""
        limits = enumerate(zip(self.lower, self.upper, strict=True))
        return [column for column, (low, high) in limits if low > -math.inf or high < math.inf]

    def oriented(self, values: Array) -> Array:
        """The objectives (n x m), larger is better, of property values (n x p)."""
        return np.asarray(values[:, list(self.columns)] * np.array(self.signs))

    def oriented_draws(self, mean: Array, std: Array, normals: Array) -> Array:
        """Draws (n x S x m) of the objectives from independent normals (n x p); `normals` are S x m."""
        columns = list(self.columns)
        spread = std[:, None, columns] * normals
        return np.asarray((mean[:, None, columns] + spread) * np.array(self.signs))

    def complete(self, values: Array) -> Mask:
        """In which rows (n) everything that matters, objectives and constraints, is known."""
        return np.asarray(np.isfinite(values[:, [*self.columns, *self.constrained]]).all(axis=1))

    def feasible(self, values: Array) -> Mask:
        """Which rows (n) meet every constraint; what is not known does not."""
        with np.errstate(invalid="ignore"):
            within = (values > np.array(self.lower)) & (values < np.array(self.upper))
        return np.asarray(within[:, self.constrained].all(axis=1))

    def log_feasible(self, mean: Array, std: Array) -> Array:
        """Logarithm of the probability (n) that independent normals (n x p) meet every constraint."""
        total = np.zeros(len(mean))
        for column in self.constrained:
            below = (self.upper[column] - mean[:, column]) / std[:, column]
            above = (self.lower[column] - mean[:, column]) / std[:, column]
            total += _log_interval(above, below)
        return total

    def front(self, values: Array) -> Array:
        """Objectives (f x m), larger is better, of the feasible rows that no other one dominates."""
        known = values[self.complete(values) & self.feasible(values)]
        return self.oriented(known)[non_dominated(self.oriented(known))]


def non_dominated(points: Array) -> Mask:
    """Which points (n x m), larger is better, no other one dominates; equal ones all stay."""
    found = np.ones(len(points), dtype=bool)
    for i, point in enumerate(points):
        rivals = points[found]
        found[i] = not ((rivals >= point).all(axis=1) & (rivals > point).any(axis=1)).any()
    return found


def hypervolume(points: Array, references: Sequence[float]) -> float:
    """Volume between the reference and what these points (n x m), larger is better, dominate.

    By slices along the last objective, exact (While et al., IEEE Trans. Evol. Comput. 10, 29 (2006)).
    """
    above = points[(points > np.array(references)).all(axis=1)]
    if not len(above):
        return 0.0
    if points.shape[1] == 1:
        return float(above.max() - references[0])
    if points.shape[1] == 2:  # one sweep
        first, second = above[np.argsort(-above[:, 0], kind="stable")].T
        widths = first - np.append(first[1:], references[0])
        return float(widths @ (np.maximum.accumulate(second) - references[1]))
    levels = np.unique(above[:, -1])[::-1]
    floors = [*levels[1:].tolist(), float(references[-1])]
    return float(
        sum(
            (level - floor) * hypervolume(_top(above[above[:, -1] >= level, :-1]), references[:-1])
            for level, floor in zip(levels.tolist(), floors, strict=True)
        )
    )


def _top(points: Array) -> Array:
    return points[non_dominated(points)]


def _log_interval(low: Array, high: Array) -> Array:
    """log(Φ(high) - Φ(low)), accurate in both tails."""
    from scipy.special import log_ndtr

    swap = low > 0  # both in the upper tail: mirrored
    a, b = np.where(swap, -high, low), np.where(swap, -low, high)
    upper, lower = log_ndtr(b), log_ndtr(a)
    return np.asarray(upper + np.log1p(-np.exp(np.minimum(lower - upper, -1e-300))))
