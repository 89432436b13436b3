"""Surrogate `mixture`: several surrogates, weighted by how well they predict what they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover import plugins
from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData
from surrogates.tabular import TabularSurrogate, judging
from surrogates.validation import (
    Array,
    HeldOut,
    Respondent,
    data_hash,
    held_out_each,
    in_turn,
    log_density,
)

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates.mixture_model import MixtureModel

FOLDS = 5


class Mixture(TabularSurrogate):
    """The Gaussian that matches a mixture of surrogates in mean and covariance.

    Weights maximize the likelihood of held-out observations under the mixture (stacking of predictive
    distributions: Yao et al., Bayesian Anal. 13, 917 (2018)), with one pseudo-observation for each
    member, so that a few observations cannot silence one. They are equal where there are too few
    observations to hold any out. What the members are asked for the weights, the `respondent` answers.
    """

    def __init__(
        self,
        members: Annotated[tuple[str, ...], Field(min_length=1)] = ("gp-linear", "random-forest"),
    ) -> None:
        self._members: dict[str, Surrogate] = {
            name: plugins.create("surrogates", name) for name in members
        }
        self.respondent: Respondent = in_turn
        self._answered: tuple[tuple[str, int, int], list[HeldOut]] | None = None

    def fit_exact(self, data: TrainingData, seed: int) -> MixtureModel:
        """Fits every member on all data and, for the weights, on all but each of five folds.

        Members that cannot be fitted on all data are left out; SurrogateError where none can.
        """
        from surrogates.mixture_model import MixtureModel

        models, refused = fitted(self._members, data, seed)
        kept = [name in models for name in self._members]
        observed = _judged_by(data)
        weights = stacking_weights(_log_densities(observed, self._predictions(data, seed, FOLDS)))
        weights = weights[kept] / weights[kept].sum()
        return MixtureModel(models, dict(zip(models, weights.tolist(), strict=True)), refused)

    def held_out(self, data: TrainingData, seed: int, folds: int) -> HeldOut:
        """Predictions for rows that neither the members nor their weights have seen.

        Each member is fitted once a fold; the weights for a fold come from the other folds.
        """
        data = self.without_bounds(data, seed)
        parts = self._predictions(data, seed, folds)
        densities = _log_densities(_judged_by(data), parts)
        fold = parts[0].fold
        means = np.stack([part.mean for part in parts], axis=1)
        variances = np.stack([part.std for part in parts], axis=1) ** 2
        mean, variance = np.full((2, len(fold)), np.nan)
        for k in np.unique(fold):
            inside = fold == k
            own, answered = means[inside], np.isfinite(means[inside])
            weights = stacking_weights(densities[~inside]) * answered
            weights /= weights.sum(axis=1, keepdims=True).clip(min=1e-300)
            middle = np.nansum(weights * own, axis=1)
            spread = variances[inside] + (own - middle[:, None]) ** 2
            some = answered.any(axis=1)
            mean[inside] = np.where(some, middle, np.nan)
            variance[inside] = np.where(some, np.nansum(weights * spread, axis=1), np.nan)
        return HeldOut(mean, np.sqrt(variance), fold)

    def _predictions(self, data: TrainingData, seed: int, folds: int) -> list[HeldOut]:
        """Held-out predictions of every member; the last are kept: `fit` and validation ask the same."""
        question = (data_hash(data), seed, folds)
        asked, parts = self._answered or (None, [])
        if asked != question:
            parts = held_out_each(self._members, data, seed, folds, self.respondent)
            self._answered = question, parts
        return parts


def fitted(
    surrogates: Mapping[str, Surrogate], data: TrainingData, seed: int
) -> tuple[dict[str, Model], dict[str, str]]:
    """Those that can be fitted, and why the others cannot; SurrogateError where none can."""
    models, refused = {}, {}
    for name, surrogate in surrogates.items():
        try:
            models[name] = surrogate.fit(data, seed)
        except SurrogateError as error:
            refused[name] = str(error)
    if not models:
        raise SurrogateError(f"none can be fitted: {refused}")
    return models, refused


def stacking_weights(log_densities: Array, prior: Array | None = None) -> Array:
    """Weights of k predictive densities that make n held-out observations most likely.

    `log_densities` is n x k, not a number where a member has no answer: there it adds nothing to the
    likelihood. `prior` (k) are observations that speak for each member before any is made; one each, if
    not given. Expectation maximization for the proportions of a mixture.
    """
    answered = np.isfinite(log_densities)
    rows = np.where(answered, log_densities, -np.inf)[answered.any(axis=1)]
    beforehand = np.ones(log_densities.shape[1]) if prior is None else prior
    densities = np.exp(rows - rows.max(axis=1, keepdims=True))
    weights: Array = beforehand / beforehand.sum()
    for _ in range(200):
        shares = densities * weights
        shares /= shares.sum(axis=1, keepdims=True)
        weights = (shares.sum(axis=0) + beforehand) / (len(rows) + beforehand.sum())
    return weights


def _judged_by(data: TrainingData) -> Array:
    """One target's values (n), not a number where they are mostly noise."""
    values: Array = data.y[:, 0].double().where(judging(data), float("nan")).numpy()
    return values


def _log_densities(observed: Array, parts: list[HeldOut]) -> Array:
    return np.stack([log_density(observed, part.mean, part.std) for part in parts], axis=1)
