"""Relaxation of cell and positions with a potential, symmetry kept."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.campaign import RelaxationSettings
from discover.potentials import unknown_elements
from discover.potentials.base import Potential
from discover.records import Relaxation
from discover.structures.crystal import Crystal
from discover.structures.symmetry import SYMPREC_ANGSTROM

if TYPE_CHECKING:
    from ase import Atoms

_INITIAL_CURVATURE = 20.0
"""First guess of the Hessian's diagonal, in eV/Å². ASE's 70 fits molecules; inorganic crystals need a
sixth fewer force calls with this one (5 on average; FIRE needs 20)."""

_NOT_FINITE = "energy, forces or stress are not finite"


@dataclass(frozen=True)
class RelaxedCrystal:
    """What became of a crystal: its last sound structure, how it got there, and what is wrong with it.

    `record` is None where the potential gave no finite energy; `problem` is None where it converged.
    """

    crystal: Crystal
    record: Relaxation | None
    problem: str | None


def relax(crystal: Crystal, potential: Potential, settings: RelaxationSettings) -> RelaxedCrystal:
    """Minimize the energy over cell and positions inside the crystal's own space group.

    BFGS on the positions and the logarithm of the deformation (ASE's `FrechetCellFilter`), with forces
    and stress projected on the symmetric part. It ends when each force, and the cell gradient an atom,
    is below `fmax_ev_per_angstrom`; it is given up as soon as the volume leaves its bounds. Where
    `settings` switch relaxation off, the structure is only evaluated. Whatever is wrong with the
    structure becomes `problem`; PotentialError only where the potential itself cannot be loaded.
    """
    started = time.perf_counter()
    atoms = crystal.to_atoms()
    unknown = unknown_elements(potential, atoms.get_chemical_symbols())
    if unknown:
        return RelaxedCrystal(crystal, None, f"{potential.name} does not know {', '.join(unknown)}")
    atoms.calc = potential.calculator()
    try:
        steps, problem = _minimize(atoms, settings) if settings.enabled else (0, None)
        if not _is_finite(atoms):
            return RelaxedCrystal(crystal, None, _NOT_FINITE)
        record = Relaxation(
            potential=potential.name,
            energy_ev_per_atom=float(atoms.get_potential_energy()) / len(atoms),
            max_force_ev_per_angstrom=_largest_force(atoms),
            max_stress_gpa=_largest_stress(atoms),
            volume_ratio=float(atoms.get_volume()) / crystal.volume_angstrom3,
            steps=steps,
            converged=settings.enabled and problem is None,
            seconds=time.perf_counter() - started,
        )
        return RelaxedCrystal(Crystal.from_atoms(atoms), record, problem)
    except Exception as error:  # noqa: BLE001 - a calculator may raise anything on a bad structure
        return RelaxedCrystal(crystal, None, f"{potential.name} failed: {error!r}")


def _minimize(atoms: Atoms, settings: RelaxationSettings) -> tuple[int, str | None]:
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import BFGS

    start = atoms.get_volume()
    atoms.set_constraint(FixSymmetry(atoms, symprec=SYMPREC_ANGSTROM))
    # The filter scales strain by the number of atoms: 0.1 a atom keeps a step below 10 % strain.
    optimizer = BFGS(
        FrechetCellFilter(atoms),
        logfile=None,
        alpha=_INITIAL_CURVATURE,
        maxstep=min(0.2, 0.1 * len(atoms)),
    )
    for converged in optimizer.irun(settings.fmax_ev_per_angstrom, settings.max_steps):
        if not _is_finite(atoms):
            return optimizer.nsteps, _NOT_FINITE
        problem = _volume_problem(atoms.get_volume() / start, settings.max_volume_change)
        if converged or problem:
            return optimizer.nsteps, problem
    return optimizer.nsteps, (
        f"not converged after {optimizer.nsteps} steps (largest force"
        f" {_largest_force(atoms):.3f} eV/Å, stress {_largest_stress(atoms):.2f} GPa)"
    )


def _volume_problem(ratio: float, limit: float) -> str | None:
    if ratio > 1.0 + limit:
        return f"volume grew to {100 * ratio:.0f} % of the start (limit {100 * (1 + limit):.0f} %)"
    if ratio < 1.0 - limit:
        return f"volume fell to {100 * ratio:.0f} % of the start (limit {100 * (1 - limit):.0f} %)"
    return None


def _is_finite(atoms: Atoms) -> bool:
    return bool(
        np.isfinite(atoms.get_potential_energy())
        and np.isfinite(atoms.get_forces()).all()
        and np.isfinite(atoms.get_stress()).all()
    )


def _largest_force(atoms: Atoms) -> float:
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def _largest_stress(atoms: Atoms) -> float:
    from ase.units import GPa

    return float(np.abs(atoms.get_stress()).max()) / float(GPa)
