"""From an equation of state to the lattice thermal conductivity: the quasi-harmonic Debye model.

C. Toher et al., "High-throughput computational screening of thermal conductivity, Debye temperature
and Grüneisen parameter using a quasiharmonic Debye model", Phys. Rev. B 90, 174107 (2014), after
M. A. Blanco, E. Francisco and V. Luaña, Comput. Phys. Commun. 158, 57 (2004). All quantities are
those of the primitive cell, at the static equilibrium volume: no zero-point or thermal expansion.
"""

from __future__ import annotations

import math

from scipy import constants

_KB = constants.Boltzmann
_HBAR = constants.hbar
_AMU = constants.atomic_mass
_GPA = constants.giga
_ANGSTROM = constants.angstrom


def poisson_factor(poisson_ratio: float) -> float:
    """The f(σ) that stands for the unknown shear modulus; 0.860 for σ = 1/4, a Cauchy solid.

    `f(σ) = {3 [2 (2/3 (1+σ)/(1-2σ))^(3/2) + (1/3 (1+σ)/(1-σ))^(3/2)]^(-1)}^(1/3)`
    (Blanco et al. 2004, equation 6 with f(σ); Toher et al. 2014, section II).
    """
    s = poisson_ratio
    transverse = (2 / 3 * (1 + s) / (1 - 2 * s)) ** 1.5
    longitudinal = (1 / 3 * (1 + s) / (1 - s)) ** 1.5
    return float((3 / (2 * transverse + longitudinal)) ** (1 / 3))


def debye_temperature(
    volume_angstrom3: float,
    bulk_modulus_gpa: float,
    mass_amu: float,
    atoms: int,
    poisson_ratio: float,
) -> float:
    """θ_D in K of a cell of `atoms` atoms with this volume and total mass.

    `θ_D = ħ/k_B [6π² V^(1/2) n]^(1/3) f(σ) (B/M)^(1/2)` (Blanco et al. 2004, equation
    6, with the static bulk modulus for the adiabatic one, as in Toher et al. 2014).
    """
    volume = volume_angstrom3 * _ANGSTROM**3
    wave_number = (6 * math.pi**2 * math.sqrt(volume) * atoms) ** (1 / 3)
    speed = math.sqrt(bulk_modulus_gpa * _GPA / (mass_amu * _AMU))
    return float(_HBAR / _KB * wave_number * poisson_factor(poisson_ratio) * speed)


def acoustic_debye_temperature(debye_temperature_k: float, atoms: int) -> float:
    """`θ_a = θ_D n^(-1/3)` in K: acoustic modes only (with equation 17 of Toher et al. 2014)."""
    return float(debye_temperature_k * atoms ** (-1 / 3))


def slater_gruneisen_parameter(bulk_modulus_derivative: float) -> float:
    """`γ = B'/2 - 1/6`, dimensionless.

    It is `-d ln θ_D / d ln V` of the θ_D above (`θ_D ~ V^(1/6) B^(1/2)`) at zero pressure
    (Blanco et al. 2004, equation 31; J. C. Slater, Introduction to Chemical Physics (1939), chapter
    XIII).
    """
    return bulk_modulus_derivative / 2 - 1 / 6


def slack_thermal_conductivity(
    acoustic_debye_temperature_k: float,
    gruneisen_parameter: float,
    mean_mass_amu: float,
    volume_angstrom3: float,
    temperature_k: float,
) -> float:
    """Lattice thermal conductivity in W/m/K; `mean_mass_amu` per atom, volume of the primitive cell.

    Leibfried and Schlömann's formula as G. A. Slack (Solid State Phys. 34, 1 (1979)) and D. T.
    Morelli (in High Thermal Conductivity Materials (2006)) use it, in Toher et al. 2014, equation 17:
    `κ(θ_a) = 0.849·3·4^(1/3) / (20π³ (1 - 0.514/γ + 0.228/γ²)) (k_B θ_a/ħ)² k_B m V^(1/3)/(ħ γ²)`
    and `κ(T) = κ(θ_a) θ_a/T`.
    """
    theta, gamma = acoustic_debye_temperature_k, gruneisen_parameter
    prefactor = 0.849 * 3 * 4 ** (1 / 3) / (20 * math.pi**3)
    anharmonicity = gamma**2 * (1 - 0.514 / gamma + 0.228 / gamma**2)
    size = (volume_angstrom3 * _ANGSTROM**3) ** (1 / 3)
    frequency = _KB * theta / _HBAR
    at_theta = prefactor / anharmonicity * frequency**2 * _KB * mean_mass_amu * _AMU * size / _HBAR
    return float(at_theta * theta / temperature_k)
