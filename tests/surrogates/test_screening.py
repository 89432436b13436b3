"""The fast screening of large pools beside the posterior that picks are made from."""

from __future__ import annotations

import pytest
import torch

from discover import plugins
from discover.acquisition.believed import Belief
from surrogates.conformance import example_data
from surrogates.screening import screening_of

DATA, POOL, PENDING = example_data(40), example_data(60, seed=3).x, example_data(4, seed=9).x


@pytest.mark.parametrize(
    "name",
    ["gp", "gp-ard", "gp-linear", "gp-ard-linear", "bayesian-ridge", "ard-ridge", "sparse-gp"],
)
@pytest.mark.parametrize("pending", [PENDING[:0], PENDING], ids=["idle", "pending"])
def test_it_agrees_with_the_posterior(name: str, pending: torch.Tensor) -> None:
    model = plugins.create("surrogates", name).fit(DATA, 0)
    belief = Belief(model, pending)
    with torch.no_grad():
        mean, covariance = belief.moments(POOL)
        fast_mean, fast_variance = belief.screening()(POOL)
    spread = float(DATA.y.std())
    assert screening_of(model, pending) is not None
    assert float((fast_mean - mean).abs().max()) < 0.01 * spread
    error = (fast_variance.sqrt() - covariance.diagonal().sqrt()).abs()
    assert float(error.max()) < 0.03 * spread


@pytest.mark.parametrize("name", ["random-forest", "mixture", "auto"])
def test_trees_and_mixtures_believe_pending_results_only_when_they_pick(name: str) -> None:
    model = plugins.create("surrogates", name).fit(DATA, 0)
    screening = screening_of(model, PENDING[:0])
    assert screening is not None
    with torch.no_grad():
        mean, variance = screening(POOL)
        expected, covariance = Belief(model, PENDING[:0]).moments(POOL)
    spread = float(DATA.y.std())
    assert float((mean - expected).abs().max()) < 0.01 * spread
    assert float((variance.sqrt() - covariance.diagonal().sqrt()).abs().max()) < 0.03 * spread


def test_models_without_one_are_screened_by_their_posterior() -> None:
    model = plugins.create("surrogates", "calibrated").fit(DATA, 0)
    belief = Belief(model, PENDING)
    assert screening_of(model, PENDING) is None
    with torch.no_grad():
        mean, variance = belief.screening()(POOL)
        expected, covariance = belief.moments(POOL)
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(variance, covariance.diagonal())
