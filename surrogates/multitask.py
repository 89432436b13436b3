"""Surrogate `multitask`: one Gaussian process for several properties that tell of one another."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.scaling import require_fittable, require_plain

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

    def __init__(self, outputs: Literal["first", "all"] = "first") -> None:
        self._outputs = outputs

    def fit(self, data: TrainingData, seed: int) -> CoregionalizedGP:
        """Maximum a posteriori fit in float64.

        Raises SurrogateError where the first property cannot be learned from its own rows, or another
        one has fewer than two values, or values are bounds or have known noise.
        """
        import torch
        from botorch.exceptions import ModelFittingError, OptimizationWarning
        from botorch.fit import fit_gpytorch_mll
        from botorch.utils.sampling import manual_seed
        from gpytorch.mlls import ExactMarginalLogLikelihood

        from surrogates.multitask_gp import CoregionalizedGP, exact_solves

        require_plain(data)
        require_fittable(data.output(0))
        for column in range(1, data.y.shape[1]):
            values = data.output(column).y
            if len(values) < 2 or not bool((values != values[0]).any()):
                raise SurrogateError(f"target {column} has no two different values: leave it out")
        model = CoregionalizedGP(data.x.double(), data.y.double(), outputs=self._outputs)
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        try:
            with warnings.catch_warnings(), manual_seed(seed), exact_solves(), torch.enable_grad():
                warnings.simplefilter("ignore", OptimizationWarning)
                fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": OPTIONS})
        except ModelFittingError as error:
            raise SurrogateError(f"the Gaussian process could not be fitted: {error}") from error
        model.requires_grad_(requires_grad=False)
        return model
