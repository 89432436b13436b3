"""Kolmogorov-Arnold layers."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import BSpline

from surrogates.kan import DEGREE, StackedKAN, b_splines


def test_splines_are_those_of_scipy() -> None:
    knots = torch.linspace(-4.0, 4.0, 12, dtype=torch.float64)
    x = torch.linspace(-1.4, 1.4, 23, dtype=torch.float64)
    ours = b_splines(x, knots)
    for k in range(len(knots) - DEGREE - 1):
        one = np.zeros(len(knots) - DEGREE - 1)
        one[k] = 1
        theirs = BSpline(knots.numpy(), one, DEGREE)(x.numpy())
        np.testing.assert_allclose(ours[:, k], theirs, atol=1e-12)


def test_a_sum_of_functions_of_one_variable_is_learned() -> None:
    """What the layer can say exactly: y = sin 2u + v², from 200 points, by two members."""
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.rand(200, 2, generator=generator) - 2
    y = torch.sin(2 * x[:, 0]) + x[:, 1] ** 2
    layer = StackedKAN(2, 2, 1, generator)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = (layer(x.expand(2, -1, -1)).squeeze(-1) - y).square().mean()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.02 * float(y.var())


def test_far_outside_it_stays_finite() -> None:
    layer = StackedKAN(3, 4, 2, torch.Generator().manual_seed(0))
    assert bool(layer(torch.full((3, 5, 4), 100.0)).isfinite().all())
