"""Plane-wave energies of a cell at many volumes, smooth enough for a third derivative.

A plane-wave basis of fixed cutoff gains and loses waves as the volume changes, and E(V) jumps. Here
the waves are the same at every volume: the cutoff goes as V^(-2/3) about a reference cell. What is
left is a smooth error, for a larger cell has the lower cutoff; it is measured at the reference cell
and taken off, after G. P. Francis and M. C. Payne, J. Phys.: Condens. Matter 2, 4395 (1990).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import Calculator, all_changes, kpts2sizeandoffsets

from discover.files import JsonLines
from discover.records import content_hash

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

BASIS = "basis.jsonl"

_STEP = 2 * math.log(1.03)
"""Half the range of ln(cutoff) over which the basis error is measured: that of ± 3 % in length."""

HIGHEST_CUTOFF = math.exp(_STEP)
"""The highest cutoff that the basis error is measured at, over that of the reference."""

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
class SinglePoint:
    """Energy (eV), forces (eV/Å, atoms by 3) and stress (eV/Å³, Voigt order, tension positive)."""

    energy_ev: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]


class FixedPlaneWaves(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and stress (eV/Å³) with the plane waves of a reference cell.

    For the reference atoms, any moderate strain of their cell and any displacement. `single_point`
    computes atoms at a cutoff in eV; it is asked once for the same atoms. The basis error costs two
    more single points of the reference cell, and only where it is needed: at another volume, or for
    a stress. At the reference volume energies and forces need none.

    Raises what `single_point` raises.
    """

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(
        self,
        reference: Atoms,
        directory: Path,
        *,
        cutoff_ev: float,
        single_point: Callable[[Atoms, float], SinglePoint],
    ) -> None:
        super().__init__()
        self._reference = reference.copy()
        self._reference.set_constraint()
        self._folder = directory
        self._cutoff_ev = cutoff_ev
        self._single_point = single_point
        self._latest: tuple[Atoms, SinglePoint] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = implemented_properties,
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """As ASE calls it; the stress, and with it the basis error, only where it is asked for."""
        super().calculate(atoms, properties, system_changes)
        volume = float(self.atoms.get_volume())
        reference = float(self._reference.get_volume())
        cutoff = self._cutoff_ev * (reference / volume) ** (2 / 3)
        raw = self._computed(self.atoms, cutoff)
        energy = raw.energy_ev
        if not math.isclose(volume, reference, rel_tol=1e-9):
            energy -= self._basis_error.energy(cutoff)
        self.results = {"energy": energy, "free_energy": energy, "forces": raw.forces}
        if "stress" in properties:
            stress = raw.stress.copy()
            stress[:3] += 2 / 3 * cutoff * self._basis_error.derivative(cutoff) / volume
            self.results["stress"] = stress

    def _computed(self, atoms: Atoms, cutoff_ev: float) -> SinglePoint:
        if atoms == self._reference:
            return self._at_reference
        if self._latest is None or self._latest[0] != atoms:
            bare = atoms.copy()
            bare.set_constraint()  # they are ASE's matter, not the engine's
            self._latest = (bare, self._single_point(bare, cutoff_ev))
        return self._latest[1]

    @cached_property
    def _at_reference(self) -> SinglePoint:
        return self._single_point(self._reference, self._cutoff_ev)

    @cached_property
    def _basis_error(self) -> BasisError:
        """Kept on disk under the reference it is for: a folder may serve several cells."""
        kept = JsonLines(self._folder / BASIS)
        reference = self._reference_hash()
        for record in kept.read():
            if record["reference"] == reference:
                return BasisError(**record["error"])
        here = self._at_reference.energy_ev
        lower = self._single_point(self._reference, self._cutoff_ev * math.exp(-_STEP)).energy_ev
        upper = self._single_point(self._reference, self._cutoff_ev * math.exp(_STEP)).energy_ev
        error = BasisError(self._cutoff_ev, below_ev=lower - here, above_ev=here - upper)
        kept.append({"reference": reference, "error": vars(error)})
        _log.info(
            "cutoff %.0f eV: %+.1f meV at %.1f %% less, %+.1f meV at %.1f %% more",
            self._cutoff_ev,
            1e3 * error.below_ev,
            -100 * math.expm1(-_STEP),
            -1e3 * error.above_ev,
            100 * math.expm1(_STEP),
        )
        return error

    def _reference_hash(self) -> str:
        return content_hash(
            {
                "cutoff_ev": self._cutoff_ev,
                "numbers": self._reference.numbers.tolist(),
                "cell": (self._reference.cell.array.round(6) + 0.0).tolist(),
                "positions": (self._reference.positions.round(6) + 0.0).tolist(),
            }
        )


@dataclass(frozen=True)
class KPointMesh:
    """A regular mesh of k-points; `around_gamma` or else half a step off it (Monkhorst and Pack)."""

    size: tuple[int, int, int]
    around_gamma: bool


def k_point_mesh(atoms: Atoms, k_density: float) -> KPointMesh:
    """An even mesh off Γ, which needs the fewest points, or around Γ if hexagonal.

    `k_density` is in points per Å⁻¹ of reciprocal lattice vector (2π included). A mesh off Γ breaks
    the symmetry of a hexagonal cell.
    """
    hexagonal = atoms.cell.get_bravais_lattice().name == "HEX"
    size, _ = kpts2sizeandoffsets(density=k_density, atoms=atoms, even=None if hexagonal else True)
    a, b, c = (int(n) for n in size)
    return KPointMesh(size=(a, b, c), around_gamma=hexagonal)
