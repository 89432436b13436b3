"""Self-consistent fields with PySCF: how they are made, brought to convergence, and read."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.calculations.molecules.base import SPIN_TOLERANCE, SinglePoint, Solvent
from discover.errors import CalculationError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

LEVEL_SHIFT = 0.3
"""In hartree: lifts the virtual orbitals, which damps a field that oscillates."""

FIELD_STRENGTH = 2e-3
"""In atomic units: the dipole's change is 100 times its noise, and the third order below 0.5 %."""

_FIELD_TOLERANCE = 1e-8
_ORBITALS = ("mo_coeff", "mo_energy", "mo_occ", "e_tot")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Level:
    """The level of theory of a field."""

    functional: str
    basis: str
    grid_level: int
    cavity_order: int
    density_fitting: bool
    energy_tolerance_ev: float
    max_cycles: int


def make(
    atoms: Atoms, level: Level, *, solvent: Solvent | None = None, ghosts: Collection[int] = ()
) -> Any:
    """PySCF's restricted (closed shells) or unrestricted Kohn-Sham object of these atoms."""
    from ase.units import Hartree
    from pyscf import dft, gto

    symbols = [f"ghost-{s}" if i in ghosts else s for i, s in enumerate(atoms.symbols)]
    spin = int(atoms.info.get("spin", 1)) - 1
    mol = gto.M(
        atom=list(zip(symbols, atoms.positions.tolist(), strict=True)),
        basis=level.basis,
        ecp=_core_potentials(level.basis, atoms.numbers),
        charge=int(atoms.info.get("charge", 0)),
        spin=spin,
        verbose=0,
    )
    field = dft.UKS(mol) if spin else dft.RKS(mol)
    field.xc = level.functional
    if level.density_fitting:
        field = field.density_fit()
    field.grids.level = level.grid_level
    field.conv_tol = level.energy_tolerance_ev / Hartree
    field.max_cycle = level.max_cycles
    return field if solvent is None else _solvated(field, solvent, level.cavity_order)


def converge(field: Any, guess: NDArray[np.float64] | None = None) -> tuple[Any, tuple[str, ...]]:
    """The converged field, and notes of what it took; `guess` is a density matrix to start from.

    Tries a level shift, then the second-order solver; CalculationError where that fails as well.
    """
    field.kernel(dm0=guess)
    if field.converged:
        return field, ()
    _log.info("the field did not converge in %d cycles: level shift", field.max_cycle)
    field.level_shift = LEVEL_SHIFT
    field.kernel(dm0=field.make_rdm1())
    field.level_shift = 0.0
    if field.converged:
        field.kernel(dm0=field.make_rdm1())  # orbital energies without the shift
        if field.converged:
            return field, ("the field converged with a level shift",)
    _log.info("the field did not converge with a level shift: second-order solver")
    second = field.newton()
    second.kernel(field.mo_coeff, field.mo_occ)
    if not second.converged:
        mol = field.mol
        raise CalculationError(
            f"the field of {mol.natm} atoms, charge {mol.charge:+d}, multiplicity {mol.spin + 1}, did "
            f"not converge in {field.max_cycle} cycles, nor with a level shift or the second-order "
            "solver: another functional, a finer grid_level or more max_cycles may help"
        )
    return second, ("the field converged with the second-order solver",)


def summary(field: Any, notes: tuple[str, ...], *, polarizability: bool = False) -> SinglePoint:
    """What is kept of a converged field."""
    from ase.units import Hartree

    mol = field.mol
    energies, occupied = np.ravel(field.mo_energy), np.ravel(field.mo_occ) > 0
    spin_squared = float(field.spin_square()[0]) if mol.spin else 0.0
    pure = mol.spin / 2 * (mol.spin / 2 + 1)
    if spin_squared - pure > SPIN_TOLERANCE:
        notes = (*notes, f"spin contamination: <S²> is {spin_squared:.2f}, not {pure:.2f}")
    return SinglePoint(
        energy_ev=float(field.e_tot) * Hartree,
        homo_ev=float(energies[occupied].max()) * Hartree if occupied.any() else 0.0,
        lumo_ev=float(energies[~occupied].min()) * Hartree,
        dipole_debye=tuple(map(float, dipole_moment(field))),
        spin_squared=spin_squared,
        polarizability_angstrom3=isotropic_polarizability(field) if polarizability else None,
        notes=notes,
    )


def dipole_moment(field: Any) -> NDArray[np.float64]:
    """In debye, about the centre of mass."""
    mol = field.mol
    masses = mol.atom_mass_list(isotope_avg=True)
    centre = masses @ mol.atom_coords() / masses.sum() if masses.sum() else np.zeros(3)
    return np.asarray(field.dip_moment(unit="Debye", origin=centre, verbose=0), dtype=np.float64)


def isotropic_polarizability(field: Any) -> float:
    """In Å³: a third of the trace of the dipole's derivative by an electric field.

    Forward differences from the converged field in vacuum, `FIELD_STRENGTH` along x, y and z; the field
    is as it was afterwards. CalculationError where it does not converge in the electric field.
    """
    from pyscf.data.nist import AU2DEBYE, BOHR

    mol, density, free = field.mol, field.make_rdm1(), dipole_moment(field)
    with mol.with_common_orig(np.zeros(3)):
        position = mol.intor_symmetric("int1e_r", comp=3)
    core = field.get_hcore()
    kept = {name: getattr(field, name) for name in (*_ORBITALS, "conv_tol")}
    field.conv_tol = min(field.conv_tol, _FIELD_TOLERANCE)
    trace = 0.0
    try:
        for axis in range(3):
            polarized = core + FIELD_STRENGTH * position[axis]
            field.get_hcore = lambda *_, polarized=polarized: polarized
            field.kernel(dm0=density)
            if not field.converged:
                raise CalculationError(
                    "the polarizability: the molecule's field did not converge in an electric field"
                )
            trace += (dipole_moment(field) - free)[axis] / AU2DEBYE / FIELD_STRENGTH
    finally:
        del field.get_hcore
        for name, value in kept.items():
            setattr(field, name, value)
    return float(trace / 3 * BOHR**3)


def _solvated(field: Any, solvent: Solvent, order: int) -> Any:
    from pyscf.solvent import pcm, smd

    from discover.calculations.engines.pyscf_cavity import KeepsIntegrals

    if isinstance(solvent, str):

        class NamedSolvent(KeepsIntegrals, smd.SMD):  # type: ignore[misc]
            """SMD."""

        return field.SMD(solvent_obj=_with(NamedSolvent(field.mol, solvent), order))

    class Dielectric(KeepsIntegrals, pcm.PCM):  # type: ignore[misc]
        """IEF-PCM."""

    continuum = Dielectric(field.mol)
    continuum.method, continuum.eps = "IEF-PCM", float(solvent)
    return field.PCM(solvent_obj=_with(continuum, order))


def _with(continuum: Any, order: int) -> Any:
    continuum.lebedev_order = order
    return continuum


def _core_potentials(basis: str, numbers: NDArray[np.int_]) -> str | None:
    """The Karlsruhe bases stand for core potentials too from rubidium on."""
    heavy = bool((np.asarray(numbers) > 36).any())
    return basis if heavy and basis.lower().startswith("def2") else None
