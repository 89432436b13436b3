"""The BoTorch model behind the surrogate `fidelity-stack`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from surrogates.gaussian import GaussianModel, joint_moments
from surrogates.persistence import dump, restore

if TYPE_CHECKING:
    from botorch.models.model import Model
    from pydantic import JsonValue
    from torch import Tensor

RELATIVE_FLOOR = 1e-9
"""Smallest variance, relative to that of the values at the last fidelity."""
STEP = 0.5
"""Difference, in standard deviations of the values at a fidelity, over which a slope is taken."""


@dataclass(frozen=True)
class Level:
    """One fidelity: its model, the line (intercept, slope) it adds to, and the values known there.

    `x` (n x d) are descriptors and `y` (n) the values measured for them.
    """

    model: Model
    line: tuple[float, float]
    x: Tensor
    y: Tensor


class StackedModel(GaussianModel):
    """Fidelities that each take the value below as an input, jointly Gaussian to first order.

    f_m(x) = a + b f_{m-1}(x) + r_m(x, f_{m-1}(x)), linearized about the mean of f_{m-1}: with the slope
    g = b + ∂r/∂f, cov(f_m) = cov(r_m) + g cov(f_{m-1}) gᵀ and cov(f_m, f_j) = g cov(f_{m-1}, f_j). A
    value that was measured below the last fidelity is what it is: it has next to no variance.
    """

    def __init__(self, levels: Sequence[Level]) -> None:
        super().__init__()
        self.levels = tuple(levels)

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Joint mean and covariance over (candidate, fidelity) pairs; the last column is the fidelity."""
        if len(self.levels) == 1:
            return joint_moments(self.levels[0].model, x, observation_noise=observation_noise)
        descriptors, at = x[..., :-1], x[..., -1].long()
        means, covariances, noises = self._propagate(descriptors)
        mean = torch.stack(means, dim=-1).gather(-1, at.unsqueeze(-1)).squeeze(-1)
        total = torch.zeros_like(covariances[0][0])
        for one in range(len(self.levels)):
            for two in range(len(self.levels)):
                both = (at == one).unsqueeze(-1) & (at == two).unsqueeze(-2)
                total = torch.where(both, covariances[one][two], total)
        if observation_noise:
            noise = torch.stack(noises, dim=-1).gather(-1, at.unsqueeze(-1)).squeeze(-1)
            total = total + torch.diag_embed(noise)
        floor = RELATIVE_FLOOR * self.levels[-1].y.var()
        return mean, total + floor * torch.eye(total.shape[-1]).to(total)

    def marginals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (n) at the last fidelity of descriptors (n x d); what is known is known."""
        with torch.no_grad():
            means, covariances, _ = self._propagate(x.unsqueeze(-2))
            mean, variance = means[-1].squeeze(-1), covariances[-1][-1].flatten()
            known, values = self._known(self.levels[-1], x)
        return torch.where(known, values, mean), torch.where(known, 0.0, variance)

    def _propagate(self, x: Tensor) -> tuple[list[Tensor], list[list[Tensor]], list[Tensor]]:
        """Means and noise variances (b x q) of all fidelities, covariances (b x q x q) of all pairs."""
        means: list[Tensor] = []
        noises: list[Tensor] = []
        covariances: list[list[Tensor]] = []
        for number, level in enumerate(self.levels):
            inputs = x if not number else torch.cat([x, means[-1].unsqueeze(-1)], dim=-1)
            mean, covariance = joint_moments(level.model, inputs)
            _, observed = joint_moments(level.model, inputs, observation_noise=True)
            noise = (observed - covariance).diagonal(dim1=-2, dim2=-1).clamp_min(0.0)
            crossed: list[Tensor] = []
            if number:
                intercept, slope = level.line
                mean = mean + intercept + slope * means[-1]
                gain = slope + self._sensitivity(number, x, means[-1])
                crossed = [gain.unsqueeze(-1) * other for other in covariances[-1]]
                covariance = covariance + crossed[-1] * gain.unsqueeze(-2)
            if number < len(self.levels) - 1:
                known, values = self._known(level, x)
                free = (~known).to(mean)
                mean = torch.where(known, values, mean)
                noise = noise * free
                covariance = covariance * free.unsqueeze(-1) * free.unsqueeze(-2)
                crossed = [free.unsqueeze(-1) * part for part in crossed]
            for below, part in zip(covariances, crossed, strict=True):
                below.append(part.mT)
            covariances.append([*crossed, covariance])
            means.append(mean)
            noises.append(noise)
        return means, covariances, noises

    def _sensitivity(self, number: int, x: Tensor, below: Tensor) -> Tensor:
        """How much what a fidelity learned changes with the value below (b x q): a central difference."""
        scale = self.levels[number - 1].y.std()
        ends = [
            joint_moments(
                self.levels[number].model,
                torch.cat([x, (below + sign * STEP * scale).unsqueeze(-1)], dim=-1),
            )[0]
            for sign in (1.0, -1.0)
        ]
        return (ends[0] - ends[1]) / (2 * STEP * scale)

    @staticmethod
    def _known(level: Level, x: Tensor) -> tuple[Tensor, Tensor]:
        """Which points (b x q) were measured at a fidelity, and their values (the last, of several)."""
        same = (x.unsqueeze(-2) == level.x).all(dim=-1)
        last = (same * torch.arange(1, len(level.x) + 1)).argmax(dim=-1)
        return same.any(dim=-1), level.y[last]

    @property
    def details(self) -> dict[str, JsonValue]:
        """The line of each fidelity over the one below, and each model's own details."""
        return {
            "lines": [list(level.line) for level in self.levels[1:]],
            "levels": [getattr(level.model, "details", {}) for level in self.levels],
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the fidelities' own, each under its number."""
        settings: list[JsonValue] = []
        tensors: dict[str, Tensor] = {}
        for number, level in enumerate(self.levels):
            described, of_model = dump(level.model)
            settings.append({"line": list(level.line), "model": described})
            tensors |= {f"{number}/model/{key}": value for key, value in of_model.items()}
            tensors |= {f"{number}/x": level.x, f"{number}/y": level.y}
        return {"levels": settings}, tensors

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> StackedModel:
        """Inverse of `dump`."""
        levels = []
        for number, described in enumerate(settings["levels"]):
            prefix = f"{number}/model/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            model = restore(described["model"], own)
            intercept, slope = described["line"]
            levels.append(
                Level(model, (intercept, slope), tensors[f"{number}/x"], tensors[f"{number}/y"])
            )
        return cls(levels)
