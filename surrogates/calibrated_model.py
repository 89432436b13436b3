"""The BoTorch model behind the surrogate `calibrated`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch

from surrogates.domain import Domain
from surrogates.gaussian import GaussianModel, joint_moments
from surrogates.persistence import dump, restore

if TYPE_CHECKING:
    from botorch.models.model import Model
    from pydantic import JsonValue
    from torch import Tensor


class CalibratedModel(GaussianModel):
    """A model whose standard deviations are scaled, by one factor inside the domain and one outside."""

    def __init__(
        self,
        model: Model,
        domain: Domain,
        scales: tuple[float, float],
        report: Mapping[str, JsonValue],
    ) -> None:
        super().__init__()
        self.model = model
        self.domain = domain
        self.scales = scales
        self._report = dict(report)

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Mean as it is, covariance S C S with the scales on the diagonal of S."""
        mean, covariance = joint_moments(self.model, x, observation_noise=observation_noise)
        inside, outside = torch.tensor(self.scales, dtype=torch.float64)
        scale = torch.where(self.domain.outside(x), outside, inside)
        return mean, covariance * scale.unsqueeze(-1) * scale.unsqueeze(-2)

    @property
    def details(self) -> dict[str, JsonValue]:
        """Rows, scale and coverage inside and outside, and the model's own details."""
        return {**getattr(self.model, "details", {}), "calibration": self._report}

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the model's own, the domain's rows, scales and report."""
        described, tensors = dump(self.model)
        settings: dict[str, JsonValue] = {
            "model": described,
            "scales": list(self.scales),
            "report": self._report,
        }
        return settings, {"domain": self.domain.x} | {f"model/{k}": v for k, v in tensors.items()}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> Self:
        """Inverse of `dump`."""
        own = {k.removeprefix("model/"): v for k, v in tensors.items() if k.startswith("model/")}
        inside, outside = settings["scales"]
        return cls(
            restore(settings["model"], own),
            Domain(tensors["domain"]),
            (inside, outside),
            settings["report"],
        )
