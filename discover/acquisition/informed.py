"""Acquisition `informed-ucb`: an upper bound that pays for what a result tells of all the others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from discover.acquisition.context import Array, Context


def informed_upper_bound(
    mean: Array,
    std: Array,
    context: Context,
    *,
    beta: Annotated[float, Field(ge=0)] = 1.0,
) -> Array:
    """Mean plus `beta` times what a candidate may gain, or what it tells of the pool if that is less.

    What it may gain is its `std`. What it tells is the root of the mean over the pool of
    cov(i, j)² / var(i), by which the variances fall when i is known (A-optimal design: Cohn et al., J.
    Artif. Intell. Res. 4, 129 (1996)), on the scale of the mean `std`. So neither an outlier, which tells
    of itself alone, nor one of a large family that is known by now is worth a calculation for its bonus.
    While a large pool is screened, `std` stands in.
    """
    if context.covariance is None:
        return mean + beta * std
    told = np.sqrt((context.covariance**2).mean(axis=1)) / std
    told *= std.mean() / max(float(told.mean()), 1e-300)
    return np.asarray(mean + beta * np.minimum(told, std))
