"""Means and variances of single candidates, fast: what a large pool is screened by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch

from surrogates.gaussian import jittered

if TYPE_CHECKING:
    from torch import Tensor

Screening = Callable[["Tensor"], "tuple[Tensor, Tensor]"]
"""From descriptors (n x d) to the mean and variance (n each) of the noise-free target, in float64."""

BLOCKS = 4
"""Blocks of columns in which a triangular matrix is multiplied, so that its zeros are mostly left out."""


@runtime_checkable
class Screenable(Protocol):
    """A model that answers for many candidates, each for itself, faster than by its posterior."""

    def screening(self, pending: Tensor) -> Screening:
        """The answer given that results at `pending` (p x d) come out at their expected values.

        It may be single precision: whoever picks asks the posterior of the few best again.
        """
        ...


class ExactScreening:
    """A Gaussian process seen from single candidates, in single precision.

    With C the covariance of candidates with what is known (and pending), L the Cholesky root of the
    covariance of the latter, noise included, and w = L⁻ᵀL⁻¹y: the mean is C w, the variance that of the
    prior less the squared rows of C L⁻ᵀ (Rasmussen & Williams, Gaussian Processes for Machine Learning
    (2006), eqs. 2.25 and 2.26). Expected values of pending results leave w as it is.
    """

    def __init__(
        self,
        covariance: Callable[[Tensor, Tensor], Tensor],
        variances: Callable[[Tensor], Tensor],
        known: Tensor,
        joint: Tensor,
        weights: Tensor,
        *,
        shift: Tensor,
        scale: Tensor,
    ) -> None:
        """`covariance` (n x p) and `variances` (n) of the prior take float32 descriptors.

        `known` (p x d) are those of the data and, behind them, what is pending; `joint` (p x p) is their
        covariance with noise, in float64, and `weights` are w of the data (as many as these are).
        Everything is on the scale on which the target is `shift` + `scale` · f.
        """
        self._covariance, self._variances = covariance, variances
        self._known = known.float()
        root = torch.linalg.cholesky(jittered(joint))
        unit = torch.eye(len(root), dtype=root.dtype)
        self._half = torch.linalg.solve_triangular(root, unit, upper=False).mT.float().contiguous()
        self._weights = torch.zeros(len(known), dtype=torch.float32)
        self._weights[: len(weights)] = weights.flatten().float()
        self._shift, self._scale = shift, scale

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (n each) at `x` (n x d)."""
        single = x.float()
        cross = self._covariance(single, self._known)
        mean = (cross @ self._weights).double()
        explained = torch.zeros(len(x), dtype=torch.float32)
        for block in torch.arange(len(self._known)).split(-(-len(self._known) // BLOCKS)):
            start, stop = int(block[0]), int(block[-1]) + 1
            part = cross[:, :stop] @ self._half[:stop, start:stop]
            explained += part.square_().sum(dim=-1)
        variance = (self._variances(single) - explained).clamp_min(0.0).double()
        return self._shift + self._scale * mean, self._scale**2 * variance
