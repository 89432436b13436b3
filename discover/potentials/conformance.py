"""What every potential must satisfy; for the author of a plug-in to call in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials import unknown_elements
from discover.potentials.base import Potential
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms

_STEP_ANGSTROM = 0.01
_STRAIN = 0.005


def check_potential(potential: Potential, crystal: Crystal, tolerance: float = 0.03) -> None:
    """PotentialError where `potential` breaks its contract on `crystal`, whose elements it must know.

    Forces and stress of the rattled and sheared crystal must be derivatives of the energy (central
    differences) within `tolerance` of their largest component, which single precision allows: so their
    signs and units are right. A second calculator must repeat the energy.
    """
    if not potential.name:
        raise PotentialError("the potential has no name")
    atoms = crystal.to_atoms()
    unknown = unknown_elements(potential, atoms.get_chemical_symbols())
    if unknown:
        raise PotentialError(f"{potential.name} must know the elements {', '.join(unknown)}")
    atoms.rattle(0.08, seed=0)
    _strain(atoms, 0, 0, 0.03)
    _strain(atoms, 0, 1, 0.03)
    atoms.calc = potential.calculator()
    again = atoms.copy()
    again.calc = potential.calculator()
    if not np.isclose(atoms.get_potential_energy(), again.get_potential_energy(), atol=1e-4):
        raise PotentialError(f"{potential.name}: two calculators give different energies")
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    _compare(f"{potential.name}: forces (eV/Å)", forces[0], _numerical_forces(atoms), tolerance)
    _compare(
        f"{potential.name}: stress (eV/Å³)", stress[0, :2], _numerical_stress(atoms), tolerance
    )


def _numerical_forces(atoms: Atoms) -> list[float]:
    """The three components on the first atom."""
    forces = []
    for axis in range(3):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[0, axis] += sign * _STEP_ANGSTROM
            energies.append(moved.get_potential_energy())
        forces.append(-(energies[0] - energies[1]) / (2 * _STEP_ANGSTROM))
    return forces


def _numerical_stress(atoms: Atoms) -> list[float]:
    """The components xx and xy."""
    stress = []
    for column in (0, 1):
        energies = []
        for sign in (1, -1):
            strained = atoms.copy()
            strained.calc = atoms.calc
            _strain(strained, 0, column, sign * _STRAIN)
            energies.append(strained.get_potential_energy())
        stress.append((energies[0] - energies[1]) / (2 * _STRAIN * atoms.get_volume()))
    return stress


def _strain(atoms: Atoms, row: int, column: int, size: float) -> None:
    """Apply a symmetric strain, whose energy derivative is the stress times the volume."""
    strain = np.eye(3)
    strain[row, column] += size / 2
    strain[column, row] += size / 2
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)


def _compare(what: str, given: np.ndarray, expected: list[float], tolerance: float) -> None:
    allowed = tolerance * np.abs(expected).max()
    if not np.abs(np.asarray(given) - expected).max() <= allowed:
        raise PotentialError(
            f"{what} are {np.round(given, 5).tolist()}, but the energy's derivatives are"
            f" {np.round(expected, 5).tolist()}"
        )
