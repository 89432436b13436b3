"""How good predictions are, and how honest: errors, ranking and uncertainty on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVELS = (0.5, 0.9, 0.95)
METRICS = {
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "spearman": "Spearman",
    "top_decile_recall": "top-decile recall",
    "nll": "NLL",
    "coverage_50": "coverage of 50 %",
    "coverage_90": "coverage of 90 %",
    "coverage_95": "coverage of 95 %",
    "sharpness": "sharpness",
    "error_uncertainty": "error–uncertainty correlation",
}
"""Every metric, and how it is called."""


class Paired(NamedTuple):
    """Mean difference of absolute errors (ours minus the baseline's), and its two-sided p-value."""

    difference: float
    p_value: float | None


def evaluate(
    observed: Array, mean: Array, std: Array | None, censored: npt.NDArray[np.int8] | None = None
) -> dict[str, float | None]:
    """All `METRICS` of n predictions; None where one is not defined.

    Where `censored` (n) is -1 or 1 the bound stands for the value in the errors, as is usual, and the
    likelihood is that of lying beyond it. `std` includes the noise; without it nothing is said of the
    uncertainty. Top-decile recall: the share of the highest tenth (one row at least) that is among as
    many highest predictions. Sharpness: the mean `std`. The last: Spearman's of |error| and `std`.
    """
    error = observed - mean
    spread = float(((observed - observed.mean()) ** 2).sum())
    found: dict[str, float | None] = dict.fromkeys(METRICS)
    found |= {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": 1 - float((error**2).sum()) / spread if spread > 0 and len(error) > 1 else None,
        "spearman": rank_correlation(observed, mean),
        "top_decile_recall": _recall(observed, mean)
        if np.ptp(mean) > 0 and np.ptp(observed) > 0
        else None,
    }
    if std is None:
        return found
    exact = np.ones(len(error), dtype=bool) if censored is None else censored == 0
    found |= {
        "nll": float(-_log_likelihood(observed, mean, std, censored).mean()),
        "sharpness": float(std.mean()),
        "error_uncertainty": rank_correlation(np.abs(error), std),
    }
    if exact.any():
        found |= coverages(error[exact], std[exact])
    return found


def coverages(error: Array, std: Array) -> dict[str, float | None]:
    """Share of the errors inside the central 50, 90 and 95 % intervals of normal predictions."""
    from scipy.stats import norm

    return {
        f"coverage_{round(100 * level)}": float(
            (np.abs(error) <= norm.ppf((1 + level) / 2) * std).mean()
        )
        for level in LEVELS
    }


def rank_correlation(a: Array, b: Array) -> float | None:
    """Spearman's coefficient; None where it is not defined."""
    from scipy.stats import spearmanr

    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def paired(errors: Array, baseline: Array, groups: npt.NDArray[np.int64]) -> Paired:
    """Wilcoxon's signed-rank test of absolute errors (n) on the same rows, averaged within `groups`.

    Rows of a group (the same material in several folds or seeds, say) are not independent: each group
    counts once. The p-value is None below six groups, where the test cannot reject anything.
    """
    from scipy.stats import wilcoxon

    of = np.unique(groups, return_inverse=True)[1]
    counts = np.bincount(of)
    difference = np.bincount(of, np.abs(errors) - np.abs(baseline)) / counts
    if len(difference) < 6 or not difference.any():
        return Paired(float(difference.mean()), None)
    return Paired(float(difference.mean()), float(wilcoxon(difference).pvalue))


def spread(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Mean, standard deviation and number of those values that are defined."""
    defined = [value for value in values if value is not None]
    if not defined:
        return {"mean": None, "std": None, "n": 0}
    std = float(np.std(defined, ddof=1)) if len(defined) > 1 else 0.0
    return {"mean": float(np.mean(defined)), "std": std, "n": len(defined)}


def _recall(observed: Array, mean: Array) -> float:
    n = max(1, round(0.1 * len(observed)))
    top, chosen = (set(np.argsort(-v, kind="stable")[:n].tolist()) for v in (observed, mean))
    return len(top & chosen) / n


def _log_likelihood(
    observed: Array, mean: Array, std: Array, censored: npt.NDArray[np.int8] | None
) -> Array:
    """Natural log of the normal density, or of the probability beyond a bound."""
    from scipy.stats import norm

    z = (observed - mean) / std
    density = norm.logpdf(z) - np.log(std)
    if censored is None:
        return np.asarray(density)
    return np.asarray(np.where(censored == 0, density, norm.logcdf(-censored * z)))
