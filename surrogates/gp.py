"""Surrogate `gp`: a Gaussian process on descriptors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.kernel_families import LEARNING_ROWS, SmoothGaussianProcess
from surrogates.tabular import TabularSurrogate, known_noise

if TYPE_CHECKING:
    from botorch.models.model import Model


class GaussianProcess(TabularSurrogate):
    """Exact Gaussian process with one length scale for all descriptors (`SharedScaleGP`).

    With a hundred descriptors and tens of observations a length scale each (ARD) over-fits; one shared
    scale predicts better, and its fit has three parameters whatever the dimension.
    """

    def fit_exact(self, data: TrainingData, seed: int) -> Model:
        """Maximum a posteriori fit in float64; SurrogateError where the optimizer finds none.

        Known noise needs a noise of its own for each row, and with many rows a part of them has to set
        the parameters: such data get the same kernel in a `KernelSumGP`.
        """
        import torch
        from botorch.exceptions import ModelFittingError
        from botorch.fit import fit_gpytorch_mll
        from botorch.utils.sampling import manual_seed
        from gpytorch.mlls import ExactMarginalLogLikelihood

        from surrogates.exact_gp import SharedScaleGP
        from surrogates.threads import one_thread

        if known_noise(data) is not None or len(data) > LEARNING_ROWS:
            return SmoothGaussianProcess().fit_exact(data, seed)
        model = SharedScaleGP(data.x.double(), data.y.double())
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        try:
            # seeded, since a failed attempt is repeated from a draw of the prior
            with manual_seed(seed), torch.enable_grad(), one_thread():
                fit_gpytorch_mll(likelihood)
        except ModelFittingError as error:
            raise SurrogateError(f"the Gaussian process could not be fitted: {error}") from error
        return model
