"""Surrogate `multitask`: one Gaussian process for several properties that tell of one another."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.scaling import require_fittable
from surrogates.tabular import can_be_fitted, with_bounds_filled

if TYPE_CHECKING:
    from surrogates.multitask_gp import CoregionalizedGP

OPTIONS = {"maxiter": 100, "ftol": 1e-6}
"""Where the optimizer ends: covariances of properties have flat directions, which cost it hours."""


class MultiTask:
    """Multi-task GP by the intrinsic model of coregionalization (ICM): cov = K(x, x') ⊗ B.

    E. V. Bonilla, K. M. A. Chai and C. K. I. Williams, NeurIPS 20 (2007), as in BoTorch, with properties
    that may oppose one another. Each row may lack any of them. The model answers for the `first` one
    alone, of which the others tell, or for `all`.
    """

    joint: ClassVar[bool] = True

    def __init__(self, outputs: Literal["first", "all"] = "first") -> None:
        self._outputs = outputs

    def fit(self, data: TrainingData, seed: int) -> CoregionalizedGP:
        """Maximum a posteriori fit in float64; bounds are filled in by a first fit without them.

        Raises SurrogateError where the first property cannot be learned from its own rows, or another
        one has fewer than two values.
        """
        require_fittable(data.output(0))
        for column in range(1, data.y.shape[1]):
            values = data.output(column).y
            if len(values) < 2 or not bool((values != values[0]).any()):
                raise SurrogateError(f"target {column} has no two different values: leave it out")
        return self._fit_exact(self._without_bounds(data, seed), self._outputs, seed)

    def _without_bounds(self, data: TrainingData, seed: int) -> TrainingData:
        """Values, and noise, in the place of bounds, by what the other values say of those rows."""
        import torch

        if data.censored is None or not bool(data.censored.any()):
            return data
        y = data.y.double()
        exact = y.where(data.censored == 0, torch.nan)
        some = ~exact.isnan().all(dim=1)
        known = replace(data.rows(some), y=exact[some], censored=None)
        if all(can_be_fitted(known.output(column)) for column in range(y.shape[1])):
            model = self._fit_exact(known, "all", seed)
            with torch.no_grad():
                posterior = model.posterior(data.x.double().unsqueeze(-2), observation_noise=True)
                mean, std = posterior.mean.squeeze(-2), posterior.variance.sqrt().squeeze(-2)
        else:  # too few but bounds: each is as far beyond as the values are spread
            spread = (y - y.nanmean(dim=0)).square().nanmean(dim=0).sqrt()
            mean, std = y, spread.expand(y.shape)
        return with_bounds_filled(data, mean, std)

    def _fit_exact(
        self, data: TrainingData, outputs: Literal["first", "all"], seed: int
    ) -> CoregionalizedGP:
        from botorch.exceptions import ModelFittingError, OptimizationWarning
        from botorch.fit import fit_gpytorch_mll
        from botorch.utils.sampling import manual_seed
        from gpytorch.mlls import ExactMarginalLogLikelihood
        from torch import enable_grad

        from surrogates.multitask_gp import CoregionalizedGP, exact_solves

        known = data.noise is not None and not bool(data.noise.isnan().all())
        noise = data.noise.double() if data.noise is not None and known else None
        model = CoregionalizedGP(data.x.double(), data.y.double(), noise, outputs=outputs)
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        try:
            with warnings.catch_warnings(), manual_seed(seed), exact_solves(), enable_grad():
                warnings.simplefilter("ignore", OptimizationWarning)
                fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": OPTIONS})
        except ModelFittingError as error:
            raise SurrogateError(f"the Gaussian process could not be fitted: {error}") from error
        model.requires_grad_(requires_grad=False)
        return model
