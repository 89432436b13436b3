"""The BoTorch model behind the surrogate `auto`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import torch

from surrogates.domain import Domain
from surrogates.gaussian import GaussianModel, joint_moments
from surrogates.persistence import dump, restore
from surrogates.screening import screening_of
from surrogates.splits import SHARE

if TYPE_CHECKING:
    from botorch.models.model import Model
    from pydantic import JsonValue
    from torch import Tensor

    from surrogates.base import TrainingData
    from surrogates.screening import Screening

SOFTNESS = 0.1
"""Width of the gates, in units of the central range of the values and of the domain's border."""
SCREENING = 0.4
"""Weight beside a regime's heaviest from which on a family is asked while a large pool is screened."""


@dataclass(frozen=True)
class Gate:
    """How much a candidate is in each regime (inside, edge, novel), from its place and its mean.

    At the edge where the mean reaches the outer fifths of the known values, novel where it is outside of
    the `domain` otherwise; both are logistic functions, so that no prediction jumps.
    """

    domain: Domain
    low: float
    high: float

    @classmethod
    def of(cls, data: TrainingData) -> Gate:
        """That of the rows of one target's data; its edges are what splits by property hold out."""
        ends = torch.tensor([SHARE, 1 - SHARE]).double()
        low, high = data.y[:, 0].double().quantile(ends).tolist()
        return cls(Domain(data.x.double()), low, high)

    def __call__(self, x: Tensor, mean: Tensor) -> Tensor:
        """Shares (3 x b x q), which add up to one, at `x` (b x q x d) with these means (b x q)."""
        width = max(SOFTNESS * (self.high - self.low), 1e-12)
        above, below = (
            torch.sigmoid((mean - self.high) / width),
            torch.sigmoid((self.low - mean) / width),
        )
        edge = (above + below).clamp(max=1.0)
        novel = torch.sigmoid((self.domain.distance(x) - 1) / SOFTNESS)
        return torch.stack([(1 - edge) * (1 - novel), edge, (1 - edge) * novel])


@dataclass(frozen=True)
class Blend:
    """How far each family is believed: `weights` (regime x family), `scales` (regime), and the gate.

    With the shares g_r(x) of the regimes and the weights u_rf of the families, u_f = Σ g_r u_rf. A family
    that is unsure of a candidate is believed less there: its weight is w_f ∝ u_f / σ_f², with σ_f² the
    variance that it states for a value (as in the generalized product of experts, Cao and Fleet, arXiv
    1410.7827 (2014)). The standard deviation of what they say together is multiplied by s with
    s² = Σ g_r s_r².
    """

    weights: Tensor
    scales: Tensor
    gate: Gate

    def __call__(self, x: Tensor, means: Tensor, stated: Tensor) -> tuple[Tensor, Tensor]:
        """Weights w_f (f x b x q) and the regimes' shares g_r (r x b x q) at `x` (b x q x d).

        From the families' means and stated variances of a value (f x b x q); the edge's own weights say
        what is at the edge.
        """
        stated = stated.clamp_min(torch.finfo(stated.dtype).tiny)
        of_edge = self.weights[1].reshape(-1, *[1] * (means.ndim - 1))
        shares = self.gate(x, (_normalized(of_edge / stated) * means).sum(dim=0))
        return _normalized(torch.tensordot(self.weights.T, shares, dims=1) / stated), shares

    def squared_scale(self, shares: Tensor) -> Tensor:
        """Factor s² (b x q) of variances, from the regimes' shares (r x b x q)."""
        squared: Tensor = torch.tensordot(self.scales.square(), shares, dims=1)
        return squared

    def singly(
        self, x: Tensor, means: Tensor, variances: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance (n) and the regimes' shares (r x n) at single points `x` (n x d).

        From those of the families (f x n); `noise` (f x 1) is what a value's variance has beyond them.
        """
        weights, shares = self(x, means, variances + noise)
        mean = (weights * means).sum(dim=0)
        variance = (weights * (variances + (means - mean).square())).sum(dim=0)
        return mean, self.squared_scale(shares) * variance, shares


def _normalized(weights: Tensor) -> Tensor:
    """Weights (f x b x q) that add up to one over the families."""
    return weights / weights.sum(dim=0)


class GatedMixture(GaussianModel):
    """The Gaussian with the moments of a mixture whose weights depend on where a candidate is.

    With the weights w_f and scales s of its `Blend`: mean m = Σ w_f m_f, covariance s s' times
    Σ_f √(w_f w_f') (C_f + (m_f - m)(m_f' - m')): a mixture's at a single point, and positive definite
    between points.
    """

    def __init__(
        self, members: Mapping[str, Model], blend: Blend, figures: Mapping[str, JsonValue]
    ) -> None:
        super().__init__()
        self.members = dict(members)
        self.blend = blend
        self._figures = dict(figures)

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Moments of the mixture at `x` (b x q x d)."""
        with_noise = [
            joint_moments(member, x, observation_noise=True) for member in self.members.values()
        ]
        means = torch.stack([mean for mean, _ in with_noise])
        stated = torch.stack([own.diagonal(dim1=-2, dim2=-1) for _, own in with_noise])
        weights, shares = self.blend(x, means, stated)
        parts = (
            with_noise
            if observation_noise
            else [joint_moments(member, x) for member in self.members.values()]
        )
        mean = (weights * means).sum(dim=0)
        apart = weights.sqrt() * (means - mean)
        covariance = (apart.unsqueeze(-1) * apart.unsqueeze(-2)).sum(dim=0)
        for (_, own), root in zip(parts, weights.sqrt(), strict=True):
            covariance = covariance + root.unsqueeze(-1) * own * root.unsqueeze(-2)
        scale = self.blend.squared_scale(shares).sqrt()
        return mean, scale.unsqueeze(-1) * covariance * scale.unsqueeze(-2)

    def screening(self, pending: Tensor) -> Screening | None:
        """That of the families that weigh most, where each has its own; None otherwise.

        The others are asked of what is shortlisted. The noise is taken to be constant.
        """
        weights = self.blend.weights
        asked = (weights >= SCREENING * weights.amax(dim=1, keepdim=True)).any(dim=0)
        members = [m for m, heavy in zip(self.members.values(), asked, strict=True) if heavy]
        shares = weights[:, asked] / weights[:, asked].sum(dim=1, keepdim=True)
        blend = replace(self.blend, weights=shares)
        parts = [screening_of(member, pending) for member in members]
        one = self.blend.gate.domain.x[:1]
        noise = torch.stack(
            [
                joint_moments(member, one, observation_noise=True)[1]
                - joint_moments(member, one)[1]
                for member in members
            ]
        ).reshape(-1, 1)

        def moments(x: Tensor) -> tuple[Tensor, Tensor]:
            answers = [part(x) for part in parts if part is not None]
            means, variances = (torch.stack(part) for part in zip(*answers, strict=True))
            return blend.singly(x, means, variances, noise)[:2]

        return None if None in parts else moments

    @property
    def details(self) -> dict[str, JsonValue]:
        """Why these families: held-out figures, weights and scales of each regime."""
        return {
            "judged": self._figures,
            "members": {
                name: getattr(member, "details", {}) for name, member in self.members.items()
            },
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the members' own, each under its name, and the gate's rows."""
        members: dict[str, JsonValue] = {}
        tensors = {
            "weights": self.blend.weights,
            "scales_of_regimes": self.blend.scales,
            "domain": self.blend.gate.domain.x,
        }
        for name, member in self.members.items():
            members[name], own = dump(member)
            tensors |= {f"members/{name}/{key}": value for key, value in own.items()}
        settings: dict[str, JsonValue] = {
            "members": members,
            "edges": [self.blend.gate.low, self.blend.gate.high],
            "figures": self._figures,
        }
        return settings, tensors

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Inverse of `dump`."""
        members = {}
        for name, described in settings["members"].items():
            prefix = f"members/{name}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            members[name] = restore(described, own)
        low, high = settings["edges"]
        gate = Gate(Domain(tensors["domain"]), low, high)
        blend = Blend(tensors["weights"], tensors["scales_of_regimes"], gate)
        return cls(members, blend, settings["figures"])
