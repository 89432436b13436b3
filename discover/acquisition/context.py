"""What an acquisition function is told besides the mean and standard deviation of each candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from discover.objectives import Goal

Array = npt.NDArray[np.float64]
Function = TypeVar("Function", bound=Callable[..., Any])

LOGARITHMIC = "logarithmic"
"""Attribute of a function whose scores are logarithms of what is gained."""


def logarithmic(function: Function) -> Function:
    """Marks an acquisition function whose scores are logarithms, so that constraints weight it so."""
    setattr(function, LOGARITHMIC, True)
    return function


@dataclass(frozen=True)
class Orientation:
    """A view of the target in which larger is better: `sign` · (value - `centre`)."""

    sign: float
    centre: float

    def of(self, values: Array) -> Array:
        """Values on the target's own scale, seen this way."""
        return self.sign * (values - self.centre)


def orientations(goal: Goal, observed: Array) -> tuple[Orientation, ...]:
    """The views in which a goal is sought: one for `max` and for `min`, both for `extremes`.

    The centre is 0 but for `extremes`, where it is the middle of the observed range, so that both
    ends lie above it.
    """
    if goal == "extremes":
        centre = float(observed.min() + observed.max()) / 2
        return Orientation(1.0, centre), Orientation(-1.0, centre)
    return (Orientation(1.0 if goal == "max" else -1.0, 0.0),)


@dataclass(frozen=True)
class Context:
    """The third argument of `score(mean, std, context)`.

    Mean, `observed` and everything derived from it are on the model's scale (log10 for quantities
    that span decades) and turned so that **larger is always better**: for the goal `min` they are
    negated; for `extremes` the function is called twice, once for either end and counted from the
    middle of the observed range, and the better score counts.

    `ids` and `features` (n x d) belong to the n candidates that are scored; `observed` holds the values
    known so far, `observed_features` the descriptors they belong to (None where they were not given);
    `pending` counts the calculations still running, which mean and std already take for done with the
    expected result; `picks` counts all picks ever made, failed calculations included; `covariance`
    (n x n) is the joint covariance of the candidates, or None while a large pool is screened.
    """

    goal: Goal
    ids: Sequence[str]
    features: Array
    observed: Array
    pending: int
    picks: int
    seed: int
    observed_features: Array | None = None
    covariance: Array | None = None

    @property
    def best(self) -> float:
        """Best value observed so far."""
        return float(self.observed.max())

    @property
    def lowest(self) -> float:
        """Value observed so far at the other end."""
        return float(self.observed.min())

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator, the same for the same campaign seed and number of picks ever made."""
        return np.random.default_rng([self.seed, self.picks])
