"""The built-in acquisition functions: plain `score(mean, std, context)`, larger is computed first.

`mean`, `std` and the answer are arrays of length n; keyword-only parameters are the options.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import numpy as np
from pydantic import Field

from discover.acquisition.context import Array, Context, logarithmic

SCREENING_STDS = 3.0
"""A candidate of a large pool takes part in Thompson sampling by its mean plus so many deviations."""


@logarithmic
def log_expected_improvement(mean: Array, std: Array, context: Context) -> Array:
    """Logarithm of the expected improvement over the best value observed."""
    return log_ei((mean - context.best) / std) + np.log(std)


@logarithmic
def extremes(mean: Array, std: Array, context: Context) -> Array:
    """Two-sided: log of the expected improvement above the best plus that below the lowest value."""
    above = log_ei((mean - context.best) / std)
    below = log_ei((context.lowest - mean) / std)
    return np.asarray(np.logaddexp(above, below) + np.log(std))


def upper_confidence_bound(
    mean: Array,
    std: Array,
    context: Context,  # noqa: ARG001 - the contract
    *,
    beta: Annotated[float, Field(ge=0)] = 2.0,
) -> Array:
    """Mean plus `beta` standard deviations (Srinivas et al., ICML 2010, eq. 6, whose β is squared)."""
    return mean + beta * std


def thompson(mean: Array, std: Array, context: Context) -> Array:
    """One joint sample of all candidates; while a large pool is screened, an upper bound on it."""
    if context.covariance is None:
        return mean + SCREENING_STDS * std
    # The eigenvectors rather than a Cholesky factor: candidates may be duplicates of one another.
    variances, directions = np.linalg.eigh(context.covariance)
    draws = context.rng.standard_normal(len(mean))
    return np.asarray(mean + directions @ (np.sqrt(variances.clip(min=0.0)) * draws))


def standard_deviation(mean: Array, std: Array, context: Context) -> Array:  # noqa: ARG001
    """Pure exploration: where the model is least certain."""
    return std


def greedy(mean: Array, std: Array, context: Context) -> Array:  # noqa: ARG001
    """Pure exploitation: the best mean."""
    return mean


def random_choice(mean: Array, std: Array, context: Context) -> Array:  # noqa: ARG001
    """A number in [0, 1) made from the seed and the candidate's id alone.

    So the order of picks does not depend on when results arrive.
    """
    return np.array([_uniform(f"{context.seed}:{candidate}") for candidate in context.ids])


def log_ei(z: Array) -> Array:
    """Logarithm of h(z) = φ(z) + z Φ(z), the expected improvement per standard deviation.

    Accurate for every z (Ament et al., NeurIPS 2023, eq. 9): directly for z > -1; below, where both
    terms cancel, through the scaled complementary error function; and for z < -1000, where that cancels
    too, by the asymptotic series φ(z) (1/z² - 3/z⁴).
    """
    from scipy.special import erfcx, ndtr

    log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    near, far = z > -1.0, z < -1e3
    middle = ~(near | far)
    result = np.empty_like(z)
    result[near] = np.log(np.exp(log_density[near]) + z[near] * ndtr(z[near]))
    x = -z[middle]
    result[middle] = log_density[middle] + np.log1p(-x * np.sqrt(np.pi / 2) * erfcx(x / np.sqrt(2)))
    x = -z[far]
    result[far] = log_density[far] - 2 * np.log(x) + np.log1p(-3 / x**2)
    return result


def _uniform(text: str) -> float:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2.0**64
