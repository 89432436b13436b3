"""Vibrations of a molecule by finite differences, and its Gibbs energy as an ideal gas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray

DISPLACEMENT_ANGSTROM = 0.005
FLOOR_CM = 100.0
"""Lower and imaginary wavenumbers count as this one: R. F. Ribeiro et al., J. Phys. Chem. B 115, 14556
(2011)."""

_LINEAR = 1e-3


def hessian(atoms: Atoms, calculator: Calculator) -> NDArray[np.float64]:
    """Second derivatives in eV/Å², (3n, 3n), by central differences of forces: 6n force calls."""
    moved = atoms.copy()
    moved.calc = calculator
    size = 3 * len(atoms)
    matrix = np.empty((size, size))
    for row in range(size):
        forces = []
        for sign in (1, -1):
            positions = atoms.positions.copy()
            positions.flat[row] += sign * DISPLACEMENT_ANGSTROM
            moved.positions = positions
            forces.append(moved.get_forces().ravel())
        matrix[row] = (forces[1] - forces[0]) / (2 * DISPLACEMENT_ANGSTROM)
    return (matrix + matrix.T) / 2


def wavenumbers(atoms: Atoms, second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vibrational wavenumbers in 1/cm, ascending, imaginary ones negative; none of a single atom.

    Translations and rotations are projected out.
    """
    from ase.units import _amu, _c, _e

    root = np.sqrt(np.repeat(atoms.get_masses(), 3))
    rigid = _rigid_motions(atoms) * root[:, None]
    basis, sizes, _ = np.linalg.svd(rigid, full_matrices=False)
    basis = basis[:, sizes > _LINEAR * sizes.max()]
    inner = np.eye(len(root)) - basis @ basis.T
    values = np.linalg.eigvalsh(inner @ (second / np.outer(root, root)) @ inner)
    modes = np.delete(values, np.argsort(np.abs(values))[: basis.shape[1]])
    omega = np.sign(modes) * np.sqrt(np.abs(modes) * _e / _amu) * 1e10  # rad/s
    return np.asarray(np.sort(omega / (2 * np.pi * _c * 100)))


def gibbs_correction(atoms: Atoms, waves: NDArray[np.float64], temperature_k: float) -> float:
    """G - E in eV of an ideal gas of rigid rotors and harmonic oscillators at 1 bar.

    No symmetry number; wavenumbers (1/cm) below `FLOOR_CM` count as that.
    """
    from ase.thermochemistry import IdealGasThermo
    from ase.units import invcm

    shape = "monatomic" if len(atoms) == 1 else "linear" if _is_linear(atoms) else "nonlinear"
    thermo = IdealGasThermo(
        vib_energies=np.maximum(waves, FLOOR_CM) * invcm,
        geometry=shape,
        potentialenergy=0.0,
        atoms=atoms,
        symmetrynumber=1,
        spin=(int(atoms.info.get("spin", 1)) - 1) / 2,
    )
    return float(thermo.get_gibbs_energy(temperature_k, 1e5, verbose=False))


def _is_linear(atoms: Atoms) -> bool:
    moments = np.sort(np.abs(atoms.get_moments_of_inertia()))
    return bool(moments[0] < _LINEAR * moments[2])


def _rigid_motions(atoms: Atoms) -> NDArray[np.float64]:
    """Translations along, and rotations about, x, y and z: (3n, 6)."""
    centred = atoms.positions - atoms.get_center_of_mass()
    moves = [np.tile(axis, (len(atoms), 1)) for axis in np.eye(3)]
    turns = [np.cross(axis, centred) for axis in np.eye(3)]
    return np.column_stack([motion.ravel() for motion in (*moves, *turns)])
