"""Means and variances of single candidates, fast: what a large pool is screened by."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from surrogates.gaussian import jittered

if TYPE_CHECKING:
    from torch import Tensor

Screening = Callable[["Tensor"], "tuple[Tensor, Tensor]"]
"""From descriptors (n x d) to the mean and variance (n each) of the noise-free target, in float64."""

BLOCKS = 4
"""Blocks of columns in which a triangular matrix is multiplied, so that its zeros are mostly left out."""


def screening_of(model: Any, pending: Tensor) -> Screening | None:
    """A fast screening by the model's own `screening(pending)`, None where it has none.

    It answers given that results at `pending` (p x d) come out at their expected values, and may be
    single precision: whoever picks asks the posterior of the few best again. Several threads may call
    it at once, so that it must not draw random numbers or change the model.
    """
    own = getattr(model, "screening", None)
    screening: Screening | None = None if own is None else own(pending)
    return screening


class Prior(Protocol):
    """The prior of a Gaussian process; a torch module, so that it can be had in single precision."""

    def covariance(self, one: Tensor, two: Tensor) -> Tensor:
        """That (n x p) between descriptors n x d and p x d."""
        ...

    def variances(self, x: Tensor) -> Tensor:
        """Variances (n) at descriptors n x d."""
        ...


class KernelScreening:
    """A Gaussian process seen from single candidates, in single precision.

    With k the prior covariance of a candidate with p basis points, its mean is k·w, and its posterior
    covariance with another candidate is that of the prior plus Σ s kᵀRRᵀk' over pairs of a sign s and an
    upper triangular R. What is pending lowers variances by C_xq (C_qq + noise)⁻¹ C_qx.
    """

    def __init__(
        self,
        prior: Prior,
        basis: Tensor,
        weights: Tensor,
        roots: Sequence[tuple[float, Tensor]],
        *,
        pending: Tensor,
        noise: Tensor,
        shift: Tensor,
        scale: Tensor,
    ) -> None:
        """`basis` is p x d, `weights` p, each root p x p, `pending` q x d, all in float64.

        Everything, the variance `noise` too, is on the scale on which the target is `shift` +
        `scale` · f.
        """
        self._prior = copy.deepcopy(prior).float()  # type: ignore[attr-defined] # it is a module
        self._basis, self._weights = basis.float(), weights.flatten().float()
        self._roots = [(sign, root.float().contiguous()) for sign, root in roots]
        self._shift, self._scale = shift, scale
        cross = prior.covariance(basis, pending)
        told = torch.zeros_like(cross)
        for sign, root in roots:
            told += sign * root @ (root.mT @ cross)
        joint = prior.covariance(pending, pending) + cross.mT @ told
        joint = joint + noise * torch.eye(len(pending)).to(joint)
        self._pending, self._told = pending.float(), told.float()
        self._joint = torch.linalg.cholesky(jittered(joint)).float() if len(pending) else joint

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (n each) at `x` (n x d)."""
        single = x.float()
        cross = self._prior.covariance(single, self._basis)
        mean = (cross @ self._weights).double()
        variance = self._prior.variances(single).float()
        for sign, root in self._roots:
            for block in torch.arange(len(root)).split(-(-len(root) // BLOCKS)):
                start, stop = int(block[0]), int(block[-1]) + 1
                part = cross[:, :stop] @ root[:stop, start:stop]
                variance = variance + sign * part.square_().sum(dim=-1)
        if len(self._pending):
            shared = self._prior.covariance(single, self._pending) + cross @ self._told
            explained = torch.linalg.solve_triangular(self._joint, shared.mT, upper=False)
            variance = variance - explained.square_().sum(dim=0)
        variance = variance.clamp_min(0.0).double()
        return self._shift + self._scale * mean, self._scale**2 * variance


def inverse_root(covariance: Tensor) -> Tensor:
    """The upper triangular R = L⁻ᵀ of a covariance L Lᵀ (p x p).

    That of an exact posterior's data, noise included, gives its variance k(x, x) - |kᵀR|² (Rasmussen &
    Williams, Gaussian Processes for Machine Learning (2006), eq. 2.26).
    """
    root = torch.linalg.cholesky(jittered(covariance))
    unit = torch.eye(len(root), dtype=root.dtype)
    inverse: Tensor = torch.linalg.solve_triangular(root, unit, upper=False)
    return inverse.mT
