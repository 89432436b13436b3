"""The Birch-Murnaghan fit against curves whose parameters are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.equation_of_state import BirchMurnaghan, fit_birch_murnaghan
from discover.errors import CalculationError

curves = st.builds(
    BirchMurnaghan,
    volume_angstrom3=st.floats(5, 500),
    energy_ev=st.floats(-100, 100),
    bulk_modulus_gpa=st.floats(1, 500),
    bulk_modulus_derivative=st.floats(2, 8),
)


@given(
    curve=curves,
    shift=st.floats(-0.01, 0.01),
    points=st.sampled_from([5, 7, 9]),
)
def test_fit_recovers_the_parameters_of_an_exact_curve(curve, shift, points):
    lengths = 1 + shift + np.linspace(-0.03, 0.03, points)
    volumes = curve.volume_angstrom3 * lengths**3
    fit = fit_birch_murnaghan(volumes, curve.energy(volumes))
    assert fit is not None
    assert fit.curve.volume_angstrom3 == pytest.approx(curve.volume_angstrom3, rel=1e-4)
    assert fit.curve.energy_ev == pytest.approx(curve.energy_ev, abs=1e-6)
    assert fit.curve.bulk_modulus_gpa == pytest.approx(curve.bulk_modulus_gpa, rel=1e-3)
    assert fit.curve.bulk_modulus_derivative == pytest.approx(
        curve.bulk_modulus_derivative, abs=2e-2
    )
    assert fit.residual_ev < 1e-9


def test_parameters_mean_what_they_are_called():
    """P(V), B and B' from numerical derivatives of E(V), of MgO-like parameters."""
    curve = BirchMurnaghan(
        volume_angstrom3=19.2, energy_ev=-12.2, bulk_modulus_gpa=150.0, bulk_modulus_derivative=4.2
    )
    h = 0.02
    volumes = curve.volume_angstrom3 + h * np.arange(-3, 4)
    energies = curve.energy(volumes)
    pressures = -np.gradient(energies, h)[1:-1] * 160.2176634
    moduli = -volumes[2:-2] * np.gradient(pressures, h)[1:-1]
    assert pressures[2] == pytest.approx(0, abs=1e-3)
    assert moduli[1] == pytest.approx(150.0, rel=1e-4)
    assert (moduli[2] - moduli[0]) / (pressures[3] - pressures[1]) == pytest.approx(4.2, rel=1e-3)


def test_residual_is_the_noise_that_was_put_in():
    curve = BirchMurnaghan(40.0, -6.0, 25.0, 4.5)
    volumes = 40.0 * np.linspace(0.97, 1.03, 2001) ** 3
    noise = np.random.default_rng(0).normal(scale=1e-3, size=len(volumes))
    fit = fit_birch_murnaghan(volumes, curve.energy(volumes) + noise)
    assert fit is not None
    assert fit.residual_ev == pytest.approx(1e-3, rel=0.05)


@pytest.mark.parametrize("energies", [[5, 4, 3, 2, 1], [1, 2, 3, 4, 5], [0, 1, 1.3, 1, 0]])
def test_no_minimum_is_none(energies):
    volumes = np.asarray([9.0, 9.5, 10.0, 10.5, 11.0])
    fit = fit_birch_murnaghan(volumes, energies)
    assert fit is None or not 9.0 < fit.curve.volume_angstrom3 < 11.0


def test_too_few_volumes_is_an_error():
    with pytest.raises(CalculationError, match="at least 5"):
        fit_birch_murnaghan([1, 2, 3, 4], [1, 0, 1, 2])
