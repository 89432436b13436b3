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
    """Mean plus `beta` times how far a result would move the whole pool.

    That is the root of the mean over the pool of cov(i, j)² / var(i), by which the variances fall when i
    is known (A-optimal design: Cohn et al., J. Artif. Intell. Res. 4, 129 (1996)), on the scale of the
    mean `std`. An outlier about which nothing is known tells of itself alone; one of a large family that
    was never tried tells of all of it. While a large pool is screened, `std` stands in.
    """
    if context.covariance is None:
        return mean + beta * std
    told = np.sqrt((context.covariance**2).mean(axis=1)) / std
    return np.asarray(mean + beta * told * (std.mean() / max(float(told.mean()), 1e-300)))
