"""`informed-ucb`: what tells of many others is worth more than what tells of itself alone."""

from __future__ import annotations

import numpy as np
import pytest

from discover.acquisition.context import Context
from discover.acquisition.informed import informed_upper_bound


def context(covariance: np.ndarray | None) -> Context:
    n = 5
    return Context(
        "max", [str(i) for i in range(n)], np.zeros((n, 1)), np.zeros(3), 0, 3, 0, None, covariance
    )


def test_one_of_a_family_is_worth_more_than_an_outlier() -> None:
    covariance = np.eye(5)
    covariance[:4, :4] = 0.8 + 0.2 * np.eye(4)
    scores = informed_upper_bound(np.zeros(5), np.ones(5), context(covariance))
    assert scores[:4] == pytest.approx(scores[0])
    assert scores[0] > scores[4]
    assert scores.mean() == pytest.approx(1.0)


def test_the_mean_alone_counts_without_beta() -> None:
    mean = np.arange(5.0)
    scores = informed_upper_bound(mean, np.ones(5), context(np.eye(5)), beta=0.0)
    assert scores.tolist() == mean.tolist()


def test_a_large_pool_is_screened_by_the_upper_bound() -> None:
    std = np.linspace(1, 2, 5)
    scores = informed_upper_bound(np.zeros(5), std, context(None), beta=2.0)
    assert scores == pytest.approx(2 * std)


def test_of_two_families_alike_the_one_that_may_be_at_the_top_tells_more() -> None:
    covariance = np.kron(np.eye(2), np.full((2, 2), 0.9)) + 0.1 * np.eye(4)
    covariance = np.pad(covariance, (0, 1))
    covariance[4, 4] = 1.0
    mean = np.array([1.0, 1.0, -1.0, -1.0, 0.0])

    def told(focus: float) -> np.ndarray:
        return informed_upper_bound(mean, np.ones(5), context(covariance), focus=focus) - mean

    anywhere, at_top = told(0.0), told(0.5)
    assert anywhere[:2] == pytest.approx(anywhere[2:4])
    assert at_top[0] > 1.1 * at_top[2] > 0.0
    assert at_top[2] > at_top[4] > 0.0  # the rest of the pool still counts
    assert at_top.mean() == pytest.approx(1.0)
