"""Kolmogorov-Arnold layers: a learned function of one variable on every connection."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

DEGREE = 3


class StackedKAN(nn.Module):
    """Layers of the same shape, one a member, their coefficients stacked.

    Takes members x n x in and gives members x n x out, by Z. Liu et al., arXiv:2404.19756, eq. 2.10:
    `y_o = Σ_i [w_oi silu(x_i) + Σ_k c_oik B_k(x_i)]` with cubic B-splines on `intervals` equal intervals
    between -`extent` and `extent`; beyond, the splines fade out and the first term is left.
    """

    knots: Tensor

    def __init__(
        self,
        members: int,
        fan_in: int,
        fan_out: int,
        generator: torch.Generator,
        *,
        intervals: int = 6,
        extent: float = 3.0,
    ) -> None:
        super().__init__()
        step = 2 * extent / intervals
        knots = torch.arange(-DEGREE, intervals + DEGREE + 1, dtype=torch.float32) * step - extent
        self.register_buffer("knots", knots)
        normal = torch.randn(members, fan_in, fan_out, generator=generator)
        self.base = nn.Parameter(normal / math.sqrt(fan_in))
        normal = torch.randn(members, fan_in, intervals + DEGREE, fan_out, generator=generator)
        self.coefficients = nn.Parameter(0.3 * normal / math.sqrt(fan_in))

    def forward(self, x: Tensor) -> Tensor:
        """All members, each at its own points."""
        splines = b_splines(x, self.knots)
        return nn.functional.silu(x) @ self.base + torch.einsum(
            "mnik,miko->mno", splines, self.coefficients
        )


def b_splines(x: Tensor, knots: Tensor) -> Tensor:
    """Values (... x k) of the cubic B-splines on k + 4 `knots` at x (...).

    Recursion of C. de Boor, J. Approx. Theory 6, 50 (1972).
    """
    x = x.unsqueeze(-1)
    values = ((x >= knots[:-1]) & (x < knots[1:])).to(x)
    for degree in range(1, DEGREE + 1):
        rising = (x - knots[: -degree - 1]) / (knots[degree:-1] - knots[: -degree - 1])
        falling = (knots[degree + 1 :] - x) / (knots[degree + 1 :] - knots[1:-degree])
        values = rising * values[..., :-1] + falling * values[..., 1:]
    return values
