from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.report.yardsticks import LEVELS, believed_pool, best_of_draws, coverage, coverage_band


def test_best_of_draws_agrees_with_counting_every_order() -> None:
    values = [0.3, 2.0, 2.0, -1.0, 7.5, 4.0]
    best = np.array([np.maximum.accumulate(order) for order in permutations(values)])
    found = best_of_draws(values)
    assert found.mean == pytest.approx(best.mean(axis=0))
    for curve, share in ((found.low, 0.05), (found.high, 0.95)):
        assert curve == pytest.approx(np.quantile(best, share, axis=0, method="inverted_cdf"))


def test_best_of_draws_of_the_smallest_mirrors_that_of_the_largest() -> None:
    values = [1.0, 4.0, 2.0]
    assert -best_of_draws([-v for v in values]).mean == pytest.approx([7 / 3, 4 / 3, 1.0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_best_of_draws_grows_to_the_best_of_all(values: list[float]) -> None:
    found = best_of_draws(values)
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert found.mean[0] == pytest.approx(np.mean(values), abs=slack)
    for curve in found:
        assert curve[-1] == pytest.approx(max(values), abs=slack)
        assert (np.diff(curve) >= -slack).all()
    assert (found.low <= found.high).all()


def test_best_of_draws_stays_exact_for_thousands() -> None:
    # the expected maximum of k draws from 1 ... n is k (n + 1) / (k + 1)
    n = 2000
    k = np.arange(1, n + 1)
    assert best_of_draws(np.arange(1.0, n + 1)).mean == pytest.approx(k * (n + 1) / (k + 1))


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be made from 0 values"):
        best_of_draws([])


def test_coverage_counts_central_intervals() -> None:
    # |z| below 0.6745 is the central half of a normal distribution, below 1.6449 nine tenths of it
    z = [0.0, 0.67, -0.68, 1.64, -1.65, float("inf")]
    assert coverage(z, (0.5, 0.9)) == pytest.approx([2 / 6, 4 / 6])


def test_coverage_of_normal_scores_is_nominal() -> None:
    z = np.random.default_rng(0).normal(size=20_000)
    assert coverage(z) == pytest.approx(np.array(LEVELS), abs=0.01)


def test_band_of_ten_coins() -> None:
    # binomial(10, 1/2): P(X <= 1) = 0.011, P(X <= 2) = 0.055, P(X <= 7) = 0.945, P(X <= 8) = 0.989
    low, high = coverage_band(10, (0.5,))
    assert (low[0], high[0]) == (0.2, 0.8)


def test_band_narrows_with_more_predictions() -> None:
    widths = [np.subtract(*reversed(coverage_band(n))).mean() for n in (5, 50, 500)]
    assert widths[0] > widths[1] > widths[2] > 0


def test_fewer_draws_than_values_are_the_beginning_of_all() -> None:
    values = [3.0, 1.0, 4.0, 1.5, 9.0]
    for part, whole in zip(best_of_draws(values, draws=2), best_of_draws(values), strict=True):
        np.testing.assert_allclose(part, whole[:2])
    with pytest.raises(ValueError, match="6 draws cannot be made from 5"):
        best_of_draws(values, draws=6)


def test_believed_pool_is_spread_over_the_noted_quantiles() -> None:
    noted = {"candidates": 5, "quantiles": [0.0, 1.0, 4.0]}
    np.testing.assert_allclose(believed_pool(noted), [0.0, 0.5, 1.0, 2.5, 4.0])
    assert len(believed_pool({"candidates": 10**6, "quantiles": [0.0, 1.0]}, limit=50)) == 50
    assert len(believed_pool({})) == 0
