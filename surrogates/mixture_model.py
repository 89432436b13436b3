"""The BoTorch model behind the surrogate `mixture`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from surrogates.gaussian import GaussianModel, joint_moments, mixture_moments
from surrogates.persistence import dump, restore
from surrogates.screening import screening_of

if TYPE_CHECKING:
    from botorch.models.model import Model
    from pydantic import JsonValue
    from torch import Tensor

    from surrogates.screening import Screening


class MixtureModel(GaussianModel):
    """The Gaussian with the mean and covariance of a weighted mixture of fitted models.

    `refused` says why others are not among them, by name; a model that is loaded has forgotten it.
    """

    def __init__(
        self,
        members: Mapping[str, Model],
        weights: Mapping[str, float],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.members = dict(members)
        self.weights = {name: weights[name] for name in members}
        self.refused = dict(refused or {})

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Moments of the mixture."""
        parts = [
            joint_moments(member, x, observation_noise=observation_noise)
            for member in self.members.values()
        ]
        return mixture_moments(list(self.weights.values()), parts)

    def screening(self, pending: Tensor) -> Screening | None:
        """That of the mixture, where every member has its own."""
        parts = [screening_of(member, pending) for member in self.members.values()]
        weights = torch.tensor(list(self.weights.values()), dtype=torch.float64).unsqueeze(-1)

        def moments(x: Tensor) -> tuple[Tensor, Tensor]:
            answers = [part(x) for part in parts if part is not None]
            means, variances = (torch.stack(part) for part in zip(*answers, strict=True))
            mean = (weights * means).sum(dim=0)
            return mean, (weights * (variances + (means - mean).square())).sum(dim=0)

        return None if None in parts else moments

    @property
    def details(self) -> dict[str, JsonValue]:
        """The weight of each member, and each member's own details."""
        return {
            "weights": dict(self.weights),
            "refused": dict(self.refused),
            "members": {
                name: getattr(member, "details", {}) for name, member in self.members.items()
            },
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the members' own, each under its name."""
        settings: dict[str, JsonValue] = {}
        tensors: dict[str, Tensor] = {}
        for name, member in self.members.items():
            described, of_member = dump(member)
            settings[name] = {"weight": self.weights[name], "model": described}
            tensors |= {f"{name}/{key}": value for key, value in of_member.items()}
        return settings, tensors

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> MixtureModel:
        """Inverse of `dump`."""
        members, weights = {}, {}
        for name, member in settings.items():
            own = {
                key.removeprefix(f"{name}/"): value
                for key, value in tensors.items()
                if key.startswith(f"{name}/")
            }
            members[name] = restore(member["model"], own)
            weights[name] = member["weight"]
        return cls(members, weights)
