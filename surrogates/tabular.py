"""What surrogates on descriptors have in common: several targets, missing values, bounds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.scaling import require_fittable

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor


LEAST_TOLD = 1e-4
"""Share of its variance that a bound takes from what is expected, at least."""


class TabularSurrogate(ABC):
    """A surrogate that is written for one target without bounds, and here learns to take all data.

    Several targets get a model each, on the rows that have a value of theirs. Where values are bounds,
    a first fit on the others says what to expect there; each bound is then replaced by what is expected
    beyond it, with so much noise that it makes nothing surer than the bound does (`told_by`), and the
    model is fitted to all.
    """

    def fit(self, data: TrainingData, seed: int) -> Model:
        """A fitted model; SurrogateError where the data cannot support one."""
        targets = data.y.shape[1]
        if targets > 1:
            from surrogates.independent_outputs import IndependentOutputs

            return IndependentOutputs([self._target(data, j, seed) for j in range(targets)])
        require_fittable(data)
        return self.fit_exact(self.without_bounds(data, seed), seed)

    @abstractmethod
    def fit_exact(self, data: TrainingData, seed: int) -> Model:
        """A model of one target (n x 1) whose values are none of them bounds.

        `data.noise`, where given, is known noise; `require_fittable` has been asked.
        """

    def _target(self, data: TrainingData, column: int, seed: int) -> Model:
        try:
            return self.fit(data.output(column), seed)
        except SurrogateError as error:
            raise SurrogateError(f"target {column}: {error}") from error

    def without_bounds(self, data: TrainingData, seed: int) -> TrainingData:
        """One target's data with values, and noise, in the place of bounds."""
        import torch

        if data.censored is None or not bool(data.censored.any()):
            return data
        exact = data.rows(data.censored[:, 0] == 0)
        if can_be_fitted(exact):
            model = self.fit_exact(exact, seed)
            with torch.no_grad():
                posterior = model.posterior(data.x.double().unsqueeze(-2), observation_noise=True)
                mean, std = posterior.mean.flatten(1), posterior.variance.sqrt().flatten(1)
        else:  # nothing but bounds: each is as far beyond as the values are spread
            mean, std = data.y.double(), data.y.double().std().expand(data.y.shape)
        return with_bounds_filled(data, mean, std)


def with_bounds_filled(data: TrainingData, mean: Tensor, std: Tensor) -> TrainingData:
    """Values, and noise, in the place of bounds; `mean` and `std` (n x m) say what to expect there."""
    import torch

    if data.censored is None:
        return data
    bound = data.censored != 0
    known = torch.zeros_like(data.y) if data.noise is None else data.noise.nan_to_num(0.0)
    known = known.double()
    filled, spread = told_by(
        data.y[bound].double(),
        data.censored[bound].double(),
        mean[bound],
        torch.hypot(std[bound], known[bound]),
    )
    values, noise = data.y.double().clone(), torch.full(data.y.shape, torch.nan).double()
    if data.noise is not None:
        noise = data.noise.double().clone()
    values[bound] = filled
    noise[bound] = torch.hypot(known[bound], spread)
    return replace(data, y=values, noise=noise, censored=None)


def told_by(bound: Tensor, side: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Values and noise (n) that say of normals (n) what their bounds say.

    The value is the mean `beyond` the bound. The noise leaves a normal that is conditioned on it the
    variance that it has there, which may be hardly less than before: 1 / noise² = 1 / beyond² - 1 / std²
    (assumed density filtering: Minka, PhD thesis, MIT (2001), sect. 3.2). That would have a value still
    farther off as well, which extremes would be learned from that nobody measured.
    """
    value, std_beyond = beyond(bound, side, mean, std)
    share = (1 - (std_beyond / std).square()).clamp_min(LEAST_TOLD)
    return value, std_beyond / share.sqrt()


def can_be_fitted(data: TrainingData) -> bool:
    """Whether `require_fittable` has nothing against the data."""
    try:
        require_fittable(data)
    except SurrogateError:
        return False
    return True


def beyond(bound: Tensor, side: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of normals (n) that are cut off at bounds (n).

    `side` is -1 where the value is below its bound, +1 where it is above. With z = side (bound - mean)
    / std and λ = φ(z) / Φ(-z), the mean is mean + side std λ and the variance std² (1 - λ (λ - z))
    (Johnson, Kotz & Balakrishnan, Continuous Univariate Distributions 1 (1994), sect. 13.10.1).
    """
    import torch

    z = side * (bound - mean) / std
    # in the far tail, where mean and bound cancel, by the expansion of λ in 1 / z
    far = z > 30
    near = z.clamp(max=30.0)
    log_density = -0.5 * near.square() - 0.5 * math.log(2 * math.pi)
    ratio = (log_density - torch.special.log_ndtr(-near)).exp()
    excess = torch.where(far, 1 / z.clamp_min(30.0), ratio - near)
    variance = torch.where(far, 1 / z.clamp_min(30.0).square(), 1 - ratio * (ratio - near))
    return bound + side * std * excess, std * variance.clamp_min(1e-12).sqrt()


def known_noise(data: TrainingData) -> Tensor | None:
    """Known standard deviations (n) of one target's values, zero where unknown; None where all are."""
    if data.noise is None or bool(data.noise.isnan().all()):
        return None
    return data.noise[:, 0].double().nan_to_num(0.0)


def row_weights(data: TrainingData) -> Tensor:
    """How much each row counts (n, at most 1) for a model without a noise model of its own.

    A value whose known noise variance is v beside the target's variance s counts s / (s + v), with s that
    of the rows so weighted, beside the row that counts most.
    """
    import torch

    noise = known_noise(data)
    if noise is None:
        return torch.ones(len(data.x), dtype=torch.float64)
    y = data.y[:, 0].double()
    variance, weights = y.var(), torch.ones_like(y)
    least = 1e-9 * variance
    for _ in range(20):  # what is mostly noise does not say how widely the target is spread
        weights = variance / (variance + noise.square())
        mean = (weights * y).sum() / weights.sum()
        variance = ((weights * (y - mean).square()).sum() / weights.sum()).clamp_min(least)
    return weights / weights.max()


def judging(data: TrainingData) -> Tensor:
    """Which rows (n booleans) say how good predictions are: those that are not mostly noise."""
    return row_weights(data) > 0.5


def without_mere_noise(data: TrainingData) -> TrainingData:
    """The rows that are not mostly noise, where these tell more than the others together; else all.

    For networks: they go through every row in the end, however little it weighs.
    """
    weights, good = row_weights(data), judging(data)
    kept = data.rows(good)
    tell_more = bool(weights[good].sum() >= weights[~good].sum())
    return kept if tell_more and can_be_fitted(kept) else data
