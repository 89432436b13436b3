"""Screening of molecules and formulations: filtered, relaxed where asked for, ready or rejected."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.records import Candidate, CandidateState, Relaxation
from discover.structures.molecule import Molecule
from discover.structures.molecule_validity import MoleculeFilters, molecule_problem

if TYPE_CHECKING:
    from ase import Atoms

    from discover.campaign import RelaxationSettings
    from discover.potentials.base import Potential

Relaxed = tuple[Candidate, str | None]
"""A candidate as its relaxation left it, and why that rejects it."""
Relax = Callable[["Sequence[Candidate]", "Potential", "RelaxationSettings"], "list[Relaxed]"]


def relax_molecules(
    candidates: Sequence[Candidate], potential: Potential, settings: RelaxationSettings
) -> list[Relaxed]:
    """Each candidate, a molecule, at the nearest minimum of the potential."""
    return [relax_molecule(candidate, potential, settings) for candidate in candidates]


def screen_molecules(
    candidates: Sequence[Candidate],
    filters: MoleculeFilters,
    relaxation: RelaxationSettings,
    potential: Potential | None = None,
    *,
    others: Iterable[Candidate] = (),
    relax: Relax = relax_molecules,
) -> list[Candidate]:
    """The same candidates in the same order, each ready, or rejected with its reason.

    Molecules are filtered, then relaxed by the potential where there is one. Formulations, which the
    user composes, are neither. Of equal fingerprints, `others` (those ready before) included, the first
    is kept. PotentialError where the potential itself cannot be used.
    """
    ready = {other.fingerprint: other.id for other in others}
    problems = [_problem(candidate, filters, potential) for candidate in candidates]
    relaxed: dict[int, Relaxed] = {}
    if potential is not None:
        rows = [
            row
            for row, candidate in enumerate(candidates)
            if problems[row] is None
            and candidate.fingerprint not in ready
            and isinstance(candidate.structure, Molecule)
        ]
        answers = relax([candidates[row] for row in rows], potential, relaxation)
        relaxed = dict(zip(rows, answers, strict=True))
    screened = []
    for row, (candidate, reason) in enumerate(zip(candidates, problems, strict=True)):
        if reason is None and (twin := ready.get(candidate.fingerprint)) is not None:
            reason = f"duplicate of {twin}"
        if reason is None and row in relaxed:
            candidate, reason = relaxed[row]
        if reason is None:
            ready[candidate.fingerprint] = candidate.id
        state = CandidateState.REJECTED if reason else CandidateState.READY
        screened.append(candidate.model_copy(update={"state": state, "reason": reason}))
    return screened


def relax_molecule(
    candidate: Candidate, potential: Potential, settings: RelaxationSettings
) -> Relaxed:
    """A candidate with the nearest minimum of the potential, and why that rejects it."""
    from ase.optimize import BFGS

    molecule = candidate.molecule
    started = time.perf_counter()
    atoms = molecule.to_atoms()
    bonds = _bonds(atoms)
    atoms.calc = potential.calculator()
    search = BFGS(atoms, logfile=None)
    try:
        converged = bool(search.run(fmax=settings.fmax_ev_per_angstrom, steps=settings.max_steps))
        energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    except PotentialError as error:
        return candidate, f"relaxation: {error}"
    record = Relaxation(
        potential=potential.name,
        energy_ev_per_atom=energy / len(atoms),
        max_force_ev_per_angstrom=float(np.linalg.norm(forces, axis=1).max()),
        max_stress_gpa=0.0,
        volume_ratio=1.0,
        steps=int(search.nsteps),
        converged=converged,
        seconds=time.perf_counter() - started,
    )
    update = {"structure": molecule.moved(atoms), "relaxation": record}
    relaxed = candidate.model_copy(update=update)
    if not converged:
        return relaxed, f"relaxation: not converged after {settings.max_steps} steps"
    if _bonds(atoms) != bonds:
        return relaxed, "relaxation: it fell apart or rearranged"
    return relaxed, None


def _problem(
    candidate: Candidate, filters: MoleculeFilters, potential: Potential | None
) -> str | None:
    """Why a molecule is rejected before it is relaxed, None for what is no molecule."""
    if not isinstance(candidate.structure, Molecule):
        return None
    problem = molecule_problem(candidate.structure.smiles, filters)
    if problem is None and potential is not None:
        symbols = set(candidate.structure.to_atoms().get_chemical_symbols())
        if missing := symbols - potential.elements():
            return f"relaxation: the potential does not know {', '.join(sorted(missing))}"
    return problem


def _bonds(atoms: Atoms) -> frozenset[tuple[int, int]]:
    """Pairs of atoms closer than 1.25 times the sum of their covalent radii."""
    from ase.neighborlist import natural_cutoffs, neighbor_list

    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.25))
    return frozenset((int(i), int(j)) for i, j in zip(first, second, strict=True) if i < j)
