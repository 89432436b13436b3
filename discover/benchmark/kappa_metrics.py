"""How far conductivities are from reference values: single ones, their modes, and many compounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

WORST = 2.0
"""Both errors of a compound without a conductivity: unstable, of broken symmetry, or failed."""


def symmetric_relative_error(kappa: float, reference: float) -> float:
    """κ_SRE = 2 |κ - κ_ref| / (κ + κ_ref), from 0 to 2: B. Póta et al., arXiv:2408.00755."""
    return 2.0 * abs(kappa - reference) / (kappa + reference)


def symmetric_relative_mean_error(
    modes: ArrayLike, reference: ArrayLike, weights: ArrayLike
) -> float:
    """κ_SRME = 2 Σ |K(q,s) - K_ref(q,s)| / N / (κ + κ_ref): B. Póta et al., arXiv:2408.00755.

    `modes` and `reference` (Q, B) are the conductivity of each mode on the same irreducible q-points,
    averaged over directions, with the multiplicity of q in it; `weights` (Q,) are those
    multiplicities, which add up to N, and κ = Σ K / N. Bands are in the order of their frequencies.
    ValueError where the shapes differ.
    """
    one, other, multiplicity = np.asarray(modes), np.asarray(reference), np.asarray(weights)
    if one.shape != other.shape or one.shape[:1] != multiplicity.shape:
        raise ValueError(
            f"modes of shape {one.shape}, those of the reference {other.shape}, and weights of "
            f"{multiplicity.shape} are not on the same q-points and bands"
        )
    points = multiplicity.sum()
    total = (one.sum() + other.sum()) / points
    return float(2.0 * np.abs(one - other).sum() / points / total)


def mean(errors: Sequence[float | None]) -> float | None:
    """Mean of those that are known; None where none is."""
    known = [error for error in errors if error is not None]
    return float(np.mean(known)) if known else None


def log_error(kappas: ArrayLike, references: ArrayLike) -> float:
    """Mean of |log10 κ/κ_ref|."""
    return float(np.abs(np.log10(np.asarray(kappas) / np.asarray(references))).mean())


def mean_factor(kappas: ArrayLike, references: ArrayLike) -> float:
    """Geometric mean of κ/κ_ref: above 1 where conductivities come out too high."""
    return float(np.exp(np.log(np.asarray(kappas) / np.asarray(references)).mean()))


def spearman(kappas: ArrayLike, references: ArrayLike) -> float | None:
    """Spearman's rank correlation; None where it is not defined (fewer than three, or all alike)."""
    from scipy.stats import spearmanr

    one, other = np.asarray(kappas), np.asarray(references)
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)
