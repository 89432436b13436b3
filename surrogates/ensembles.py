"""What ensembles of networks have in common: what each member sees, and what none of them explains."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from surrogates.base import TrainingData
from surrogates.gaussian import GaussianModel, member_covariance

if TYPE_CHECKING:
    from pydantic import JsonValue

NOISE_FLOOR = 1e-6
"""Smallest noise variance, relative to the target's."""


class MemberModel(GaussianModel):
    """The Gaussian of networks' predictions and of a noise that is the same everywhere.

    A child sets `_settings`, what it is made anew with, and the buffers `scale` and `relative_noise`.
    """

    _settings: dict[str, Any]

    @abstractmethod
    def members(self, x: Tensor) -> Tensor:
        """Predictions of all members (b x members x q) at x (b x q x d), on the target's scale."""

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Mean and covariance over the members."""
        values = self.members(x)
        covariance = member_covariance(values)
        if observation_noise:
            noise = self.noise_variance.expand(values.shape[-1])
            covariance = covariance + torch.diag_embed(noise)
        return values.mean(dim=-2), covariance

    @property
    def noise_variance(self) -> Tensor:
        """Variance of what no member explains, measured on out-of-bag observations (one number)."""
        return cast("Tensor", self.relative_noise * self.scale**2)

    @property
    def details(self) -> dict[str, JsonValue]:
        """Number of members and noise (standard deviation on the target's scale)."""
        return {
            "members": self._settings["members"],
            "noise_std": float(self.noise_variance) ** 0.5,
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`."""
        return self._settings, dict(self.state_dict())


def bootstrap(data: TrainingData, members: int, generator: torch.Generator) -> Tensor:
    """How often each member sees each row (members x n); whole groups are drawn."""
    groups = torch.arange(len(data.x)) if data.groups is None else data.groups
    _, group_of = groups.unique(return_inverse=True)
    n_groups = int(group_of.max()) + 1
    drawn = torch.randint(n_groups, (members, n_groups), generator=generator)
    counts = torch.zeros(members, n_groups, dtype=torch.float32).scatter_add(
        1, drawn, torch.ones(members, n_groups, dtype=torch.float32)
    )
    return counts[:, group_of]


def out_of_bag_noise(errors: Tensor, unseen: Tensor) -> float:
    """Mean squared error that the spread of the members does not explain, from rows they did not see.

    `errors` (members x n) of each member at each row, `unseen` marks those outside its bootstrap. With
    k such members at a row, the square of their mean error is expected to be noise + spread (1 + 1/k)
    (the mean of k members instead of all of them).
    """
    k = unseen.sum(dim=0)
    enough = k >= 2
    if not bool(enough.any()):
        return NOISE_FLOOR
    errors, unseen, k = errors[:, enough], unseen[:, enough], k[enough]
    mean = torch.where(unseen, errors, 0.0).sum(dim=0) / k
    spread = torch.where(unseen, (errors - mean).square(), 0.0).sum(dim=0) / (k - 1)
    return max(float((mean.square() - spread * (1 + 1 / k)).mean()), NOISE_FLOOR)
