import numpy as np
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from hypothesis import given
from hypothesis import strategies as st
from mpmath import log, mp, ncdf, npdf

from discover.acquisition.context import Context
from discover.acquisition.functions import (
    extremes,
    greedy,
    log_ei,
    log_expected_improvement,
    random_choice,
    standard_deviation,
    thompson,
    upper_confidence_bound,
)
from surrogates.gaussian import GaussianModel


def context(n=3, observed=(0.0, 1.0), seed=0, covariance=None, pending=0):
    return Context(
        goal="max",
        ids=[f"c{i}" for i in range(n)],
        features=np.zeros((n, 2)),
        observed=np.array(observed),
        pending=pending,
        picks=len(observed) + pending,
        seed=seed,
        covariance=covariance,
    )


class Given(GaussianModel):
    """A mean and a standard deviation, whatever is asked."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.variance = torch.tensor(mean), torch.tensor(std) ** 2

    def moments(self, x, *, observation_noise=False):
        return self.mean.unsqueeze(-1), self.variance[:, None, None]


@pytest.mark.parametrize(
    "z", [5.0, 1.0, 0.0, -0.5, -1.0, -1.5, -8.0, -30.0, -999.0, -1001.0, -1e4, -1e6]
)
def test_log_ei_against_mpmath(z):
    """Evaluated with enough digits that the cancellation of φ(z) + z Φ(z) does no harm."""
    mp.dps = 60
    if z < -100:  # Mills ratio, Abramowitz & Stegun 26.2.12
        x = mp.mpf(-z)
        expected = -(x**2) / 2 - log(2 * mp.pi) / 2 + log(1 / x**2 - 3 / x**4 + 15 / x**6)
    else:
        expected = log(npdf(z) + mp.mpf(z) * ncdf(z))
    assert log_ei(np.array([z]))[0] == pytest.approx(float(expected), rel=1e-9)


def test_log_ei_against_botorch():
    mean = np.array([0.3, -2.0, -40.0, 1.5, -3000.0])
    std = np.array([0.2, 1.0, 0.7, 1e-3, 0.9])
    function = LogExpectedImprovement(Given(mean, std), best_f=1.0)
    with torch.no_grad():
        expected = function(torch.zeros(5, 1, 2).double()).numpy()
    ours = log_expected_improvement(mean, std, context(5))
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


@given(st.floats(-1e5, 30), st.floats(1e-3, 10))
def test_log_ei_increases(z, step):
    """Strictly, over all branches, so that no two far candidates tie."""
    low, high = log_ei(np.array([z, z + step]))
    assert low < high


def test_extremes_wants_both_tails():
    """Symmetric about the middle of what was observed, and least there."""
    scores = extremes(np.array([-2.0, 0.5, 3.0]), np.ones(3), context())
    assert scores[0] == pytest.approx(scores[2])
    assert scores[1] < scores[0]
    one_sided = log_expected_improvement(np.array([3.0]), np.ones(1), context())
    assert scores[2] == pytest.approx(one_sided[0], abs=1e-3)


def test_simple_ones():
    mean, std = np.array([1.0, 2.0]), np.array([0.5, 0.1])
    np.testing.assert_allclose(upper_confidence_bound(mean, std, context(2)), [2.0, 2.2])
    np.testing.assert_allclose(upper_confidence_bound(mean, std, context(2), beta=4.0), [3.0, 2.4])
    np.testing.assert_allclose(standard_deviation(mean, std, context(2)), std)
    np.testing.assert_allclose(greedy(mean, std, context(2)), mean)


def test_thompson_draws_from_the_joint_posterior():
    """Over many seeds the draws have the mean and the covariance; duplicates stay duplicates."""
    mean = np.array([1.0, -1.0, -1.0])
    covariance = np.array([[1.0, 0.6, 0.6], [0.6, 2.0, 2.0], [0.6, 2.0, 2.0]])
    std = np.sqrt(covariance.diagonal())
    draws = np.array(
        [thompson(mean, std, context(seed=seed, covariance=covariance)) for seed in range(4000)]
    )
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.15)
    np.testing.assert_allclose(draws[:, 1], draws[:, 2], atol=1e-6)


def test_thompson_draws_anew_for_each_pick_but_not_when_a_result_arrives():
    covariance = np.eye(3)
    first, arrived, next_pick = (
        thompson(np.zeros(3), np.ones(3), context(observed=o, pending=p, covariance=covariance))
        for o, p in (((0.0, 1.0), 1), ((0.0, 1.0, 0.5), 0), ((0.0, 1.0, 0.5), 1))
    )
    np.testing.assert_array_equal(first, arrived)
    assert not np.array_equal(first, next_pick)


def test_random_order_depends_on_seed_and_id_alone():
    def order(seed, observed):
        scores = random_choice(np.zeros(50), np.ones(50), context(50, observed, seed))
        assert ((scores >= 0) & (scores < 1)).all()
        return scores.argsort().tolist()

    assert order(0, (1.0,)) == order(0, (1.0, 2.0, 3.0))
    assert order(0, (1.0,)) != order(1, (1.0,))
