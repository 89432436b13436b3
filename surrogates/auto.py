"""Surrogate `auto`: the families, weighed by how they predict what lies outside of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover import plugins
from surrogates.base import Surrogate, TrainingData
from surrogates.judgement import Judgement, judge_families
from surrogates.mixture import fitted
from surrogates.tabular import TabularSurrogate
from surrogates.validation import HeldOut, Respondent, data_hash, held_out_each, in_turn, subset

if TYPE_CHECKING:
    from surrogates.gated_mixture import GatedMixture

FAMILIES = ("gp-linear", "gp-ard-linear", "gp-ard", "random-forest")
WITH_CATEGORIES = ("ilr",)
"""What is asked as well where some descriptors are categories: without any it is a Bayesian ridge."""


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
