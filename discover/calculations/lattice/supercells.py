"""Supercells and meshes chosen for a crystal by lengths and numbers of atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from discover.errors import CalculationError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import ArrayLike, NDArray

Matrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
"""Rows are the supercell's vectors in multiples of the unit cell's vectors."""


def choose_supercell(
    cell: Atoms, *, min_length_angstrom: float, min_atoms: int, max_atoms: int
) -> Matrix:
    """The smallest supercell whose periodic images are `min_length_angstrom` apart or more.

    Multiples of the primitive and of the conventional cell are tried; vectors of equal length get
    equal multiples, so that no symmetry is lost. `cell` is a standard primitive cell. Raises
    CalculationError where `min_length_angstrom` and `min_atoms` cannot be had with `max_atoms`.
    """
    grown = [
        _grow(cell, basis, min_length_angstrom, min_atoms)
        for basis in (np.eye(3, dtype=int), _conventional(cell))
    ]
    matrix = min(grown, key=lambda m: (atoms_in(cell, m), -image_distance(cell, m)))
    if atoms_in(cell, matrix) > max_atoms:
        raise CalculationError(
            f"a supercell with images {min_length_angstrom:g} Å apart and {min_atoms} atoms or more "
            f"takes {atoms_in(cell, matrix)} atoms, more than max_atoms = {max_atoms}: raise it, or "
            "lower min_length_angstrom or min_atoms"
        )
    return as_matrix(matrix)


def choose_mesh(cell: Atoms, mesh_length_angstrom: float) -> tuple[int, int, int]:
    """Γ-centred mesh of q-points: as many along each axis as fit `mesh_length_angstrom` · |b|.

    b is the reciprocal lattice vector without 2π, so the length is that of the crystal whose waves
    the mesh holds.
    """
    counts = np.ceil(mesh_length_angstrom * cell.cell.reciprocal().lengths() - 1e-6)
    one, two, three = (max(1, int(n)) for n in counts)
    return one, two, three


def image_distance(cell: Atoms, matrix: ArrayLike) -> float:
    """Distance in Å from an atom to its nearest periodic image in this supercell."""
    from ase.cell import Cell

    supercell = Cell(np.asarray(matrix) @ cell.cell.array)
    return float(supercell.minkowski_reduce()[0].lengths().min())


def atoms_in(cell: Atoms, matrix: ArrayLike) -> int:
    """Number of atoms of this supercell."""
    return len(cell) * abs(round(float(np.linalg.det(np.asarray(matrix)))))


def as_matrix(matrix: ArrayLike) -> Matrix:
    """Three multiples, or nine, as a matrix of plain integers."""
    array = np.asarray(matrix)
    full = np.diag(array) if array.ndim == 1 else array
    one, two, three = (tuple(int(n) for n in row) for row in full)
    return one, two, three  # type: ignore[return-value]


def _grow(
    cell: Atoms, basis: NDArray[np.int_], min_length: float, min_atoms: int
) -> NDArray[np.int_]:
    lengths = np.linalg.norm(basis @ cell.cell.array, axis=1)
    multiples = np.ones(3, dtype=int)
    while True:
        matrix = np.diag(multiples) @ basis
        if (
            image_distance(cell, matrix) >= min_length - 1e-3
            and atoms_in(cell, matrix) >= min_atoms
        ):
            return matrix
        shortest = np.isclose(multiples * lengths, (multiples * lengths).min(), rtol=1e-3)
        multiples[shortest] += 1


def _conventional(cell: Atoms) -> NDArray[np.int_]:
    conventional = standardized(Crystal.from_atoms(cell), primitive=False).to_atoms()
    exact = conventional.cell.array @ np.linalg.inv(cell.cell.array)
    matrix = np.rint(exact).astype(int)
    fits = np.allclose(exact, matrix, atol=1e-2) and round(float(np.linalg.det(matrix))) > 0
    return matrix if fits else np.eye(3, dtype=int)
