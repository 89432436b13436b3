"""The BoTorch model behind the surrogate `episodic`: ridge regression on learned features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from surrogates.gaussian import GaussianModel, member_covariance
from surrogates.scaling import standard_score
from surrogates.stacked_linear import StackedLinear

if TYPE_CHECKING:
    from pydantic import JsonValue


class EpisodicEnsemble(GaussianModel):
    """Members f(x; S) = φ(x)ᵀ (Φ_SᵀΦ_S + λ)⁻¹ Φ_Sᵀ y_S, φ a network with a constant among its features.

    Each is Bayesian linear regression in its features, so its own posterior covariance adds to the
    spread of the members. Standardized in and out.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        members: int,
        width: int,
        features: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {
            "members": members,
            "width": width,
            "features": features,
        }
        self._members = members
        self.network = nn.Sequential(
            StackedLinear(members, x.shape[-1], width, generator, gain=1.0),
            nn.SiLU(),
            StackedLinear(members, width, features, generator),
        )
        self.log_ridge = nn.Parameter(torch.full((members, 1), -2.0, dtype=torch.float32))
        self.scaling = standard_score(x)
        self.register_buffer("shift", y.mean())
        self.register_buffer("scale", y.std())
        size = features + 1
        self.register_buffer("weights", torch.zeros(members, size, dtype=torch.float64))
        self.register_buffer("inverse", torch.zeros(members, size, size, dtype=torch.float64))
        self.register_buffer("amplitude", torch.ones(members, dtype=torch.float64))

    @property
    def ridge(self) -> Tensor:
        """λ of each member."""
        return self.log_ridge.squeeze(-1).exp()

    def features(self, points: Tensor) -> Tensor:
        """φ (members x n x f) of standardized points (n x d), of length near one, the constant last."""
        learned = self.network(points.expand(self._members, *points.shape))
        scaled = learned / learned.shape[-1] ** 0.5
        return torch.cat([scaled, torch.ones_like(scaled[..., :1])], dim=-1)

    def regress(
        self, support: Tensor, target: Tensor, weights: Tensor, asked: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and variance (members x k, for amplitude 1 without noise) at the features `asked`.

        From the features `support` (members x n x f) of rows with these targets (n) and weights
        (members x n, 0 for a row that is not in the support).
        """
        solution, inverse = self._solve(support, target, weights)
        mean = (asked @ solution.unsqueeze(-1)).squeeze(-1)
        variance = self.ridge.unsqueeze(-1) * ((asked @ inverse) * asked).sum(dim=-1)
        return mean, variance

    def support(self, points: Tensor, target: Tensor, weights: Tensor) -> None:
        """Take these standardized rows as the support of all answers."""
        self.weights, self.inverse = self._solve(
            self.features(points), target, weights.expand(self._members, -1)
        )

    def _solve(self, support: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        weighted = support * weights.unsqueeze(-1)
        identity = torch.eye(support.shape[-1]).to(support)
        precision = weighted.mT @ support + self.ridge.view(-1, 1, 1) * identity
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        return (inverse @ (weighted.mT @ target).unsqueeze(-1)).squeeze(-1), inverse

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Those of the mixture of the members' Gaussians."""
        points = self.scaling.transform(x)
        features = self.features(points.flatten(0, -2)).unflatten(1, x.shape[:-1])
        values = torch.einsum("m...f,mf->m...", features, self.weights)
        noise = self.amplitude * self.ridge
        spread = torch.einsum("m...qf,mfg,m...pg,m->...qp", features, self.inverse, features, noise)
        covariance = spread / self._members + member_covariance(values.movedim(0, -2))
        if observation_noise:
            covariance = covariance + noise.mean() * torch.eye(x.shape[-2]).to(x)
        return self.shift + self.scale * values.mean(dim=0), self.scale.square() * covariance

    @property
    def details(self) -> dict[str, JsonValue]:
        """Number of members and noise (standard deviation on the target's scale)."""
        noise = (self.amplitude * self.ridge).mean().sqrt()
        return {"members": self._members, "noise_std": float(self.scale * noise)}

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`."""
        return self._settings, dict(self.state_dict())

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> EpisodicEnsemble:
        """Inverse of `dump`."""
        columns = tensors["network.0.weight"].shape[1]
        blank = torch.zeros(2, columns, dtype=torch.float64)
        model = cls(blank, blank[:, :1], **settings, generator=torch.Generator())
        model.double().load_state_dict(tensors)
        model.requires_grad_(requires_grad=False)
        model.eval()
        return model
