"""Kind `agl`: thermal conductivity from an energy-volume curve, after the Automatic GIBBS Library."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field

from discover.calculations.base import ForceEngine, Outcome, Value, check_elements
from discover.calculations.cells import primitive_cell
from discover.errors import CalculationError, DiscoverError
from discover.files import JsonLines
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from discover.calculations.equation_of_state import Fit

POINTS = "points.jsonl"

_RECENTRINGS = 3
_GRUNEISEN_RANGE = (0.7, 4.0)
"""B' of 1.7 to 8.3, wider than that of ordinary solids: an energy-volume curve that is too rough for
its third derivative shows as a value outside, and the conductivity goes with 1/γ²."""

_log = logging.getLogger(__name__)


def _odd(volumes: int) -> int:
    if volumes % 2 == 0:
        raise ValueError("must be odd, so that one volume is the given one")
    return volumes


class AGL:
    """Bulk modulus, Debye temperature, Grüneisen parameter and thermal conductivity from E(V).

    The energy of the primitive cell is computed at `volumes` lengths scaled evenly by up to
    ± `max_linear_strain`, fractional coordinates fixed, and fitted to the third-order
    Birch-Murnaghan equation (`equation_of_state`, Birch 1947). From V0, B0 and B0' follow, in SI
    units and all by the formulas of Toher et al., Phys. Rev. B 90, 174107 (2014), in the static
    approximation (`debye` has them one by one, with their sources):

    - θ_D = ħ/k_B [6π² V^(1/2) n]^(1/3) f(σ) (B/M)^(1/2), the quasi-harmonic Debye model of Blanco
      et al., with f(σ) for the Poisson ratio σ;
    - γ = -d ln θ_D/d ln V = B'/2 - 1/6;
    - θ_a = θ_D n^(-1/3), the acoustic modes;
    - κ(θ_a) = 0.849·3·4^(1/3)/(20π³(1 - 0.514/γ + 0.228/γ²)) (k_B θ_a/ħ)² k_B m V^(1/3)/(ħγ²), and
      κ(T) = κ(θ_a) θ_a/T, the Slack model.

    The ranking of κ is what the model is good for; it is low by several times for the best
    conductors (diamond: 208 W/m/K with GPAW, against 3000 measured).

    Guards: where the minimum is not well inside the volume range, the range is moved and the points
    it shares are kept (at most three times, then the calculation fails); values from a curve that
    fits worse than `max_residual_mev_per_atom`, an unphysical γ, or values outside the plausible
    range of their property are quarantined with the reason; γ ≤ 0 fails.
    """

    name = "agl"
    properties = (
        "thermal_conductivity",
        "bulk_modulus",
        "debye_temperature",
        "gruneisen_parameter",
    )

    def __init__(
        self,
        *,
        volumes: Annotated[int, Field(ge=5), AfterValidator(_odd)] = 5,
        max_linear_strain: Annotated[float, Field(gt=0, le=0.1)] = 0.03,
        temperature_k: Annotated[float, Field(gt=0)] = 300.0,
        poisson_ratio: Annotated[float, Field(gt=-1, lt=0.5)] = 0.25,
        max_residual_mev_per_atom: Annotated[float, Field(gt=0)] = 0.2,
    ) -> None:
        self._half = volumes // 2
        self._strain_step = max_linear_strain / self._half
        self._temperature_k = temperature_k
        self._poisson_ratio = poisson_ratio
        self._max_residual_mev_per_atom = max_residual_mev_per_atom

    def run(self, crystal: Crystal, engine: ForceEngine, directory: Path) -> Outcome:
        """Compute, going on from the points that are in the directory already.

        Raises CalculationError, with the points computed so far, where the engine lacks an element, a
        single point does not converge, no minimum is found, or γ ≤ 0.
        """
        cell = primitive_cell(crystal)
        check_elements(engine, cell.get_chemical_symbols())
        points = _SinglePoints(cell, self._strain_step, engine, directory)
        try:
            fit, window = self._curve(points)
            values = self._values(fit, cell)
        except DiscoverError as error:
            raise CalculationError(str(error), frames=points.frames()) from error
        return Outcome(
            values=values,
            details=self._details(fit, cell, points, window),
            frames=points.frames(),
        )

    def _curve(self, points: _SinglePoints) -> tuple[Fit, list[int]]:
        """The fit, and the indices of the points it is made of, with the minimum well inside."""
        from discover.calculations.equation_of_state import fit_birch_murnaghan

        centre = 0
        for _ in range(1 + _RECENTRINGS):
            window = list(range(centre - self._half, centre + self._half + 1))
            volumes = [points.volume(index) for index in window]
            energies = [points.energy(index) for index in window]
            fit = fit_birch_murnaghan(volumes, energies)
            if fit and volumes[1] <= fit.curve.volume_angstrom3 <= volumes[-2]:
                return fit, window
            sought = fit.curve.volume_angstrom3 if fit else volumes[int(np.argmin(energies))]
            nearest = window[int(np.argmin(np.abs(np.asarray(volumes) - sought)))]
            if nearest == centre:
                break
            _log.info("the minimum is not inside this range: moved by %+d points", nearest - centre)
            centre = nearest
        computed = points.computed()
        raise CalculationError(
            f"no minimum of the energy between {100 * self._strain_step * computed[0]:+.1f} % and "
            f"{100 * self._strain_step * computed[-1]:+.1f} % in length: this structure is unstable "
            "with this engine, or was relaxed to a volume far from the engine's own"
        )

    def _values(self, fit: Fit, cell: Atoms) -> tuple[Value, ...]:
        from discover.calculations import debye

        curve, atoms = fit.curve, len(cell)
        mass = float(cell.get_masses().sum())
        gamma = debye.slater_gruneisen_parameter(curve.bulk_modulus_derivative)
        if gamma <= 0:
            raise CalculationError(
                f"the Grüneisen parameter is {gamma:.2f} (B' = {curve.bulk_modulus_derivative:.2f}): "
                "the Slack model does not hold; the energies may be noisy (a higher cutoff, more "
                "k-points), or the structure unstable"
            )
        theta = debye.debye_temperature(
            curve.volume_angstrom3, curve.bulk_modulus_gpa, mass, atoms, self._poisson_ratio
        )
        kappa = debye.slack_thermal_conductivity(
            debye.acoustic_debye_temperature(theta, atoms),
            gamma,
            mass / atoms,
            curve.volume_angstrom3,
            self._temperature_k,
        )
        rough = self._roughness(fit, atoms)
        low, high = _GRUNEISEN_RANGE
        odd = (
            None
            if low <= gamma <= high
            else f"the Grüneisen parameter {gamma:.2f} lies outside {low:g} to {high:g}"
        )
        return (
            Value.of("thermal_conductivity", kappa, rough or odd),
            Value.of("bulk_modulus", curve.bulk_modulus_gpa, rough),
            Value.of("debye_temperature", theta, rough),
            Value.of("gruneisen_parameter", gamma, rough or odd),
        )

    def _roughness(self, fit: Fit, atoms: int) -> str | None:
        residual = 1e3 * fit.residual_ev / atoms
        if residual <= self._max_residual_mev_per_atom:
            return None
        return (
            f"E(V) is rough: {residual:.2f} meV/atom off the Birch-Murnaghan fit, where "
            f"{self._max_residual_mev_per_atom:g} is allowed"
        )

    def _details(
        self, fit: Fit, cell: Atoms, points: _SinglePoints, window: Sequence[int]
    ) -> dict[str, Any]:
        return {
            "formula": cell.get_chemical_formula(),
            "atoms": len(cell),
            "volume_angstrom3": fit.curve.volume_angstrom3,
            "energy_ev": fit.curve.energy_ev,
            "bulk_modulus_derivative": fit.curve.bulk_modulus_derivative,
            "residual_mev_per_atom": 1e3 * fit.residual_ev / len(cell),
            "temperature_k": self._temperature_k,
            "poisson_ratio": self._poisson_ratio,
            "volumes_angstrom3": [points.volume(index) for index in window],
            "energies_ev": [points.energy(index) for index in window],
            "single_points": len(points.computed()),
        }


@dataclass(frozen=True)
class _Point:
    """One single point: lengths scaled by `1 + index * strain_step`."""

    index: int
    energy_ev: float
    forces_ev_per_angstrom: list[list[float]]
    stress_ev_per_angstrom3: list[float]
    seconds: float


class _SinglePoints:
    """Energies of one cell at evenly scaled lengths, each computed once and kept on disk at once."""

    def __init__(
        self, cell: Atoms, strain_step: float, engine: ForceEngine, directory: Path
    ) -> None:
        self._cell = cell
        self._strain_step = strain_step
        self._engine = engine
        self._directory = directory
        self._kept = JsonLines(directory / POINTS)
        self._points = {record["index"]: _Point(**record) for record in self._kept.read()}
        self._calculator: Calculator | None = None

    def computed(self) -> list[int]:
        """Indices of what there is, ascending."""
        return sorted(self._points)

    def volume(self, index: int) -> float:
        """Cell volume in Å³."""
        return float(self._scaled(index).get_volume())

    def energy(self, index: int) -> float:
        """Energy of the cell in eV, computed now where it was not before."""
        if index not in self._points:
            self._compute(index)
        return self._points[index].energy_ev

    def frames(self) -> tuple[Atoms, ...]:
        """The structures there are, ascending, labelled with energy, forces and stress."""
        return tuple(self._frame(index) for index in self.computed())

    def _frame(self, index: int) -> Atoms:
        from ase.calculators.singlepoint import SinglePointCalculator

        point = self._points[index]
        atoms = self._scaled(index)
        atoms.info["config_type"] = "strained"
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=point.energy_ev,
            forces=np.asarray(point.forces_ev_per_angstrom),
            stress=np.asarray(point.stress_ev_per_angstrom3),
        )
        return atoms

    def _scaled(self, index: int) -> Atoms:
        atoms = self._cell.copy()
        atoms.set_cell(self._cell.cell * (1 + index * self._strain_step), scale_atoms=True)
        return atoms

    def _compute(self, index: int) -> None:
        if self._calculator is None:
            self._calculator = self._engine.calculator(self._cell, self._directory)
        started = time.perf_counter()
        atoms = self._scaled(index)
        atoms.calc = self._calculator
        point = _Point(
            index=index,
            energy_ev=float(atoms.get_potential_energy()),
            forces_ev_per_angstrom=atoms.get_forces().tolist(),
            stress_ev_per_angstrom3=atoms.get_stress().tolist(),
            seconds=time.perf_counter() - started,
        )
        if not np.isfinite(point.energy_ev):
            raise CalculationError(
                f"the energy at {atoms.get_volume():.2f} Å³ is not a finite number: this structure is "
                "beyond what the engine can compute"
            )
        self._kept.append(vars(point))
        self._points[index] = point
        _log.info(
            "length %+.2f %%  volume %.3f Å³  energy %.6f eV  %.1f s",
            100 * index * self._strain_step,
            atoms.get_volume(),
            point.energy_ev,
            point.seconds,
        )
