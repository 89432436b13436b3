from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from discover.benchmark.kappa_metrics import (
    log_error,
    mean,
    mean_factor,
    spearman,
    symmetric_relative_error,
    symmetric_relative_mean_error,
)

WEIGHTS = np.array([1, 8, 6])
MODES = np.array([[0.0, 2.0], [30.0, 5.0], [7.0, 0.5]])

positive = st.floats(1e-3, 1e3)
modes = arrays(float, (3, 2), elements=positive)


@pytest.mark.parametrize(
    ("kappa", "reference", "error"),
    [(5.0, 5.0, 0.0), (3.0, 1.0, 1.0), (1.0, 3.0, 1.0), (0.0, 4.0, 2.0), (9.0, 11.0, 0.2)],
)
def test_error_of_totals(kappa: float, reference: float, error: float) -> None:
    assert symmetric_relative_error(kappa, reference) == pytest.approx(error)


def test_equal_modes_have_no_error() -> None:
    assert symmetric_relative_mean_error(MODES, MODES, WEIGHTS) == 0.0


def test_modes_without_overlap_are_as_wrong_as_can_be() -> None:
    one = np.where(np.arange(6).reshape(3, 2) % 2, MODES + 1, 0.0)
    other = np.where(np.arange(6).reshape(3, 2) % 2, 0.0, MODES + 1)
    assert symmetric_relative_mean_error(one, other, WEIGHTS) == pytest.approx(2.0)


@pytest.mark.parametrize("factor", [0.25, 0.5, 3.0])
def test_a_factor_on_all_modes_is_a_factor_on_the_total(factor: float) -> None:
    error = symmetric_relative_mean_error(factor * MODES, MODES, WEIGHTS)
    assert error == pytest.approx(2 * abs(factor - 1) / (factor + 1))


def test_right_for_the_wrong_reason() -> None:
    """The same total from other modes: no κ_SRE, and a κ_SRME that tells."""
    swapped = MODES[:, ::-1]
    assert symmetric_relative_error(swapped.sum(), MODES.sum()) == 0.0
    moved = np.abs(swapped - MODES).sum()
    error = symmetric_relative_mean_error(swapped, MODES, WEIGHTS)
    assert error == pytest.approx(2 * moved / (2 * MODES.sum()))
    assert error > 1


@given(modes, modes)
def test_error_of_modes_is_symmetric_and_never_below_that_of_totals(
    one: np.ndarray, other: np.ndarray
) -> None:
    error = symmetric_relative_mean_error(one, other, WEIGHTS)
    assert error == pytest.approx(symmetric_relative_mean_error(other, one, WEIGHTS))
    totals = (array.sum() / WEIGHTS.sum() for array in (one, other))
    assert symmetric_relative_error(*totals) - 1e-12 <= error <= 2 + 1e-12


@pytest.mark.parametrize(
    ("one", "weights"), [(MODES[:2], WEIGHTS), (MODES[:, :1], WEIGHTS), (MODES, WEIGHTS[:2])]
)
def test_other_points_or_bands_are_refused(one: np.ndarray, weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not on the same q-points and bands"):
        symmetric_relative_mean_error(one, MODES, weights)


def test_summary_of_many() -> None:
    assert mean([0.5, None, 1.5]) == 1.0
    assert mean([None]) is None
    assert log_error([10.0, 1.0], [1.0, 10.0]) == pytest.approx(1.0)
    assert mean_factor([20.0, 5.0], [10.0, 10.0]) == pytest.approx(1.0)
    assert mean_factor([2.0, 2.0], [1.0, 1.0]) == pytest.approx(2.0)
    assert spearman([1.0, 2.0, 30.0], [5.0, 6.0, 7.0]) == pytest.approx(1.0)
    assert spearman([1.0, 2.0, 30.0], [7.0, 6.0, 5.0]) == pytest.approx(-1.0)
    assert spearman([1.0, 2.0], [1.0, 2.0]) is None
    assert spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None


def test_published_errors_of_modes_are_not_below_ours_of_totals(shared_data: Path) -> None:
    """κ_SRME of 40 potentials (Matbench Discovery, MIT) against κ_SRE of their stored totals."""
    file = shared_data / "mbd-kappa103" / "kappa_models_long.csv"
    with file.open(encoding="utf-8") as stream:
        rows = [
            row
            for row in csv.DictReader(stream)
            if row["srme_censored"] == "False" and row["kappa_ml"] and row["srme"]
        ]
    assert len(rows) > 3000
    for row in rows:
        sre = symmetric_relative_error(float(row["kappa_ml"]), float(row["kappa_dft"]))
        assert sre <= float(row["srme"]) + 1e-3, row
        assert not math.isnan(sre)
