"""The contract of an acquisition for several properties, and what it is told."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.acquisition.aims import Aims, Array
from discover.errors import PluginError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor


@dataclass(frozen=True)
class JointContext:
    """What is known besides a model's answers, all on the model's scale and not turned.

    `observed` (k x p) are the property values of the candidates computed so far, not a number where one
    is missing, and `observed_features` (k x d) their descriptors; `pending` (q x d) are calculations
    that are still running. `picks` counts all picks ever made.
    """

    aims: Aims
    observed: Array
    observed_features: Array
    pending: Array
    picks: int
    seed: int

    @cached_property
    def front(self) -> Array:
        """Objectives (f x m), larger is better, of what is feasible and not dominated so far."""
        return self.aims.front(self.observed)

    @cached_property
    def known(self) -> Array:
        """Objectives (k' x m), larger is better: of the feasible candidates or, without any, of all.

        Where none is known completely: the references.
        """
        complete = self.observed[self.aims.complete(self.observed)]
        feasible = complete[self.aims.feasible(complete)]
        if not len(complete):
            return np.array([self.aims.references])
        return self.aims.oriented(feasible if len(feasible) else complete)

    @property
    def rng(self) -> np.random.Generator:
        """A fresh generator, the same for the same campaign seed and number of picks ever made."""
        return np.random.default_rng([self.seed, self.picks])


class JointAcquisition(Protocol):
    """Scores candidates by several properties at once; the higher score is computed first.

    A class whose constructor's keywords are its options. `mean` and `std` (n x p) are those of each
    candidate alone, with pending results taken for done.
    """

    def screen(self, mean: Array, std: Array, context: JointContext) -> Array:
        """Cheap scores (n) of a large pool, by which those are found that `score` is asked about."""
        ...

    def score(
        self, model: Model, points: Tensor, mean: Array, std: Array, context: JointContext
    ) -> Array:
        """Scores (n) of a few candidates with descriptors `points` (n x d)."""
        ...


def is_joint(target: Any) -> bool:
    """Whether what a name stands for is an acquisition for several properties."""
    return inspect.isclass(target) and hasattr(target, "screen") and hasattr(target, "score")


def load_joint_acquisition(
    name: str, options: Mapping[str, Any] | None = None, base: Path | None = None
) -> JointAcquisition:
    """An acquisition for several properties by name; PluginError where it is none."""
    if not is_joint(plugins.load("acquisitions", name, base)):
        raise PluginError(f"acquisition {name!r} takes one property only")
    made: JointAcquisition = plugins.create("acquisitions", name, options, base)
    return made


def in_order(scores: Array, wanted: int) -> npt.NDArray[np.int64]:
    """Places of the best `wanted` scores, ascending; ties go to the earlier ones."""
    return np.sort(np.argsort(-scores, kind="stable")[:wanted]).astype(np.int64)
