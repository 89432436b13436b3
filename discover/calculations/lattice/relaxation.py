"""Relaxation of a cell with an engine, inside its space group, tight enough for third derivatives."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.calculations.lattice.forces import KIND_OF_FRAME
from discover.errors import CalculationError, StructureError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import SYMPREC_ANGSTROM, spacegroup, standardized

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

RELAXATION = "relaxation"

_INITIAL_CURVATURE = 20.0
"""First guess of the Hessian's diagonal in eV/Å²; ASE's 70 fits molecules."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Relaxed:
    """A primitive standard cell with what is left of forces (eV/Å) and stress (GPa) in it."""

    cell: Atoms
    spacegroup: int
    steps: int
    energy_ev_per_atom: float
    max_force_ev_per_angstrom: float
    max_stress_gpa: float


def relax(
    cell: Atoms, calculator: Calculator, *, fmax_ev_per_angstrom: float, max_steps: int
) -> Relaxed:
    """Minimize the energy over positions and cell, symmetry kept; `max_steps` 0 evaluates only.

    BFGS on the positions and the logarithm of the deformation (ASE's `FrechetCellFilter`). Raises
    CalculationError where it does not converge, or where the symmetry is lower afterwards.
    """
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS
    from ase.units import GPa

    atoms = cell.copy()
    atoms.info[KIND_OF_FRAME] = RELAXATION
    atoms.calc = calculator
    atoms.set_constraint(FixSymmetry(atoms, symprec=SYMPREC_ANGSTROM))
    optimizer = BFGS(
        FrechetCellFilter(atoms),
        logfile=None,
        alpha=_INITIAL_CURVATURE,
        maxstep=min(0.2, 0.1 * len(atoms)),
    )
    if max_steps and not optimizer.run(fmax_ev_per_angstrom, max_steps):
        raise CalculationError(
            f"the relaxation did not converge to {fmax_ev_per_angstrom:g} eV/Å in {max_steps} steps "
            f"(largest force {_largest_force(atoms):.2g} eV/Å): raise max_relaxation_steps, or relax "
            "the structure with this engine first"
        )
    relaxed, number = _standard(atoms, cell)
    stress = float(np.abs(atoms.get_stress()).max()) / float(GPa)
    _log.info(
        "relaxed in %d steps: %.3f Å³, space group %d, largest force %.1e eV/Å, stress %.3f GPa",
        optimizer.nsteps,
        relaxed.get_volume(),
        number,
        _largest_force(atoms),
        stress,
    )
    energy = float(atoms.get_potential_energy()) / len(atoms)
    return Relaxed(relaxed, number, optimizer.nsteps, energy, _largest_force(atoms), stress)


def _standard(atoms: Atoms, before: Atoms) -> tuple[Atoms, int]:
    """The standard primitive cell of the relaxed atoms, unless symmetry was lost."""
    try:
        relaxed, given = Crystal.from_atoms(atoms), Crystal.from_atoms(before)
        lost = _operations(relaxed) < _operations(given)
        number = spacegroup(relaxed)
        if lost:
            raise CalculationError(
                f"the relaxation lost symmetry: from space group {spacegroup(given)} to {number}; "
                "this structure is not a minimum of the engine's energy within its symmetry"
            )
        return standardized(relaxed, primitive=True).to_atoms(), number
    except StructureError as error:
        raise CalculationError(f"the relaxed structure has no symmetry: {error}") from error


def _operations(crystal: Crystal) -> float:
    """Symmetry operations a volume, which a lost one lowers whatever the cell."""
    import spglib

    cell = (crystal.cell_angstrom, crystal.scaled_positions, crystal.numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=SYMPREC_ANGSTROM)
    if dataset is None:
        raise StructureError(f"no space group found within {SYMPREC_ANGSTROM} Å")
    return len(dataset.rotations) / len(crystal.numbers)


def _largest_force(atoms: Atoms) -> float:
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())
