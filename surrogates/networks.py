"""The BoTorch model behind the surrogate `deep-ensemble`: networks evaluated in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from surrogates.ensembles import MemberModel
from surrogates.scaling import standard_score


class StackedMLP(nn.Module):
    """`members` perceptrons of the same shape, their weights stacked: x (n x d) -> members x n."""

    def __init__(self, members: int, sizes: tuple[int, ...], generator: torch.Generator) -> None:
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            # He et al. (2015) behind an activation, unit variance at the input
            spread = math.sqrt((2.0 if layer else 1.0) / fan_in)
            normal = torch.randn(members, fan_in, fan_out, generator=generator, dtype=torch.float32)
            self.weights.append(nn.Parameter(spread * normal))
            normal = torch.randn(members, 1, fan_out, generator=generator, dtype=torch.float32)
            self.biases.append(nn.Parameter(0.1 * normal))

    def forward(self, x: Tensor) -> Tensor:
        """All members at all points."""
        hidden = x.expand(len(self.weights[0]), *x.shape)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(
                bias, hidden if layer == 0 else nn.functional.silu(hidden), weight
            )
        return hidden.squeeze(-1)


class NetworkEnsemble(MemberModel):
    """Networks with a random prior each, standardized in and out.

    A member is a trained network plus `prior_scale` times a frozen random one, so that members keep
    differing where there are no data (randomized prior functions: Osband et al., NeurIPS 2018). The
    networks are made in float32, which is enough to train them; `double()` makes the model ready for use.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        members: int,
        width: int,
        prior_scale: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self._settings: dict[str, Any] = {
            "members": members,
            "width": width,
            "prior_scale": prior_scale,
        }
        sizes = (x.shape[-1], width, width, 1)
        self.network = StackedMLP(members, sizes, generator)
        self.prior = StackedMLP(members, sizes, generator).requires_grad_(requires_grad=False)
        self.prior_scale = prior_scale
        self.scaling = standard_score(x)
        self.register_buffer("shift", y.mean())
        self.register_buffer("scale", y.std())
        self.register_buffer("relative_noise", torch.zeros((), dtype=torch.float64))

    def members(self, x: Tensor) -> Tensor:
        """Predictions of all members (b x members x q) at x (b x q x d), on the target's scale."""
        points = self.scaling.transform(x).flatten(0, -2)
        values = self.network(points) + self.prior_scale * self.prior(points)
        values = values.unflatten(-1, x.shape[:-1]).movedim(0, -2)
        return cast("Tensor", self.shift + self.scale * values)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> NetworkEnsemble:
        """Inverse of `dump`."""
        columns = tensors["network.weights.0"].shape[1]
        blank = torch.zeros(2, columns, dtype=torch.float64)
        model = cls(blank, blank[:, :1], **settings, generator=torch.Generator())
        model.double().load_state_dict(tensors)
        model.eval()
        return model
