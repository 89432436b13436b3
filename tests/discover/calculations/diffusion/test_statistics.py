from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.calculations.diffusion.statistics import (
    BOLTZMANN_EV,
    blocked_error,
    fit_arrhenius,
)


@pytest.mark.parametrize("memory", [0.0, 0.8, 0.95])
def test_blocks_find_the_error_of_a_correlated_mean(memory: float) -> None:
    """Of AR(1) x' = φx + noise, the variance of the mean of n is σ²(1 + φ)/(1 - φ)/n."""
    count, random = 2**14, np.random.default_rng(1)
    estimates = []
    for _ in range(20):
        noise = random.standard_normal(count)
        series = np.empty(count)
        series[0] = noise[0] / np.sqrt(1 - memory**2)
        for i in range(1, count):
            series[i] = memory * series[i - 1] + noise[i]
        estimates.append(blocked_error(series))
    expected = np.sqrt(1 / (1 - memory**2) * (1 + memory) / (1 - memory) / count)
    assert np.mean(estimates) == pytest.approx(expected, rel=0.1)


def test_errors_of_what_is_short_or_constant() -> None:
    assert np.isnan(blocked_error([1.0, 2.0]))
    assert blocked_error([3.0] * 100) == 0


@given(
    energy=st.floats(0.05, 2),
    prefactor=st.floats(-12, -2),
    temperatures=st.lists(st.integers(300, 1500), min_size=2, max_size=6, unique=True),
)
@settings(max_examples=50, deadline=None)
def test_arrhenius_law_is_found_exactly(
    energy: float, prefactor: float, temperatures: list[int]
) -> None:
    values = [float(np.exp(prefactor - energy / BOLTZMANN_EV / t)) for t in temperatures]
    law = fit_arrhenius(temperatures, values, [0.1 * value for value in values])
    assert law.activation_energy_ev == pytest.approx(energy, rel=1e-5, abs=1e-6)
    assert law.log_prefactor == pytest.approx(prefactor, rel=1e-5, abs=1e-4)
    assert law.log_at(300)[0] == pytest.approx(prefactor - energy / BOLTZMANN_EV / 300, rel=1e-5)


def test_errors_of_two_temperatures_are_carried_to_a_third() -> None:
    """By hand: with x = 1/kT, Ea = (ln D1 - ln D2)/(x2 - x1), and both have a relative error of 10 %."""
    hot, cold, room = (1 / (BOLTZMANN_EV * t) for t in (1000, 800, 300))
    law = fit_arrhenius([1000, 800], [1e-5, 2e-6], [1e-6, 2e-7])
    assert law.activation_energy_error_ev == pytest.approx(0.1 * np.sqrt(2) / (cold - hot))
    share = (room - hot) / (cold - hot)
    assert law.log_at(300)[1] == pytest.approx(0.1 * np.hypot(share, 1 - share))


def test_scatter_beyond_the_errors_widens_them() -> None:
    temperatures, values = [800.0, 1000.0, 1200.0], [2e-6, 1e-5, 1e-6]
    small = fit_arrhenius(temperatures, values, [0.01 * v for v in values])
    large = fit_arrhenius(temperatures, values, [0.1 * v for v in values])
    assert small.activation_energy_error_ev > 0.3
    assert large.activation_energy_error_ev == pytest.approx(small.activation_energy_error_ev)


@pytest.mark.parametrize(
    ("temperatures", "values", "errors"),
    [
        ([300.0], [1.0], [0.1]),
        ([300.0, 400.0], [1.0, -1.0], [0.1, 0.1]),
        ([3.0, 4.0], [1, 1], [0, 1]),
    ],
)
def test_what_has_no_logarithm_is_refused(
    temperatures: list[float], values: list[float], errors: list[float]
) -> None:
    with pytest.raises(ValueError, match="positive values"):
        fit_arrhenius(temperatures, values, errors)
