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
from surrogates.calibration import PSEUDO_ROWS
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
    from torch import Tensor

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
FAMILIES = ("gp-linear", "gp-ard-linear", "gp-ard", "random-forest")
WITH_CATEGORIES = ("ilr",)
"""What is asked as well where descriptors are categories; without any it is a plain Bayesian ridge."""
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
        import torch

        from surrogates.gated_mixture import Blend, Gate

        kept = [self.families.index(name) for name in names]
        weights = torch.from_numpy(self.weights[:, kept])
        scales = torch.from_numpy(self.scales)
        return Blend(weights / weights.sum(dim=1, keepdim=True), scales, Gate.of(data))


class Auto(TabularSurrogate):
    """Several families, judged on this campaign's own data and mixed by regime.

    Whole groups, clusters of descriptors and the ends of the property's range are held out. Each tells
    how far to believe which family in one regime: inside of what is known, in novel surroundings, and at
    the edge of the known range of the property. A candidate gets the weights of the regimes it is in
    (`GatedMixture`): stacking (Yao et al., Bayesian Anal. 13, 917 (2018)). What they say together is
    then scaled, in each regime, to its held-out errors. Without `families`, they are `FAMILIES`, and
    those `WITH_CATEGORIES` where there are some.

    The first n rows decide, n being the largest multiple of `every` that there are, so that a decision
    holds for a while, and the same data give the same one. Of more than `rows`, a random part is asked.
    """

    def __init__(
        self,
        families: Annotated[tuple[str, ...], Field(min_length=1)] | None = None,
        every: Annotated[int, Field(ge=1)] = 20,
        rows: Annotated[int, Field(ge=20)] = 200,
    ) -> None:
        self._families: dict[str, Surrogate] = {
            name: plugins.create("surrogates", name)
            for name in families or (*WITH_CATEGORIES, *FAMILIES)
        }
        self._need_categories = () if families else WITH_CATEGORIES
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
            found, variance, _ = blend.singly(data.x[rows].double(), *own, torch.zeros(1).double())
            mean[inside], std[inside] = found.numpy(), variance.sqrt().numpy()
        return HeldOut(mean, std, fold)

    def _judgement(self, data: TrainingData, seed: int) -> Judgement:
        """From the rows that decide; kept, as each of several targets has one that holds for a while."""
        import torch

        deciding = data.rows(torch.arange(len(data) - len(data) % self._every or len(data)))
        question = data_hash(deciding), seed
        if question not in self._judged:
            asked = {
                name: family
                for name, family in self._families.items()
                if data.categorical or name not in self._need_categories
            }
            self._judged[question] = judge_families(
                asked, deciding, seed, self._rows, self.respondent
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

    from surrogates.gated_mixture import Blend, Gate

    squares, counts = np.full((2, len(REGIMES)), float(PSEUDO_ROWS))
    for r, (regime, splits) in enumerate(REGIMES.items()):
        for part in (part for name in splits for part in parts[name]):
            means, stds = part.mean[:, kept].T, part.std[:, kept].T
            answered = np.isfinite(means).all(axis=1)
            if not answered.any():
                continue
            own = torch.from_numpy(weights[:, answered])
            own = own / own.sum(dim=1, keepdim=True)
            blend = Blend(own, torch.ones(len(REGIMES)).double(), Gate.of(part.known))
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
