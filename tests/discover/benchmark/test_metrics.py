"""Metrics against what can be known without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from discover.benchmark.metrics import METRICS, evaluate, paired, rank_correlation, spread


def test_honest_predictions_are_covered_as_they_say() -> None:
    rng = np.random.default_rng(0)
    std = rng.uniform(0.5, 2.0, 20_000)
    mean = rng.normal(size=len(std))
    found = evaluate(mean + std * rng.normal(size=len(std)), mean, std)
    assert set(found) == set(METRICS)
    for level in (50, 90, 95):
        assert found[f"coverage_{level}"] == pytest.approx(level / 100, abs=0.01)
    assert found["nll"] == pytest.approx(
        np.mean(np.log(std)) + 0.5 * np.log(2 * np.pi * np.e), abs=0.02
    )
    assert found["sharpness"] == pytest.approx(std.mean())
    assert found["error_uncertainty"] is not None
    assert found["error_uncertainty"] > 0.2


def test_errors_of_four_predictions() -> None:
    found = evaluate(np.array([0.0, 1, 2, 3]), np.array([1.0, 1, 2, 5]), None)
    assert found["mae"] == pytest.approx(0.75)
    assert found["rmse"] == pytest.approx(np.sqrt(5 / 4))
    assert found["r2"] == pytest.approx(0.0)
    assert found["top_decile_recall"] == 1.0
    assert found["nll"] is None


def test_a_bound_is_likely_where_the_prediction_is_beyond_it() -> None:
    """A value below 0 predicted at -2 has the probability of lying below, and no coverage."""
    bounds = np.array([-1, 1], dtype=np.int8)
    found = evaluate(np.zeros(2), np.array([-2.0, 2.0]), np.ones(2), bounds)
    assert found["nll"] == pytest.approx(-norm.logcdf(2.0))
    assert found["coverage_90"] is None


def test_what_is_not_defined_is_none() -> None:
    found = evaluate(np.ones(4), np.ones(4), np.ones(4))
    assert found["r2"] is None
    assert found["spearman"] is None
    assert rank_correlation(np.arange(2.0), np.arange(2.0)) is None
    assert spread([None, None]) == {"mean": None, "std": None, "n": 0}
    assert spread([1.0, None, 3.0]) == {"mean": 2.0, "std": pytest.approx(2**0.5), "n": 2}


def test_the_paired_test_counts_each_group_once() -> None:
    rng = np.random.default_rng(1)
    worse = rng.uniform(1, 2, 40)
    ours = worse - 0.5 - 0.1 * rng.random(40)
    found = paired(ours, worse, np.arange(40))
    assert found.difference < -0.4
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert paired(ours, worse, np.arange(40) // 10).p_value is None
    assert paired(worse, worse, np.arange(40)).p_value is None


@given(
    st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2, st.floats(1e-3, 1e3)), min_size=2, max_size=12)
)
def test_metrics_are_finite_or_none(rows: list[tuple[float, float, float]]) -> None:
    observed, mean, std = np.array(rows).T
    found = evaluate(observed, mean, std)
    assert all(value is None or np.isfinite(value) for value in found.values())
    assert found["mae"] is not None
    assert found["rmse"] is not None
    assert found["mae"] <= found["rmse"] * (1 + 1e-9) + 1e-12
