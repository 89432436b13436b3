"""Surrogate `sparse-gp`: a Gaussian process for more rows than an exact one can take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.kernel_families import codes
from surrogates.tabular import TabularSurrogate, known_noise

if TYPE_CHECKING:
    from surrogates.sparse_kernel_sum import SparseKernelSumGP

LEARNING_ROWS = 2000
"""Rows, at most, that the parameters are learned from; the model then knows all rows."""
LEARNING_STEPS = 60


class SparseGaussianProcess(TabularSurrogate):
    """Sparse variational Gaussian process (Titsias, AISTATS 2009): a linear trend and a smooth part.

    The function is seen through `inducing` points, centres of clusters of the descriptors. For more
    than about 5,000 rows; below, `gp` and `gp-linear` are exact. (Beyond, they too see all rows through
    inducing points, with parameters from some hundreds of rows.)
    """

    def __init__(self, inducing: Annotated[int, Field(ge=4)] = 300) -> None:
        self._inducing = inducing

    def fit_exact(self, data: TrainingData, seed: int) -> SparseKernelSumGP:
        """The largest bound on the evidence that a descent finds, in float64."""
        import torch

        from surrogates.descent import descend
        from surrogates.sparse_kernel_sum import SparseKernelSumGP, centres

        x, y, noise = data.x.double(), data.y.double(), known_noise(data)
        generator = torch.Generator().manual_seed(seed)
        rows = torch.randperm(len(x), generator=generator)[:LEARNING_ROWS]
        model = SparseKernelSumGP(
            x[rows],
            y[rows],
            None if noise is None else noise[rows],
            inducing=centres(x, self._inducing, seed),
            terms=("descriptors", "categories", "smooth"),
            categories=codes(data),
            reference=x,
        )
        return descend(model, LEARNING_STEPS).with_data(x, y, noise)
