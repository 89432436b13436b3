"""The Debye-Slack formulas against numbers worked out by hand or published."""

import math

import pytest

from discover.calculations import debye


def test_poisson_factor_of_a_cauchy_solid():
    """σ = 1/4: 2/3·1.25/0.5 = 5/3 and 1/3·1.25/0.75 = 5/9, so f = (3/(2·2.1517 + 0.4141))^(1/3)."""
    by_hand = (3 / (2 * (5 / 3) ** 1.5 + (5 / 9) ** 1.5)) ** (1 / 3)
    assert debye.poisson_factor(0.25) == pytest.approx(by_hand, rel=1e-12)
    assert debye.poisson_factor(0.25) == pytest.approx(0.85995, abs=1e-4)


def test_poisson_factor_falls_with_the_ratio():
    """A larger σ means a smaller shear modulus for the same bulk modulus, so slower sound."""
    factors = [debye.poisson_factor(s) for s in (0.1, 0.2, 0.25, 0.3, 0.4)]
    assert factors == sorted(factors, reverse=True)


def test_debye_temperature_from_the_speed_of_sound():
    """The same θ_D from `ħ/k_B v (6π² n/V)^(1/3)` with `v = f(σ) (B/ρ)^(1/2)`, in SI for MgO."""
    volume, bulk, mass = 18.67e-30, 163e9, 40.304 * 1.66053907e-27
    speed = debye.poisson_factor(0.25) * math.sqrt(bulk * volume / mass)
    expected = 1.054571817e-34 / 1.380649e-23 * speed * (6 * math.pi**2 * 2 / volume) ** (1 / 3)
    theta = debye.debye_temperature(18.67, 163.0, 40.304, 2, 0.25)
    assert theta == pytest.approx(expected, rel=1e-6)
    assert 750 < theta < 950  # from the specific heat: 946 K (Kittel)


def test_debye_temperature_does_not_depend_on_the_choice_of_cell():
    one = debye.debye_temperature(20.0, 100.0, 30.0, 2, 0.25)
    four = debye.debye_temperature(80.0, 100.0, 120.0, 8, 0.25)
    assert one == pytest.approx(four, rel=1e-12)


def test_acoustic_debye_temperature_of_two_atoms():
    assert debye.acoustic_debye_temperature(1000.0, 2) == pytest.approx(1000 / 2 ** (1 / 3))


def test_slater_gruneisen_parameter_is_the_derivative_of_the_debye_temperature():
    """-d ln θ_D/d ln V by finite differences, B following Murnaghan: B(V) = B0 (V0/V)^B'."""
    derivative, volume, h = 4.3, 20.0, 1e-4

    def theta(v: float) -> float:
        return debye.debye_temperature(v, 150.0 * (volume / v) ** derivative, 40.0, 2, 0.25)

    ratio = theta(volume * (1 + h)) / theta(volume * (1 - h))
    numerical = -math.log(ratio) / math.log((1 + h) / (1 - h))
    assert debye.slater_gruneisen_parameter(derivative) == pytest.approx(numerical, rel=1e-6)


def test_slack_conductivity_agrees_with_slacks_own_units():
    """`κ = A M θ_a³ δ n^(1/3)/(γ² T)`, `A = 2.43e-6/(1 - 0.514/γ + 0.228/γ²)` in W/m/K for M in amu
    and δ³ the volume per atom in Å³: D. T. Morelli and G. A. Slack, in High Thermal Conductivity
    Materials (2006). At γ = 2 this A is the 3.1e-6 of Slack (1979)."""
    theta, gamma, mass, volume = 395.0, 2.0, 28.086, 40.04
    coefficient = 2.43e-6 / (1 - 0.514 / gamma + 0.228 / gamma**2)
    delta = (volume / 2) ** (1 / 3)
    expected = coefficient * mass * theta**3 * delta * 2 ** (1 / 3) / (gamma**2 * 300)
    kappa = debye.slack_thermal_conductivity(theta, gamma, mass, volume, 300.0)
    assert kappa == pytest.approx(expected, rel=2e-3)
    assert coefficient == pytest.approx(3.1e-6, rel=0.03)


def test_slack_conductivity_goes_as_one_over_temperature():
    at = [debye.slack_thermal_conductivity(300.0, 2.0, 20.0, 40.0, t) for t in (300.0, 600.0)]
    assert at[0] == pytest.approx(2 * at[1])
