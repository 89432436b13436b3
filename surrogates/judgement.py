"""How surrogates predict what was held out of a campaign's own data, and how far to believe each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData
from surrogates.calibration import PSEUDO_ROWS
from surrogates.mixture import stacking_weights
from surrogates.splits import SPLITS, Pairs
from surrogates.tabular import judging
from surrogates.validation import Question, Respondent, in_turn, log_density, with_known_noise

if TYPE_CHECKING:
    from torch import Tensor

    from surrogates.gated_mixture import Blend

Array = npt.NDArray[np.float64]

REGIMES: dict[str, tuple[str, ...]] = {
    "inside": ("group",),
    "edge": ("property-top", "property-bottom"),
    "novel": ("cluster",),
}
"""Where a candidate can be, and the splits that tell which family to believe there."""
PAIRS = 2
"""Parts of each split, at most, that are held out."""
SMALLEST = 0.05
"""A family that weighs less than this in every regime is left out."""
PRIOR = 3.0
"""Held-out rows that speak for each family, on average, before any is held out."""
AT_EDGE = {"gp-linear": 2.0, "gp-ard": 0.5, "gp": 0.5, "random-forest": 0.1}
"""Factors of a family's prior at the edge: trends go on there, trees stay where they are."""


@dataclass(frozen=True)
class Judgement:
    """What held-out rows said of the families: weights (regime x family), scales (regime), figures.

    `figures`: for each family the mean CRPS (target's unit; lower is better) on each split, and None
    where it could not be fitted.
    """

    families: tuple[str, ...]
    weights: Array
    scales: Array
    figures: dict[str, JsonValue]

    def blend(self, data: TrainingData, names: Sequence[str]) -> Blend:
        """Of these families, fitted on the rows of `data`."""
        kept = [self.families.index(name) for name in names]
        return _blend(self.weights[:, kept], self.scales, data)


def judge_families(
    families: Mapping[str, Surrogate],
    data: TrainingData,
    seed: int,
    rows: int,
    respondent: Respondent = in_turn,
) -> Judgement:
    """Weights and scales of families in each of the `REGIMES`, from at most `rows` of the data.

    The `respondent` makes the fits that this takes.
    """
    import torch

    if len(data) > rows:
        chosen = np.random.default_rng(seed).permutation(len(data))[:rows]
        data = data.rows(torch.from_numpy(np.sort(chosen)))
    parts = _held_out_parts(families, data, seed, respondent)
    weights = np.empty((len(REGIMES), len(families)))
    rows_of: dict[str, JsonValue] = {}
    for r, (regime, splits) in enumerate(REGIMES.items()):
        inside = [part for name in splits for part in parts[name]]
        densities = [log_density(part.y[:, None], part.mean, part.std) for part in inside]
        found = np.concatenate([np.zeros((0, len(families))), *densities])
        weights[r] = stacking_weights(found, prior_of(tuple(families), at_edge=regime == "edge"))
        rows_of[regime] = int(np.isfinite(found).any(axis=1).sum())
    kept = (weights > SMALLEST).any(axis=0) | (weights.max(axis=0) == weights.max())
    names = tuple(name for name, keep in zip(families, kept, strict=True) if keep)
    weights = weights[:, kept] / weights[:, kept].sum(axis=1, keepdims=True)
    scales = _scales(weights, parts, kept)
    figures: dict[str, JsonValue] = {
        "crps": {
            name: {split: _mean_crps(parts[split], f) for split in parts}
            for f, name in enumerate(families)
        },
        "held_out_rows": rows_of,
        "weights": {
            regime: dict(zip(names, row.tolist(), strict=True))
            for regime, row in zip(REGIMES, weights, strict=True)
        },
        "scales": dict(zip(REGIMES, scales.tolist(), strict=True)),
        "decided_on": len(data),
    }
    return Judgement(names, weights, scales, figures)


def prior_of(families: Sequence[str], *, at_edge: bool) -> Array:
    """Held-out rows that speak for each family beforehand (k): `PRIOR` on average."""
    prior = np.array([AT_EDGE.get(name, 1.0) if at_edge else 1.0 for name in families])
    return np.asarray(PRIOR * prior / prior.mean())


def crps(observed: Array, mean: Array, std: Array) -> Array:
    """Continuous ranked probability score of normal predictions, in the target's unit.

    Gneiting & Raftery, J. Am. Stat. Assoc. 102, 359 (2007), eq. 21 (there with the opposite sign).
    """
    from scipy.stats import norm

    z = (observed - mean) / std
    return np.asarray(
        std * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)), dtype=np.float64
    )


def _pairs(data: TrainingData, seed: int) -> dict[str, Pairs]:
    """`PAIRS` parts of each split at most; none where the rows do not bear a split."""
    y, x = data.y[:, 0].double().numpy(), data.descriptors.double().numpy()
    groups = None if data.groups is None else data.groups.numpy()
    rng = np.random.default_rng(seed)
    pairs = {}
    for splits in REGIMES.values():
        for name in splits:
            try:
                found = SPLITS[name](y, x, groups, seed)
            except SurrogateError:  # rows that are described alike have no clusters
                found = []
            pairs[name] = [found[i] for i in rng.permutation(len(found))[:PAIRS]]
    return pairs


@dataclass(frozen=True)
class HeldOutPart:
    """Rows that were held out: what was `known` without them, their `x` (n x d) and `y` (n).

    `mean` and `std` (n x families), noise included, are not a number where a family could not be fitted,
    nor `y` where a value is mostly noise.
    """

    known: TrainingData
    x: Tensor
    y: Array
    mean: Array
    std: Array


def _held_out_parts(
    families: Mapping[str, Surrogate], data: TrainingData, seed: int, respondent: Respondent
) -> dict[str, list[HeldOutPart]]:
    """What the families say of each part of each split that is held out."""
    import torch

    pairs, counted = _pairs(data, seed), judging(data)
    rows = [
        (data.rows(torch.from_numpy(known)), data.rows(torch.from_numpy(asked)), counted[asked])
        for found in pairs.values()
        for known, asked in found
    ]
    answers = iter(
        respondent(
            [
                Question(family, name, known, asked.x, seed)
                for known, asked, _ in rows
                for name, family in families.items()
            ]
        )
    )
    parts = []
    for known, asked, judges in rows:
        mean, std = np.full((2, len(asked), len(families)), np.nan)
        for f in range(len(families)):
            answer = next(answers)
            if answer is not None:
                mean[:, f], std[:, f] = answer
                std[:, f] = with_known_noise(std[:, f], asked)
        y = asked.y[:, 0].double().where(judges, torch.nan).numpy()
        parts.append(HeldOutPart(known, asked.x.double(), y, mean, std))
    each = iter(parts)
    return {name: [next(each) for _ in found] for name, found in pairs.items()}


def _mean_crps(parts: Sequence[HeldOutPart], family: int) -> float | None:
    """Of one family on all parts of a split; None without an answer."""
    scores = [crps(part.y, part.mean[:, family], part.std[:, family]) for part in parts]
    found = np.concatenate([np.zeros(0), *scores])
    return float(np.nanmean(found)) if np.isfinite(found).any() else None


def _scales(
    weights: Array, parts: Mapping[str, Sequence[HeldOutPart]], kept: npt.NDArray[np.bool_]
) -> Array:
    """Factors (regime) for standard deviations of what the families that are kept say together.

    The root mean square of standardized residuals, each counted in a regime by its share of it, and
    `PSEUDO_ROWS` that say one. The ends of the range were held out for their values, which makes
    residuals large: they count where such values were foreseen alone.
    """
    import torch

    squares, counts = np.full((2, len(REGIMES)), float(PSEUDO_ROWS))
    for r, (regime, splits) in enumerate(REGIMES.items()):
        for part in (part for name in splits for part in parts[name]):
            means, stds = part.mean[:, kept].T, part.std[:, kept].T
            answered = np.isfinite(means).all(axis=1)
            if not answered.any():
                continue
            blend = _blend(weights[:, answered], np.ones(len(REGIMES)), part.known)
            mean, variance, shares = blend.singly(
                part.x,
                torch.from_numpy(means[answered]),
                torch.from_numpy(stds[answered]).square(),
                torch.zeros(1).double(),
            )
            counted = np.isfinite(part.y)
            z = (part.y - mean.numpy()) / variance.sqrt().numpy()
            share = shares.numpy()[:, counted]
            if regime == "edge":
                share = share * (np.arange(len(REGIMES)) == r)[:, None]
            squares += share @ z[counted] ** 2
            counts += share.sum(axis=1)
    return np.asarray(np.sqrt(squares / counts))


def _blend(weights: Array, scales: Array, data: TrainingData) -> Blend:
    """Of families with these weights (regime x family) up to a factor, and scales, fitted on `data`."""
    import torch

    from surrogates.gated_mixture import Blend, Gate

    shares = weights / weights.sum(axis=1, keepdims=True)
    return Blend(torch.from_numpy(shares), torch.from_numpy(scales), Gate.of(data))
