"""GPAW energies of a cell at many volumes, smooth enough for a third derivative.

A plane-wave basis of fixed cutoff gains and loses waves as the volume changes, and E(V) jumps. Here
the waves are the same at every volume: the cutoff goes as V^(-2/3) about a reference cell. What is
left is a smooth error, for a larger cell has the lower cutoff; it is measured at the reference cell
and taken off, after G. P. Francis and M. C. Payne, J. Phys.: Condens. Matter 2, 4395 (1990).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes, kpts2sizeandoffsets

from discover.errors import CalculationError
from discover.files import JsonLines

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

LOG = "gpaw.txt"
BASIS = "basis.jsonl"

_STEP = 2 * math.log(1.03)
"""Half the range of ln(cutoff) over which the basis error is measured: that of ± 3 % in length."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BasisError:
    """How the energy of one cell changes with the cutoff: a power law through three energies in eV.

    `below_ev` is E(lower cutoff) - E(cutoff) and `above_ev` E(cutoff) - E(higher cutoff), the
    cutoffs being `step` apart in their logarithm. Where one is not positive the basis is converged
    to within noise, and the law is linear in the logarithm.
    """

    cutoff_ev: float
    below_ev: float
    above_ev: float
    step: float = _STEP

    def energy(self, cutoff_ev: float) -> float:
        """E(cutoff_ev) - E(self.cutoff_ev) in eV, at the reference cell."""
        t = math.log(cutoff_ev / self.cutoff_ev) / self.step
        if self._power == 0:
            return -self._slope * t
        return self._slope / self._power * math.expm1(-self._power * t)

    def derivative(self, cutoff_ev: float) -> float:
        """dE/dcutoff, dimensionless (eV per eV)."""
        t = math.log(cutoff_ev / self.cutoff_ev) / self.step
        return -self._slope * math.exp(-self._power * t) / self.step / cutoff_ev

    @property
    def _power(self) -> float:
        if min(self.below_ev, self.above_ev) <= 0 or math.isclose(self.below_ev, self.above_ev):
            return 0.0
        return math.log(self.below_ev / self.above_ev)

    @property
    def _slope(self) -> float:
        if self._power == 0:
            return (self.below_ev + self.above_ev) / 2
        return self.below_ev * self._power / math.expm1(self._power)


@dataclass(frozen=True)
class _Raw:
    energy_ev: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


class FixedPlaneWaves(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and stress (eV/Å³) with the plane waves of a reference cell.

    For the reference atoms, any scaling of their cell and any displacement. Every single point
    starts from scratch, so that an answer does not depend on what was computed before it.

    Bold density mixing halves the time of the usual one in cells of a few atoms, with energies equal
    to 1e-6 eV; where it does not converge, cautious mixing is tried once.

    Raises CalculationError where that does not converge either.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(
        self,
        reference: Atoms,
        directory: Path,
        *,
        cutoff_ev: float,
        k_density: float,
        xc: str,
        smearing_ev: float,
        energy_tolerance_ev: float,
        max_iterations: int,
    ) -> None:
        super().__init__()
        self._reference = reference.copy()
        self._folder = directory
        self._cutoff_ev = cutoff_ev
        self._kpts = k_point_mesh(self._reference, k_density)
        self._xc = xc
        self._smearing_ev = smearing_ev
        self._energy_tolerance_ev = energy_tolerance_ev
        self._max_iterations = max_iterations

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = implemented_properties,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """All properties at once, as ASE calls it."""
        super().calculate(atoms, properties, system_changes)
        volume = self.atoms.get_volume()
        cutoff = self._cutoff_ev * (self._reference.get_volume() / volume) ** (2 / 3)
        raw = (
            self._at_reference
            if self.atoms == self._reference
            else self._single_point(self.atoms, cutoff)
        )
        energy = raw.energy_ev - self._basis_error.energy(cutoff)
        stress = raw.stress.copy()
        stress[:3] += 2 / 3 * cutoff * self._basis_error.derivative(cutoff) / volume
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": raw.forces,
            "stress": stress,
        }

    @cached_property
    def _at_reference(self) -> _Raw:
        return self._single_point(self._reference, self._cutoff_ev)

    @cached_property
    def _basis_error(self) -> BasisError:
        kept = JsonLines(self._folder / BASIS)
        records = kept.read()
        if records:
            return BasisError(**records[0])
        here = self._at_reference.energy_ev
        lower = self._single_point(self._reference, self._cutoff_ev * math.exp(-_STEP)).energy_ev
        upper = self._single_point(self._reference, self._cutoff_ev * math.exp(_STEP)).energy_ev
        error = BasisError(self._cutoff_ev, below_ev=lower - here, above_ev=here - upper)
        kept.append(vars(error))
        _log.info(
            "cutoff %.0f eV: %+.1f meV at %.1f %% less, %+.1f meV at %.1f %% more",
            self._cutoff_ev,
            1e3 * error.below_ev,
            -100 * math.expm1(-_STEP),
            -1e3 * error.above_ev,
            100 * math.expm1(_STEP),
        )
        return error

    @cached_property
    def _grid(self) -> tuple[int, ...]:
        """One density grid for every volume and cutoff: the one that the highest cutoff needs."""
        from gpaw import GPAW, PW

        probe = GPAW(
            mode=PW(self._cutoff_ev * math.exp(_STEP)), xc=self._xc, kpts=self._kpts, txt=None
        )
        probe.initialize(self._reference)
        return tuple(int(n) for n in probe.density.gd.N_c)

    def _single_point(self, atoms: Atoms, cutoff_ev: float) -> _Raw:
        from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError, Mixer

        attempts: list[dict[str, Any]] = [
            {"maxiter": self._max_iterations, "mixer": Mixer(0.5, 5, 1)},
            {"maxiter": 3 * self._max_iterations, "mixer": Mixer(0.02, 5, 100)},
        ]
        for attempt in attempts:
            with (self._folder / LOG).open("a", encoding="utf-8") as log:
                atoms = atoms.copy()
                atoms.calc = GPAW(
                    mode=PW(cutoff_ev),
                    gpts=self._grid,
                    kpts=self._kpts,
                    xc=self._xc,
                    occupations=FermiDirac(self._smearing_ev),
                    convergence={
                        "energy": self._energy_tolerance_ev,
                        "density": 1e-3,
                        "eigenstates": 1e-6,
                    },
                    txt=log,
                    **attempt,
                )
                try:
                    energy = atoms.get_potential_energy()
                except KohnShamConvergenceError:
                    _log.info("not converged in %d iterations", attempt["maxiter"])
                    continue
                return _Raw(float(energy), atoms.get_forces(), atoms.get_stress())
        raise CalculationError(
            f"the self-consistent field did not converge in {attempts[-1]['maxiter']} iterations "
            f"with cautious mixing at {atoms.get_volume():.2f} Å³ ({self._folder / LOG}): raise "
            "smearing_ev or max_iterations; a magnetic material may be out of reach here"
        )


def k_point_mesh(atoms: Atoms, k_density: float) -> dict[str, Any]:
    """GPAW's `kpts`: an even mesh off Γ, which needs the fewest points, or around Γ if hexagonal.

    A mesh off Γ breaks the symmetry of a hexagonal cell.
    """
    hexagonal = atoms.cell.get_bravais_lattice().name == "HEX"
    size, _ = kpts2sizeandoffsets(density=k_density, atoms=atoms, even=None if hexagonal else True)
    return {"size": tuple(int(n) for n in size), "gamma": hexagonal}
