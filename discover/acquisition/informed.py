"""Acquisition `informed-ucb`: an upper bound that pays for what a result tells of all the others."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.special import ndtr

from discover.acquisition.context import Array, Context

TOP = 0.1
"""Share of all candidates, known ones included, that counts as the top."""
LEAST = 1e-6


def informed_upper_bound(
    mean: Array,
    std: Array,
    context: Context,
    *,
    beta: Annotated[float, Field(ge=0)] = 1.0,
    focus: Annotated[float, Field(ge=0, le=1)] = 0.5,
) -> Array:
    """Mean plus `beta` times how far a result would move the pool, above all what may be at its top.

    That is the root of the mean over the pool of cov(i, j)² / var(i), by which the variances fall when i
    is known (A-optimal design: Cohn et al., J. Artif. Intell. Res. 4, 129 (1996)), on the scale of the
    mean `std`. An outlier about which nothing is known tells of itself alone; one of a large family that
    was never tried tells of all of it. In this mean every candidate weighs the same with the share
    1 - `focus`, and as the probability that it belongs to the top tenth with the share `focus`. While a
    large pool is screened, `std` stands in.
    """
    if context.covariance is None:
        return mean + beta * std
    threshold = np.quantile(np.concatenate([mean, context.observed]), 1 - TOP)
    at_top = ndtr((mean - threshold) / std) + LEAST
    weights = (1 - focus) / len(mean) + focus * at_top / at_top.sum()
    told = np.sqrt(context.covariance**2 @ weights) / std
    return np.asarray(mean + beta * told * (std.mean() / max(float(told.mean()), 1e-300)))
