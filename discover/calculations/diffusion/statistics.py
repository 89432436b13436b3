"""Errors of means of correlated data, and fits of Arrhenius' law that carry them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BOLTZMANN_EV = 8.617333262e-5
"""In eV/K."""


def blocked_error(series: Sequence[float] | NDArray[np.float64]) -> float:
    """Standard error of the mean of a correlated series, by averages over ever longer blocks.

    H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989); the length of the blocks by R. M. Lee
    et al., Phys. Rev. E 83, 066706 (2011): the shortest with B³ > 2 n (σ_B/σ_1)⁴, else the largest error
    of all. Fewer than four values have none: NaN.
    """
    values = np.asarray(series, dtype=np.float64)
    count, size = len(values), 1
    if count < 4:
        return float("nan")
    errors: list[float] = []
    while len(values) >= 4:
        errors.append(float(values.std(ddof=1) / np.sqrt(len(values))))
        if errors[0] == 0:
            return 0.0
        if size**3 > 2 * count * (errors[-1] / errors[0]) ** 4:
            return errors[-1]
        values = values[: len(values) // 2 * 2].reshape(-1, 2).mean(axis=1)
        size *= 2
    return max(errors)


@dataclass(frozen=True)
class Arrhenius:
    """D = D0 exp(-Ea/kT): energy in eV, ln D0, and the covariance matrix of (ln D0, Ea)."""

    activation_energy_ev: float
    log_prefactor: float
    covariance: tuple[tuple[float, float], tuple[float, float]]

    @property
    def activation_energy_error_ev(self) -> float:
        """One standard error."""
        return float(np.sqrt(self.covariance[1][1]))

    def log_at(self, temperature_k: float) -> tuple[float, float]:
        """Logarithm of D and its standard error at this temperature."""
        row = np.array([1.0, -1 / (BOLTZMANN_EV * temperature_k)])
        value = row @ [self.log_prefactor, self.activation_energy_ev]
        return float(value), float(np.sqrt(row @ np.asarray(self.covariance) @ row))


def fit_arrhenius(
    temperatures_k: Sequence[float], values: Sequence[float], errors: Sequence[float]
) -> Arrhenius:
    """Least squares of ln D over 1/T, weighted by the standard errors of D, two temperatures or more.

    Where points scatter by more than their errors say, the covariance is as much larger (the Birge
    ratio). ValueError where a value or an error is not positive, or there is one temperature.
    """
    temperature, value, error = (
        np.asarray(x, dtype=np.float64) for x in (temperatures_k, values, errors)
    )
    if len(set(temperatures_k)) < 2 or (value <= 0).any() or (error <= 0).any():
        raise ValueError("Arrhenius' law wants positive values and errors at two temperatures")
    design = np.column_stack([np.ones(len(value)), -1 / (BOLTZMANN_EV * temperature)])
    weight = value / error  # 1/σ of ln D
    covariance = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    solution = covariance @ design.T @ (weight**2 * np.log(value))
    free = len(value) - 2
    if free:
        chi2 = float(np.sum((weight * (np.log(value) - design @ solution)) ** 2))
        covariance = covariance * max(1.0, chi2 / free)
    (one, two), (three, four) = covariance.tolist()
    return Arrhenius(float(solution[1]), float(solution[0]), ((one, two), (three, four)))
