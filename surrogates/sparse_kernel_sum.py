"""A sum of kernels seen through inducing points: `sparse-gp`, and the others with many rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from surrogates.gaussian import solved
from surrogates.kernel_sum import KernelSumGP
from surrogates.scaling import unit_box
from surrogates.screening import KernelScreening

if TYPE_CHECKING:
    from pydantic import JsonValue

JITTER = 1e-6
"""Added to the variances of the inducing points, relative to the target's."""


class SparseKernelSumGP(KernelSumGP):
    """`KernelSumGP` whose function is known through its values at m inducing points.

    The variational posterior of Titsias (AISTATS 2009), which is known in closed form for Gaussian
    noise: cost and memory grow as n m² and n m. `loss` is the negative of his bound (eq. 9), with a
    noise of its own for each row.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        noise: Tensor | None = None,
        *,
        inducing: Tensor,
        terms: Sequence[str],
        categories: Sequence[int] = (),
        ard: bool = False,
        reference: Tensor | None = None,
    ) -> None:
        super().__init__(
            x, y, noise, terms=terms, categories=categories, ard=ard, reference=reference
        )
        self._inducing = inducing
        self._factors: tuple[Tensor, Tensor, Tensor] | None = None

    def loss(self) -> Tensor:
        """Negative evidence lower bound and logarithm of the priors, up to a constant."""
        noise, values = self._noise_of_data(), self._values().squeeze(-1)
        _, inner, projected, scaled = self._factorized()
        variances = self.variances(self._data["x"])
        bound = (
            noise.log().sum()
            + 2 * inner.diagonal().log().sum()
            + (values.square() / noise).sum()
            - projected.square().sum()
            + (variances / noise).sum()
            - scaled.square().sum()
        )
        return 0.5 * bound + self._prior()

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Joint mean and covariance of the variational posterior."""
        if self._factors is None:
            outer, inner, projected, _ = (part.detach() for part in self._factorized())
            self._factors = outer, inner, projected
        outer, inner, projected = self._factors
        cross = self.covariance(x, self._inducing).mT
        one = solved(outer, cross)
        two = solved(inner, one)
        covariance = self.covariance(x, x) - one.mT @ one + two.mT @ two
        if observation_noise:
            covariance = covariance + self.noise_variance * torch.eye(x.shape[-2]).to(covariance)
        mean = (two.mT @ projected.unsqueeze(-1)).squeeze(-1)
        return self.shift + self.scale * mean, self.scale**2 * covariance

    def screening(self, pending: Tensor) -> KernelScreening:
        """Means and variances of single candidates, results at `pending` (p x d) believed."""
        outer, inner, projected, _ = self._factorized()
        unit = torch.eye(len(outer), dtype=outer.dtype)
        prior = torch.linalg.solve_triangular(outer, unit, upper=False).mT
        posterior = prior @ torch.linalg.solve_triangular(inner, unit, upper=False).mT
        return KernelScreening(
            self,
            self._inducing,
            posterior @ projected,
            [(-1.0, prior), (1.0, posterior)],
            pending=pending,
            noise=self.noise_variance,
            shift=self.shift,
            scale=self.scale,
        )

    def _factorized(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """L = chol(K_mm); chol(1 + A Aᵀ) with A = L⁻¹ K_mn Λ^-½; its solve of A Λ^-½ y; and A."""
        points, root_noise = self._inducing, self._noise_of_data().sqrt()
        ridge = JITTER * torch.eye(len(points), dtype=torch.float64)
        outer = torch.linalg.cholesky(self.covariance(points, points) + ridge)
        cross = self.covariance(points, self._data["x"])
        scaled = torch.linalg.solve_triangular(outer, cross, upper=False) / root_noise
        unit = torch.eye(len(points), dtype=torch.float64)
        inner = torch.linalg.cholesky(unit + scaled @ scaled.mT)
        right = scaled @ (self._values() / root_noise.unsqueeze(-1))
        projected = torch.linalg.solve_triangular(inner, right, upper=False).squeeze(-1)
        return outer, inner, projected, scaled

    @classmethod
    def seen_through(
        cls, inducing: Tensor, prior: KernelSumGP, x: Tensor, y: Tensor, noise: Tensor | None
    ) -> Self:
        """The prior of a fitted model, conditioned on other data through these points (m x d)."""
        settings, tensors = prior.dump()
        fitted = {k: value for k, value in tensors.items() if k.startswith("fitted.")}
        data = {"x": x, "y": y, "inducing": inducing} | ({} if noise is None else {"noise": noise})
        return cls.restore(settings, fitted | data)

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: training data, inducing points, fitted parameters."""
        settings, tensors = super().dump()
        return settings, tensors | {"inducing": self._inducing}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Inverse of `dump`."""
        model = cls(
            tensors["x"],
            tensors["y"],
            tensors.get("noise"),
            inducing=tensors["inducing"],
            **settings,
        )
        model.take_fitted(tensors)
        return model


def centres(x: Tensor, count: int, seed: int) -> Tensor:
    """Rows of `x` (n x d) that lie nearest to the centres of `count` clusters."""
    import numpy as np
    from sklearn.cluster import MiniBatchKMeans

    points = unit_box(x).transform(x).numpy()
    if len(points) <= count:
        return x
    found = MiniBatchKMeans(count, n_init=1, random_state=seed).fit(points)
    nearest = torch.cdist(torch.from_numpy(found.cluster_centers_), torch.from_numpy(points))
    return x[np.unique(nearest.argmin(dim=1).numpy())]
