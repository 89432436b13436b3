"""The third-order Birch-Murnaghan equation of state and its fit to an energy-volume curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import CalculationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

GPA_PER_EV_ANGSTROM3 = 160.21766340

PARAMETERS = 4
"""How many parameters the equation of state has, and so how few volumes cannot fix it."""


@dataclass(frozen=True)
class BirchMurnaghan:
    """Energy of a cell as a function of its volume, `E(V)`.

    F. Birch, Phys. Rev. 71, 809 (1947): with `y = (V0/V)^(2/3)`,
    `E = E0 + 9 V0 B0/16 [(y - 1)^3 B0' + (y - 1)^2 (6 - 4y)]`.
    """

    volume_angstrom3: float
    energy_ev: float
    bulk_modulus_gpa: float
    bulk_modulus_derivative: float

    def energy(self, volumes_angstrom3: ArrayLike) -> NDArray[np.float64]:
        """Energies in eV at these volumes in Å³, of the same shape."""
        y = (self.volume_angstrom3 / np.asarray(volumes_angstrom3, dtype=float)) ** (2 / 3)
        scale = 9 / 16 * self.volume_angstrom3 * self.bulk_modulus_gpa / GPA_PER_EV_ANGSTROM3
        bracket = (y - 1) ** 3 * self.bulk_modulus_derivative + (y - 1) ** 2 * (6 - 4 * y)
        return np.asarray(self.energy_ev + scale * bracket)


@dataclass(frozen=True)
class Fit:
    """A fitted equation of state; `residual_ev` is the standard error of the fit, for the cell.

    It counts the degrees of freedom: the root of the summed squared deviations over (points - 4).
    """

    curve: BirchMurnaghan
    residual_ev: float


def fit_birch_murnaghan(
    volumes_angstrom3: Sequence[float], energies_ev: Sequence[float]
) -> Fit | None:
    """Least squares of E(V) for at least five volumes; None where the curve has no minimum.

    The equation is a cubic in `x = V^(-2/3)`, so the fit is linear and has one answer. With
    `E'' = d²E/dx²` and `E''' = d³E/dx³` at the minimum `x0`: `V0 = x0^(-3/2)`,
    `B0 = 4 x0² E'' / (9 V0)` and `B0' = 4 + 2 x0 E''' / (3 E'')`.
    """
    if len(volumes_angstrom3) <= PARAMETERS:
        raise CalculationError(
            f"{len(volumes_angstrom3)} volumes cannot fix the equation of state: "
            f"give at least {PARAMETERS + 1}"
        )
    volumes = np.asarray(volumes_angstrom3, dtype=float)
    energies = np.asarray(energies_ev, dtype=float)
    x = volumes ** (-2 / 3)
    cubic = np.polynomial.Polynomial.fit(x, energies, deg=3)
    x0 = _minimum(cubic)
    if x0 is None:
        return None
    curvature, third = float(cubic.deriv(2)(x0)), float(cubic.deriv(3)(x0))
    volume = float(x0**-1.5)
    curve = BirchMurnaghan(
        volume_angstrom3=volume,
        energy_ev=float(cubic(x0)),
        bulk_modulus_gpa=4 / 9 * x0**2 * curvature / volume * GPA_PER_EV_ANGSTROM3,
        bulk_modulus_derivative=4 + 2 / 3 * x0 * third / curvature,
    )
    deviations = energies - cubic(x)
    return Fit(curve, float(np.sqrt(np.sum(deviations**2) / (len(volumes) - PARAMETERS))))


def _minimum(cubic: np.polynomial.Polynomial) -> float | None:
    """Where a cubic is least, found without loss of digits when it is nearly a parabola (B' = 4)."""
    c, b, a = (float(k) for k in cubic.deriv().coef)  # slope = a u² + b u + c, u scaled
    discriminant = b**2 - 4 * a * c
    if discriminant < 0 or b + math.sqrt(discriminant) <= 0:
        return None
    u = -2 * c / (b + math.sqrt(discriminant))
    offset, scale = (float(k) for k in cubic.mapparms())
    x = (u - offset) / scale
    return x if x > 0 else None
