"""Linear layers of many networks at once."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """One linear layer a member: members x ... x in -> members x ... x out."""

    def __init__(
        self, members: int, fan_in: int, fan_out: int, generator: torch.Generator, gain: float = 2.0
    ) -> None:
        super().__init__()
        single = torch.float32
        normal = torch.randn(members, fan_in, fan_out, generator=generator, dtype=single)
        self.weight = nn.Parameter(math.sqrt(gain / fan_in) * normal)
        normal = torch.randn(members, 1, fan_out, generator=generator, dtype=single)
        self.bias = nn.Parameter(0.1 * normal)

    def forward(self, x: Tensor) -> Tensor:
        """All members, each at its own points."""
        flat = torch.baddbmm(self.bias, x.flatten(1, -2), self.weight)
        return cast("Tensor", flat.unflatten(1, x.shape[1:-1]))
