"""The linear surrogates and the Gaussian processes with a trend or ARD: one model, different terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, known_noise

if TYPE_CHECKING:
    from surrogates.kernel_sum import KernelSumGP

LEARNING_ROWS = 500
"""Rows, at most, that the parameters are learned from; the model then knows all rows."""
EXACT_ROWS = 5000
"""Rows, at most, that a model knows exactly; more are seen through inducing points."""
INDUCING = 1000


class _KernelFamily(TabularSurrogate):
    """A `KernelSumGP` with these terms.

    Categories are the columns that the data call categorical, and those that hold two values. With more
    than `LEARNING_ROWS` rows a random part of them sets the variances and length scales; with more than
    `EXACT_ROWS` the model is a sparse one (`SparseKernelSumGP`).
    """

    terms: ClassVar[tuple[str, ...]]
    ard: ClassVar[bool] = False

    def fit_exact(self, data: TrainingData, seed: int) -> KernelSumGP:
        """Maximum a posteriori fit in float64; SurrogateError where the optimizer finds none."""
        import torch

        from surrogates.descent import descend
        from surrogates.kernel_sum import KernelSumGP
        from surrogates.threads import one_thread

        x, y, noise = data.x.double(), data.y.double(), known_noise(data)
        categories = codes(data)

        def model(rows: slice | torch.Tensor) -> KernelSumGP:
            return KernelSumGP(
                x[rows],
                y[rows],
                None if noise is None else noise[rows],
                terms=self.terms,
                categories=categories,
                ard=self.ard,
                reference=x,
            )

        with one_thread():
            if len(x) <= LEARNING_ROWS:
                return descend(model(slice(None)))
            generator = torch.Generator().manual_seed(seed)
            learned = descend(model(torch.randperm(len(x), generator=generator)[:LEARNING_ROWS]))
        if len(x) <= EXACT_ROWS:
            return learned.with_data(x, y, noise)
        from surrogates.sparse_kernel_sum import SparseKernelSumGP, centres

        return SparseKernelSumGP.seen_through(centres(x, INDUCING, seed), learned, x, y, noise)


class BayesianRidge(_KernelFamily):
    """Bayesian linear regression on all descriptors, its precisions set by the evidence."""

    terms = ("descriptors", "categories")


class InteractiveLinear(_KernelFamily):
    """Bayesian linear regression with all products of a descriptor and a category (QMex-ILR).

    Evidence sets one precision for each of descriptors, categories and products, so that products go no
    further than the data bear out.
    """

    terms = ("descriptors", "categories", "interactions")


class ARDRidge(_KernelFamily):
    """Bayesian linear regression with a prior variance of its own for each coefficient.

    Automatic relevance determination: with many descriptors, few of which matter, the evidence leaves
    the others out, and what is left extrapolates further.
    """

    terms = ("descriptors", "categories")
    ard = True


class SmoothGaussianProcess(_KernelFamily):
    """Exact Gaussian process, Matérn-5/2 with one length scale for all descriptors."""

    terms = ("smooth",)


class ARDGaussianProcess(SmoothGaussianProcess):
    """Exact Gaussian process, Matérn-5/2 with a length scale for each descriptor around a shared one."""

    ard = True


class LinearGaussianProcess(_KernelFamily):
    """A linear trend that goes on where the data end, and a smooth deviation from it.

    Bayesian linear regression plus a Gaussian process with one length scale for all descriptors. With
    `interactions`, products of descriptors and categories are in the trend.
    """

    def __init__(self, *, interactions: bool = True) -> None:
        products = ("interactions",) if interactions else ()
        self.terms = ("descriptors", "categories", *products, "smooth")  # type: ignore[misc]


class ARDLinearGaussianProcess(_KernelFamily):
    """`gp-linear` that finds out which descriptors matter, to the trend and to the deviation alike."""

    terms = ("descriptors", "categories", "interactions", "smooth")
    ard = True


def codes(data: TrainingData) -> tuple[int, ...]:
    """Columns that are categorical: by name, and those that hold exactly two values."""
    held = [len(column.unique()) for column in data.x.T]
    return tuple(j for j, n in enumerate(held) if n == 2 or j in data.categorical)
