"""The surrogate that gives the lower values to any other as inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from surrogates.conformance import MultiFidelityConformance, TabularConformance, ladder_data
from surrogates.fidelity_stack import FidelityStack, straight_line
from surrogates.gaussian import joint_moments


class TestOneFidelity(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> FidelityStack:
        return FidelityStack(base="gp")


class TestOfGaussianProcesses(MultiFidelityConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> FidelityStack:
        return FidelityStack(base="gp")


class TestOfDeepEnsembles(MultiFidelityConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> FidelityStack:
        return FidelityStack()


def test_what_was_measured_below_has_next_to_no_variance_there() -> None:
    data = ladder_data(12, 6)
    model = FidelityStack(base="gp").fit(data, seed=0)
    with torch.no_grad():
        mean, covariance = joint_moments(model, data.x[:3])
    torch.testing.assert_close(mean, data.y[:3, 0])
    assert 0 < float(covariance.abs().max()) < 1e-8 * float(data.y.var())
    model.posterior(data.x[:1]).rsample(torch.Size([2]))  # it can be factorized


def test_bounds_are_taken_at_any_fidelity() -> None:
    data = ladder_data(24, 8)
    for row in (3, 26):
        censored = torch.zeros(data.y.shape, dtype=torch.int8)
        censored[row] = -1
        model = FidelityStack(base="gp").fit(replace(data, censored=censored), seed=0)
        assert bool(model.posterior(data.x).variance.isfinite().all())


def test_uncertainty_below_is_handed_on() -> None:
    """By the slope: where the value below is unknown, at least slope² times its variance is above."""
    data = ladder_data(12, 6)
    model = FidelityStack(base="gp").fit(data, seed=0)
    new = ladder_data(4, 4, seed=1).x
    with torch.no_grad():
        _, covariance = joint_moments(model, new)
    below, above = covariance.diagonal()[:4], covariance.diagonal()[4:]
    cross = covariance[torch.arange(4), torch.arange(4, 8)]
    gain = cross / below
    assert bool((above >= gain.square() * below - 1e-12).all())
    torch.testing.assert_close(gain, torch.full_like(gain, 2.0), rtol=0.25, atol=0.0)


def test_three_fidelities_have_one_positive_covariance() -> None:
    two = ladder_data(10, 8)
    top = two.x[10:14].clone()
    top[:, -1] = 2.0
    data = type(two)(torch.cat([two.x, top]), torch.cat([two.y, two.y[10:14] ** 2]), fidelities=3)
    model = FidelityStack(base="gp").fit(data, seed=0)
    new = ladder_data(3, 3, seed=1).x
    last = new[:3].clone()
    last[:, -1] = 2.0
    with torch.no_grad():
        _, covariance = joint_moments(model, torch.cat([new, last]))
    assert float(torch.linalg.eigvalsh(covariance)[0]) > -1e-9 * float(covariance.trace())


def test_the_line_leans_towards_a_slope_of_one() -> None:
    x = torch.linspace(0, 1, 50, dtype=torch.float64)
    assert straight_line(x, 3 * x + 1) == pytest.approx((1.0, 3.0), abs=0.05)
    assert straight_line(x[:1], x[:1] + 2) == pytest.approx((2.0, 1.0))
    few = straight_line(x[[0, 49]], 3 * x[[0, 49]])[1]
    assert few == pytest.approx((2 * 3 + 1) / 3)
