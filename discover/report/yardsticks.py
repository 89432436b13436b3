"""What search curves and predicted intervals are held against: chance, and perfect calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVELS = (0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95)
"""Nominal probabilities of the central intervals whose coverage is reported."""


class BestOfDraws(NamedTuple):
    """Best value of the first k draws, k = 1, 2, ...: expectation and central 90 % band."""

    mean: Array
    low: Array
    high: Array


def best_of_draws(values: Sequence[float] | Array, draws: int | None = None) -> BestOfDraws:
    """Largest of k draws without replacement, for every k from 1 to `draws`, over all random orders.

    With x_1 <= ... <= x_n, P(max of k <= x_i) = C(i, k) / C(n, k) (David and Nagaraja, Order
    Statistics, 3rd ed., section 3.7), built up from k - 1 to k by the factor (i-k+1)/(n-k+1). Exact,
    O(n · draws), with all n values drawn by default. For the smallest, negate values and answer.
    ValueError where there are none, or fewer than draws.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    draws = n if draws is None else draws
    if n == 0 or draws > n:
        raise ValueError(f"{draws} draws cannot be made from {n} values")
    rank = np.arange(1, n + 1)
    cdf = np.ones(n)
    mean, low, high = np.empty(draws), np.empty(draws), np.empty(draws)
    for k in range(1, draws + 1):
        cdf = cdf * np.maximum(rank - k + 1, 0) / (n - k + 1)
        mean[k - 1] = np.diff(cdf, prepend=0.0) @ x
        low[k - 1] = x[_quantile(cdf, 0.05)]
        high[k - 1] = x[_quantile(cdf, 0.95)]
    return BestOfDraws(mean, low, high)


def believed_pool(unpicked: Mapping[str, Any], limit: int = 2000) -> Array:
    """Values of candidates that were never picked, from the quantiles in a model card.

    At most `limit` of them, evenly spread; see `discover.training.believed_values`.
    """
    quantiles = np.asarray(unpicked.get("quantiles", ()), dtype=np.float64)
    n = min(int(unpicked.get("candidates", 0)), limit)
    if n == 0 or len(quantiles) == 0:
        return np.empty(0)
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(quantiles)), quantiles)


def coverage(z_scores: Sequence[float] | Array, levels: Sequence[float] = LEVELS) -> Array:
    """Share of z = (value - mean)/std inside the central normal interval of each probability."""
    size = np.abs(np.asarray(z_scores, dtype=np.float64))
    return np.array([np.mean(size <= NormalDist().inv_cdf((1 + p) / 2)) for p in levels])


def coverage_band(n: int, levels: Sequence[float] = LEVELS) -> tuple[Array, Array]:
    """Central 90 % range of the coverage of n independent, perfectly calibrated predictions.

    The number inside is binomial with probability equal to the level.
    """
    from scipy.stats import binom

    p = np.asarray(levels, dtype=np.float64)
    return binom.ppf(0.05, n, p) / n, binom.ppf(0.95, n, p) / n


def _quantile(cdf: Array, probability: float) -> int:
    return int(np.searchsorted(cdf, probability - 1e-12))
