"""Surrogate `auto`: the families, weighed by how they predict what lies outside of their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, JsonValue

from discover import plugins
from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData
from surrogates.calibration import scale_of
from surrogates.mixture import fitted, stacking_weights
from surrogates.splits import SPLITS, Pairs
from surrogates.tabular import TabularSurrogate, judging
from surrogates.validation import (
    HeldOut,
    Question,
    Respondent,
    data_hash,
    held_out_each,
    in_turn,
    log_density,
    subset,
    with_known_noise,
)

if TYPE_CHECKING:
    from surrogates.gated_mixture import Blend, GatedMixture

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
FAMILIES = (
    "bayesian-ridge",
    "ilr",
    "gp-linear",
    "gp-ard-linear",
    "gp-ard",
    "gp",
    "random-forest",
)


@dataclass(frozen=True)
class Judgement:
    """What held-out rows said of the families: weights and scales (regime x family), figures.

    `figures`: for each family the mean CRPS (target's unit; lower is better) on each split, and None
    where it could not be fitted.
    """

    families: tuple[str, ...]
    weights: Array
    scales: Array
    figures: dict[str, JsonValue]

    def blend(self, data: TrainingData, names: Sequence[str]) -> Blend:
        """Of these families, fitted on the rows of `data`."""
        import torch

        from surrogates.gated_mixture import Blend, Gate

        kept = [self.families.index(name) for name in names]
        weights = torch.from_numpy(self.weights[:, kept])
        scales = torch.from_numpy(self.scales[:, kept])
        return Blend(weights / weights.sum(dim=1, keepdim=True), scales, Gate.of(data))


class Auto(TabularSurrogate):
    """Several families, judged on this campaign's own data and mixed by regime.

    Whole groups, clusters of descriptors and the ends of the property's range are held out. Each tells
    how far to believe which family in one regime: inside of what is known, in novel surroundings, and at
    the edge of the known range of the property. A candidate gets the weights of the regimes it is in
    (`GatedMixture`): stacking (Yao et al., Bayesian Anal. 13, 917 (2018)) of families whose standard
    deviations have been scaled to their held-out errors.

    The first n rows decide, n being the largest multiple of `every` that there are, so that a decision
    holds for a while, and the same data give the same one. Of more than `rows`, a random part is asked.
    """

    def __init__(
        self,
        families: Annotated[tuple[str, ...], Field(min_length=1)] = FAMILIES,
        every: Annotated[int, Field(ge=1)] = 20,
        rows: Annotated[int, Field(ge=20)] = 200,
    ) -> None:
        self._families: dict[str, Surrogate] = {
            name: plugins.create("surrogates", name) for name in families
        }
        self._every = every
        self._rows = rows
        self.respondent: Respondent = in_turn
        self._judged: dict[tuple[str, int], Judgement] = {}

    def fit_exact(self, data: TrainingData, seed: int) -> GatedMixture:
        """Fits all families that weigh something; SurrogateError where none can be."""
        from surrogates.gated_mixture import GatedMixture

        judgement = self._judgement(data, seed)
        models, refused = fitted({f: self._families[f] for f in judgement.families}, data, seed)
        blend = judgement.blend(data, list(models))
        return GatedMixture(models, blend, {**judgement.figures, "refused": dict(refused)})

    def held_out(self, data: TrainingData, seed: int, folds: int) -> HeldOut:
        """Predictions for rows that the families have not seen; the weights, few numbers, have."""
        import torch

        data = self.without_bounds(data, seed)
        judgement = self._judgement(data, seed)
        kept = {name: self._families[name] for name in judgement.families}
        parts = held_out_each(kept, data, seed, folds, self.respondent)
        means = torch.from_numpy(np.stack([part.mean for part in parts]))
        variances = torch.from_numpy(np.stack([part.std for part in parts])).square()
        fold, (mean, std) = parts[0].fold, np.full((2, len(data)), np.nan)
        for k in range(int(fold.max()) + 1):
            inside = (fold == k) & data.at_target.numpy()
            rows = torch.from_numpy(inside)
            answered = means[:, rows].isfinite().all(dim=1).tolist()
            names = [name for name, done in zip(kept, answered, strict=True) if done]
            if not inside.any() or not names:
                continue  # these rows stay not a number, as in any validation
            blend = judgement.blend(subset(data, ~inside), names)
            own = means[answered][:, rows], variances[answered][:, rows]
            found, variance = blend.singly(data.x[rows].double(), *own, torch.zeros(1).double())
            mean[inside], std[inside] = found.numpy(), variance.sqrt().numpy()
        return HeldOut(mean, std, fold)

    def _judgement(self, data: TrainingData, seed: int) -> Judgement:
        """From the rows that decide; kept, as each of several targets has one that holds for a while."""
        import torch

        deciding = data.rows(torch.arange(len(data) - len(data) % self._every or len(data)))
        question = data_hash(deciding), seed
        if question not in self._judged:
            self._judged[question] = judge_families(
                self._families, deciding, seed, self._rows, self.respondent
            )
        return self._judged[question]


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
    pairs, counted = _pairs(data, seed), judging(data).numpy()
    weights, scales = np.empty((2, len(REGIMES), len(families)))
    errors: dict[str, dict[str, float | None]] = {name: {} for name in families}
    rows_of: dict[str, JsonValue] = {}
    for r, (regime, splits) in enumerate(REGIMES.items()):
        observed, means, stds = [], [], []
        for split in splits:
            y, mean, std = _predictions(families, data, pairs[split], seed, respondent)
            y = np.where(counted[[row for _, rows in pairs[split] for row in rows]], y, np.nan)
            for f, name in enumerate(families):
                score = crps(y, mean[:, f], std[:, f])
                errors[name][split] = float(np.nanmean(score)) if np.isfinite(score).any() else None
            observed.append(y)
            means.append(mean)
            stds.append(std)
        y, mean, std = (np.concatenate(parts) for parts in (observed, means, stds))
        z = (y[:, None] - mean) / std
        scales[r] = [scale_of(column[np.isfinite(column)]) for column in z.T]
        weights[r] = stacking_weights(log_density(y[:, None], mean, std * scales[r]))
        rows_of[regime] = int(np.isfinite(z).any(axis=1).sum())
    kept = (weights > SMALLEST).any(axis=0) | (weights.max(axis=0) == weights.max())
    names = tuple(name for name, keep in zip(families, kept, strict=True) if keep)
    weights = weights[:, kept] / weights[:, kept].sum(axis=1, keepdims=True)
    figures: dict[str, JsonValue] = {
        "crps": {name: dict(found) for name, found in errors.items()},
        "held_out_rows": rows_of,
        "weights": {
            regime: dict(zip(names, row.tolist(), strict=True))
            for regime, row in zip(REGIMES, weights, strict=True)
        },
        "scales": {
            regime: dict(zip(names, row.tolist(), strict=True))
            for regime, row in zip(REGIMES, scales[:, kept], strict=True)
        },
        "decided_on": len(data),
    }
    return Judgement(names, weights, scales[:, kept], figures)


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


def _predictions(
    families: Mapping[str, Surrogate],
    data: TrainingData,
    pairs: Pairs,
    seed: int,
    respondent: Respondent,
) -> tuple[Array, Array, Array]:
    """Targets (n), means and standard deviations (n x families) of all held-out rows.

    Not a number where a family could not be fitted: its CRPS in the figures says so.
    """
    import torch

    parts = [(data.rows(torch.from_numpy(a)), data.rows(torch.from_numpy(b))) for a, b in pairs]
    answers = iter(
        respondent(
            [
                Question(family, name, known, asked.x, seed)
                for known, asked in parts
                for name, family in families.items()
            ]
        )
    )
    nothing = np.zeros((0, len(families)))
    observed, means, stds = [np.zeros(0)], [nothing], [nothing]
    for _, asked in parts:
        mean, std = np.full((2, len(asked), len(families)), np.nan)
        for f in range(len(families)):
            answer = next(answers)
            if answer is not None:
                mean[:, f], std[:, f] = answer
                std[:, f] = with_known_noise(std[:, f], asked)
        observed.append(asked.y[:, 0].double().numpy())
        means.append(mean)
        stds.append(std)
    return np.concatenate(observed), np.concatenate(means), np.concatenate(stds)
