"""The coordinates along which a crystal can relax without leaving its space group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from discover.potentials.base import Evaluation
from discover.structures.crystal import Crystal
from discover.structures.symmetry import operations

Array = npt.NDArray[np.float64]

_LARGEST_STRAIN = 0.45
"""Eigenvalues of the Eulerian strain stay below it: at 1/2 the crystal would be infinitely large."""


@dataclass(frozen=True)
class Geometry:
    """Cell vectors (rows) and positions, in Å."""

    cell_angstrom: Array
    positions_angstrom: Array


class SymmetricCoordinates:
    """Symmetric strains and displacements of one crystal, as a vector that is zero where it starts.

    The first `n_strains` coordinates are components of the Eulerian strain e = (1 − F⁻²)/2, where the
    symmetric F takes the first cell to the present one, in an orthonormal basis of the strains that
    the point group leaves alone; the first is isotropic. The energy of a crystal is nearly quadratic
    in e: exactly so where the pressure derivative of the bulk modulus is 4 (Birch, Phys. Rev. 71, 809
    (1947)). The other coordinates are displacements (Å, before the deformation), without uniform
    translations, in an orthonormal basis too.

    The crystal is first made exactly symmetric, within the tolerance to which its space group was
    found. StructureError where none is found, as for atoms on top of one another.
    """

    def __init__(self, crystal: Crystal) -> None:
        rotations, translations = operations(crystal)
        self._cell = _symmetric_cell(np.array(crystal.cell_angstrom), rotations)
        scaled, images = _symmetric_positions(
            np.array(crystal.scaled_positions), self._cell, rotations, translations
        )
        self._positions = scaled @ self._cell
        # Vectors are rows, so that an operation takes x to x R.
        cartesian = np.linalg.inv(self._cell) @ rotations.transpose(0, 2, 1) @ self._cell
        self._strains = _symmetric_strains(cartesian)
        self._displacements = _symmetric_displacements(cartesian, images)

    @property
    def n_strains(self) -> int:
        """Free components of the cell: from 1 for cubic crystals to 6 for triclinic ones."""
        return len(self._strains)

    @property
    def n_displacements(self) -> int:
        """Free components of the positions: none where symmetry holds every atom."""
        return len(self._displacements)

    def geometry(self, x: Array) -> Geometry:
        """Cell and positions at the coordinates `x`."""
        stretches, axes = self._stretches(x)
        deformation = (axes * stretches) @ axes.T
        moved = self._positions + np.tensordot(x[self.n_strains :], self._displacements, 1)
        return Geometry(self._cell @ deformation, moved @ deformation)

    def gradient(self, x: Array, evaluation: Evaluation) -> Array:
        """Derivatives of the energy with respect to the coordinates at `x`, in eV and eV/Å.

        dE = V σ : F⁻¹ dF, with the derivative of a function of a symmetric matrix by Daleckii and Krein
        (Higham, Functions of Matrices (2008), theorem 3.11).
        """
        stretches, axes = self._stretches(x)
        # Divided differences of (1 − 2e)^(−1/2), as a form that is sound where eigenvalues agree.
        slopes = 2.0 * np.outer(stretches, stretches) ** 2 / np.add.outer(stretches, stretches)
        virial = axes.T @ self._virial(x, evaluation) @ axes / stretches[:, None]
        by_strain = axes @ (0.5 * (virial + virial.T) * slopes) @ axes.T
        pulled = evaluation.forces_ev_per_angstrom @ (axes * stretches) @ axes.T
        return np.concatenate(
            [
                np.tensordot(self._strains, by_strain, 2),
                -np.tensordot(self._displacements, pulled, 2),
            ]
        )

    def largest_gradient(self, x: Array, evaluation: Evaluation) -> float:
        """The largest of the symmetric forces and rows of the symmetric virial an atom, in eV/Å.

        ASE's `FrechetCellFilter` judges convergence by the same numbers.
        """
        forces = np.tensordot(
            np.tensordot(self._displacements, evaluation.forces_ev_per_angstrom, 2),
            self._displacements,
            1,
        )
        virial = np.tensordot(
            np.tensordot(self._strains, self._virial(x, evaluation), 2), self._strains, 1
        )
        rows = np.concatenate([forces, virial / len(self._positions)])
        return float(np.linalg.norm(rows, axis=1).max())

    def limited(self, x: Array, step: Array, displacement: float, strain: float) -> Array:
        """`step`, scaled so that no atom moves by more than `displacement` (Å) nor the strain by more."""
        moves = np.tensordot(step[self.n_strains :], self._displacements, 1)
        change = np.tensordot(step[: self.n_strains], self._strains, 1)
        step = step / max(
            1.0,
            float(np.linalg.norm(moves, axis=1).max()) / displacement,
            float(np.abs(np.linalg.eigvalsh(change)).max()) / strain,
        )
        while np.linalg.eigvalsh(self._strain(x + step)).max() > _LARGEST_STRAIN:
            step = 0.5 * step
        return step

    def _strain(self, x: Array) -> Array:
        return np.asarray(np.tensordot(x[: self.n_strains], self._strains, 1), dtype=np.float64)

    def _stretches(self, x: Array) -> tuple[Array, Array]:
        """Eigenvalues of F, and its eigenvectors as columns."""
        strains, axes = np.linalg.eigh(self._strain(x))
        return 1.0 / np.sqrt(1.0 - 2.0 * strains), axes

    def _virial(self, x: Array, evaluation: Evaluation) -> Array:
        xx, yy, zz, yz, xz, xy = evaluation.stress_ev_per_angstrom3
        volume = float(abs(np.linalg.det(self._cell)) * self._stretches(x)[0].prod())
        return volume * np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], dtype=np.float64)


def _symmetric_cell(cell: Array, rotations: npt.NDArray[np.int_]) -> Array:
    """The cell under the smallest stretch that gives its metric the symmetry of the operations."""
    metric = (rotations.transpose(0, 2, 1) @ (cell @ cell.T) @ rotations).mean(axis=0)
    inverse = np.linalg.inv(cell)
    squares, axes = np.linalg.eigh(inverse @ metric @ inverse.T)
    symmetric: Array = cell @ (axes * np.sqrt(squares)) @ axes.T
    return symmetric


def _symmetric_positions(
    scaled: Array, cell: Array, rotations: npt.NDArray[np.int_], translations: Array
) -> tuple[Array, npt.NDArray[np.int_]]:
    """Fractional positions averaged over the operations, and the atom that each takes each atom to."""
    images = np.empty((len(rotations), len(scaled)), dtype=int)
    offset = np.zeros_like(scaled)
    for operation, (rotation, translation) in enumerate(zip(rotations, translations, strict=True)):
        difference = (scaled @ rotation.T + translation)[:, None] - scaled
        difference -= np.round(difference)
        nearest = np.linalg.norm(difference @ cell, axis=2).argmin(axis=1)
        images[operation] = nearest
        offset[nearest] += difference[np.arange(len(scaled)), nearest]
    return scaled + offset / len(rotations), images


def _symmetric_strains(cartesian: Array) -> Array:
    """Orthonormal symmetric matrices (k, 3, 3) that all rotations leave alone, the identity first."""
    traceless = np.zeros((5, 3, 3))
    traceless[0] = np.diag([1, -1, 0]) / np.sqrt(2)
    traceless[1] = np.diag([1, 1, -2]) / np.sqrt(6)
    for matrix, (row, column) in zip(traceless[2:], [(1, 2), (0, 2), (0, 1)], strict=True):
        matrix[row, column] = matrix[column, row] = 1 / np.sqrt(2)
    turned = np.einsum("rba,kbc,rcd->kad", cartesian, traceless, cartesian) / len(cartesian)
    kept = _range_of_projector(np.tensordot(traceless, turned, ([1, 2], [1, 2])))
    return np.concatenate([np.eye(3)[None] / np.sqrt(3), np.tensordot(kept, traceless, 1)])


def _symmetric_displacements(cartesian: Array, images: npt.NDArray[np.int_]) -> Array:
    """Orthonormal displacements (k, n, 3) that all operations leave alone, none of them uniform."""
    n = images.shape[1]
    projector = np.zeros((n, 3, n, 3))
    atoms = np.arange(n)
    for rotation, image in zip(cartesian, images, strict=True):
        projector[image, :, atoms, :] += rotation.T / len(images)
    uniform = projector.mean(axis=0)  # the mean displacement that any displacement turns into
    projector -= uniform[None]
    return _range_of_projector(projector.reshape(3 * n, 3 * n)).reshape(-1, n, 3)


def _range_of_projector(projector: Array) -> Array:
    """Orthonormal vectors (rows) that an orthogonal projector leaves alone; the others go to zero."""
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))
    return vectors[:, values > 0.5].T
