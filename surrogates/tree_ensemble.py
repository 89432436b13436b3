"""The BoTorch model behind the surrogates `random-forest` and `gradient-boosting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from surrogates.gaussian import GaussianModel, member_covariance
from surrogates.scaling import standard_score
from surrogates.tree_arrays import Trees

if TYPE_CHECKING:
    from pydantic import JsonValue

    from surrogates.screening import Screening

SPREAD, DISTANCE, NOISE = (0.0, 1.0), (-1.0, 1.0), (-2.5, 1.5)
"""Centre and width of the normal priors of the log factors of `TreeEnsemble`."""


class TreeEnsemble(GaussianModel):
    """Members made of trees, and a Gaussian as wide as their errors on rows that they did not see.

    var f(x) = s² v(x) + b u(x) with v the variance of the members and u(x) = 1 - exp(-r²/2) of the
    distance r to the nearest known row, in standard scores weighed by the importance of each
    descriptor: trees are constant where the data end, and so is their spread, but doubt should grow. The
    factors and the noise are those that make out-of-bag residuals most likely (`Calibration`).

    A candidate's covariance with another is that of the members plus b √(u u') exp(-r²/2).
    """

    def __init__(
        self,
        trees: Trees,
        members: int,
        x: Tensor,
        importance: Tensor,
        factors: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.trees = trees
        self._members = members
        self._x = x
        self.importance = importance / importance.sum().clamp_min(1e-300)
        self.scaling = standard_score(x)
        self.factors = torch.ones(3, dtype=torch.float64) if factors is None else factors

    def members(self, x: Tensor) -> Tensor:
        """Predictions of all members (b x members x q) at x (b x q x d): sums of their trees."""
        values = self.trees(x.flatten(0, -2)).unflatten(-1, (self._members, -1)).sum(dim=-1)
        return cast("Tensor", values.unflatten(0, x.shape[:-1]).mT)

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Mean of the members; covariance as above."""
        spread, distance, noise = self.factors
        values = self.members(x)
        points = self.points(x)
        root = novelty(torch.cdist(points, self.points(self._x)).amin(dim=-1)).sqrt()
        near = (-0.5 * torch.cdist(points, points).square()).exp()
        apart = root.unsqueeze(-1) * root.unsqueeze(-2) * near
        covariance = spread * member_covariance(values) + distance * apart
        if observation_noise:
            covariance = covariance + noise * torch.eye(x.shape[-2]).to(covariance)
        # on known rows all members may agree exactly, which is no certainty
        floor = 1e-6 * self.factors[1] * torch.eye(x.shape[-2]).to(covariance)
        return values.mean(dim=-2), covariance + floor

    def screening(self, pending: Tensor) -> Screening:  # noqa: ARG002 - see below
        """Means and variances of single candidates; what is pending lowers none of them.

        Running calculations are few, and are believed when the best candidates are picked from.
        """
        spread, distance, _ = self.factors
        known = self.points(self._x).float()

        def moments(x: Tensor) -> tuple[Tensor, Tensor]:
            values = self.trees(x).unflatten(-1, (self._members, -1)).sum(dim=-1)
            apart = novelty(torch.cdist(self.points(x).float(), known).amin(dim=-1)).double()
            return values.mean(dim=-1), spread * values.var(dim=-1) + distance * apart

        return moments

    def points(self, x: Tensor) -> Tensor:
        """Standard scores weighed by the importance of their columns: r = 1 is far."""
        scores: Tensor = self.scaling.transform(x)
        return scores * self.importance.sqrt()

    @property
    def details(self) -> dict[str, JsonValue]:
        """Factors of the spread and of the distance, noise (standard deviation), members."""
        spread, distance, noise = self.factors.tolist()
        return {
            "members": self._members,
            "spread_factor": spread**0.5,
            "distance_std": distance**0.5,
            "noise_std": noise**0.5,
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: trees as arrays, known rows, factors."""
        trees = {f"trees.{name}": value for name, value in self.trees.tensors.items()}
        own = {"x": self._x, "importance": self.importance, "factors": self.factors}
        return {"members": self._members}, trees | own

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> TreeEnsemble:
        """Inverse of `dump`."""
        arrays = {
            name.removeprefix("trees."): value
            for name, value in tensors.items()
            if name.startswith("trees.")
        }
        own = (tensors[name] for name in ("x", "importance", "factors"))
        return cls(Trees(arrays), settings["members"], *own)


class Calibration(nn.Module):
    """Factors of spread and distance, and noise, from residuals (n) on rows that were not seen.

    `spread` (n) are the variances of the members that did not see the row, `novelty` (n) tells how far
    it is from the others.
    """

    def __init__(self, residual: Tensor, spread: Tensor, novelty: Tensor) -> None:
        super().__init__()
        self._scale = residual.square().mean().clamp_min(1e-300)
        self._squares = residual.square() / self._scale
        self._parts = torch.stack([spread / self._scale, novelty, torch.ones_like(spread)])
        self._priors = torch.tensor([SPREAD, DISTANCE, NOISE], dtype=torch.float64)
        self.log_factors = nn.Parameter(self._priors[:, 0].clone())

    def loss(self) -> Tensor:
        """Negative log likelihood of the residuals, and of the priors."""
        variance = self.log_factors.exp() @ self._parts
        centre, width = self._priors.T
        prior = 0.5 * ((self.log_factors - centre) / width).square().sum()
        loss: Tensor = 0.5 * (variance.log() + self._squares / variance).sum() + prior
        return loss

    @property
    def factors(self) -> Tensor:
        """Of the spread (a number), of the distance and of the noise (variances of the target)."""
        factors = self.log_factors.detach().exp()
        return factors * torch.stack([torch.ones_like(self._scale), self._scale, self._scale])


def unjudged(variance: Tensor) -> Tensor:
    """Factors of `TreeEnsemble` by their priors alone, for a target of this variance."""
    centres = torch.tensor([SPREAD[0], DISTANCE[0], NOISE[0]], dtype=torch.float64).exp()
    return centres * torch.stack([torch.ones_like(variance), variance, variance])


def novelty(distance: Tensor) -> Tensor:
    """From 0 at a known row to 1 far from all."""
    return -torch.expm1(-0.5 * distance.square())
