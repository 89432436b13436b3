"""The surrogate that learns across fidelities."""

from __future__ import annotations

import math

import pytest
import torch

from surrogates import TrainingData
from surrogates.autoregressive_gp import OFFSET_VARIANCE, AutoregressiveGP
from surrogates.conformance import MultiFidelityConformance, TabularConformance, ladder_data
from surrogates.gaussian import joint_moments
from surrogates.mixture_model import MixtureModel
from surrogates.multi_fidelity import MultiFidelityGP


class TestOneFidelity(TabularConformance):
    """With one fidelity it is a surrogate like any other."""

    @pytest.fixture(scope="class")
    def surrogate(self) -> MultiFidelityGP:
        return MultiFidelityGP()


class TestConformance(MultiFidelityConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> MultiFidelityGP:
        return MultiFidelityGP()


def test_a_known_relation_is_recovered() -> None:
    """The dear fidelity is twice the cheap one, and 1: the slope is found, and what is left is small."""
    model = MultiFidelityGP(doubt=0.0).fit(ladder_data(30, 8), seed=0)
    assert isinstance(model, AutoregressiveGP)
    assert float(model.slope) == pytest.approx(2.0, abs=0.15)


def test_the_covariance_is_that_of_kennedy_and_o_hagan() -> None:
    """cov(f1, f1) - ρ cov(f0, f1) is that of the difference alone, which f0 knows nothing of (eq. 1)."""
    data = ladder_data(6, 3)
    model = AutoregressiveGP(data.x, data.y, 2)
    model.slope.data.fill_(0.7)
    model.log_amplitude.data[1] = 0.5
    pair = data.x[:1].repeat(2, 1)
    pair[:, -1] = torch.tensor([0.0, 1.0])
    prior = model._covariance(pair, pair, model._distance(pair, pair)).detach()
    assert float(prior[0, 1]) == pytest.approx(0.7 * float(prior[0, 0]))
    difference = float(prior[1, 1] - 0.7 * prior[0, 1])
    assert difference == pytest.approx(OFFSET_VARIANCE + math.exp(2 * 0.5))


def test_conditioning_agrees_with_brute_force() -> None:
    """Moments are those of the joint Gaussian of data and points, conditioned by plain inversion."""
    data = ladder_data(7, 3)
    model = AutoregressiveGP(data.x, data.y, 2).requires_grad_(requires_grad=False)
    new = ladder_data(2, 2, seed=3).x
    both = torch.cat([data.x, new])
    prior = model._covariance(both, both, model._distance(both, both))
    n = len(data.x)
    inverse = torch.linalg.inv(prior[:n, :n] + torch.diag(model._noise(data.x)))
    values = (data.y - data.y.mean()) / data.y.std()
    mean = data.y.mean() + data.y.std() * (prior[n:, :n] @ inverse @ values).squeeze(-1)
    covariance = data.y.var() * (prior[n:, n:] - prior[n:, :n] @ inverse @ prior[:n, n:])
    found = joint_moments(model, new)
    torch.testing.assert_close(found[0], mean, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(found[1], covariance, rtol=1e-6, atol=1e-8)


def test_the_gradient_of_the_loss_is_exact() -> None:
    """Against central differences, in every parameter."""
    data = ladder_data(8, 4)
    model = AutoregressiveGP(data.x, data.y, 2)
    model.loss().backward()
    for parameter in model.parameters():
        for i in range(parameter.numel()):
            ends = []
            for sign in (1.0, -1.0):
                parameter.data[i] += sign * 1e-5
                ends.append(model.loss().item())
                parameter.data[i] -= sign * 1e-5
            assert parameter.grad is not None
            assert float(parameter.grad[i]) == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)


def test_disagreement_with_the_descriptors_adds_uncertainty() -> None:
    """One gross failure below: with doubt, the candidate stays uncertain at the target."""
    data = ladder_data(24, 8)
    y = data.y.clone()
    y[20] -= 3.0
    wrong = TrainingData(data.x, y, fidelities=2)
    x = data.x[20:21].clone()
    x[:, -1] = 1.0
    spread = {}
    for doubt in (0.0, 0.15):
        model = MultiFidelityGP(doubt=doubt).fit(wrong, seed=0)
        assert isinstance(model, MixtureModel) is (doubt > 0)
        with torch.no_grad():
            spread[doubt] = float(model.posterior(x).variance.sqrt())
    assert spread[0.15] > 2 * spread[0.0]
