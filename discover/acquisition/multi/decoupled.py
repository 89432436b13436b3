"""Which property of which candidate to compute next: what a result is expected to gain for its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from discover.acquisition.aims import Aims, Array, Mask
from discover.acquisition.multi.context import JointContext
from discover.acquisition.multi.hypervolume import cells

OUTER, INNER = 32, 32
"""Draws of the results of a calculation, and for each of them of what then is still unknown."""


@dataclass(frozen=True)
class Beliefs:
    """The p properties of n candidates: means (n x p) and covariances (n x p x p), both model scale.

    What is known has its value as mean and no variance.
    """

    mean: Array
    covariance: Array

    @classmethod
    def given(cls, mean: Array, covariance: Array, known: Array) -> Beliefs:
        """A model's answers with the values (n x p) that are known in their place."""
        told = np.isfinite(known)
        covariance = np.where(told[:, :, None] | told[:, None, :], 0.0, covariance)
        return cls(np.where(told, known, mean), covariance)


@dataclass(frozen=True)
class Look:
    """A candidate, the calculation to run for it, and what that is expected to gain for its cost."""

    index: int
    calculation: int
    worth: float


def best_look(
    beliefs: Beliefs,
    gives: Sequence[Sequence[int]],
    costs: Sequence[float],
    asked: Mask,
    context: JointContext,
) -> Look | None:
    """The calculation of a candidate that gains most for its cost; None where none gains anything.

    `gives` are the columns of the properties that each of F calculations computes, `costs` (F) what one
    costs, `asked` (n x F) which were picked already.

    A candidate is worth U, the hypervolume improvement that is expected of it when all is known and the
    constraints are met. A result y moves it to U(y), and the gain is how far that is expected to exceed
    the best U of all others, E[max(U(y) - τ, 0)]: the knowledge gradient of choosing which candidate to
    complete (Frazier et al., INFORMS J. Comput. 21, 599 (2009)), here for a part of its properties, as
    in decoupled hypervolume search (Daulton et al., ICML 2023). So a cheap property is looked at first
    where it may rule a candidate out or in, and a dear one where the cheap ones left it promising.
    """
    lower, upper = cells(context.front, context.aims.references)
    draws = np.random.default_rng([context.seed, context.picks]).standard_normal(
        (OUTER, INNER, 2, beliefs.mean.shape[1])
    )
    after = np.stack(
        [worth_after(beliefs, columns, context.aims, lower, upper, draws) for columns in gives],
        axis=1,
    )  # n x F x OUTER
    now = after.mean(axis=(1, 2))
    threshold = np.full(len(now), now.max())
    if len(now) > 1:
        first, second = np.argsort(-now, kind="stable")[:2]
        threshold[first] = now[second]
    else:
        threshold[:] = 0.0
    gain = np.maximum(after - threshold[:, None, None], 0.0).mean(axis=2) / np.asarray(costs)
    gain[asked] = -np.inf
    index, calculation = (int(place) for place in np.unravel_index(gain.argmax(), gain.shape))
    worth = float(gain[index, calculation])
    return Look(index, calculation, worth) if worth > 0 else None


def worth_after(
    beliefs: Beliefs,
    columns: Sequence[int],
    aims: Aims,
    lower: Array,
    upper: Array,
    draws: Array,
) -> Array:
    """U (n x S) once the properties `columns` are known, for S draws of what they turn out to be.

    `lower` and `upper` (K x m) are the boxes that the front does not dominate, `draws` (S x R x 2 x p)
    standard normals.
    """
    told = np.asarray(columns, dtype=np.int64)
    rest = np.setdiff1d(np.arange(beliefs.mean.shape[1]), told)
    own = root(beliefs.covariance[:, told[:, None], told])
    cross = beliefs.covariance[:, rest[:, None], told]
    solved = np.linalg.pinv(own) @ cross.transpose(0, 2, 1)  # of the results' standard normals
    left = root(beliefs.covariance[:, rest[:, None], rest] - solved.transpose(0, 2, 1) @ solved)
    z = draws[:, 0, 0, : len(told)]  # S x t
    results = beliefs.mean[:, None, told] + np.einsum("ntu,su->nst", own, z)
    expected = beliefs.mean[:, None, rest] + np.einsum("nur,su->nsr", solved, z)
    spread = np.einsum("nrq,siq->nsir", left, draws[:, :, 1, : len(rest)])
    values = np.empty((*spread.shape[:3], beliefs.mean.shape[1]))
    values[..., told] = results[:, :, None, :]
    values[..., rest] = expected[:, :, None, :] + spread
    flat = values.reshape(-1, values.shape[-1])
    gained = improvement(aims.oriented(flat), lower, upper) * aims.feasible(flat)
    return np.asarray(gained.reshape(values.shape[:3]).mean(axis=2))


def improvement(points: Array, lower: Array, upper: Array) -> Array:
    """Hypervolume (n) that each point (n x m) adds, by the boxes (K x m) it reaches into."""
    total = np.zeros(len(points))
    for low, high in zip(lower, upper, strict=True):
        total += (np.minimum(points, high) - low).clip(min=0.0).prod(axis=1)
    return total


def root(covariance: npt.NDArray[np.float64]) -> Array:
    """Symmetric square roots of covariances (n x k x k), singular ones included."""
    values, vectors = np.linalg.eigh(covariance)
    scaled = vectors * np.sqrt(values.clip(min=0.0))[:, None, :]
    return np.asarray(scaled @ vectors.transpose(0, 2, 1))
