"""Screening: proposed candidates are relaxed and filtered, and come back ready or rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from discover.campaign import Filters, RelaxationSettings
from discover.errors import PotentialError, StructureError
from discover.potentials.base import Potential
from discover.potentials.reference import ReferenceEnergies
from discover.potentials.relaxation import RelaxedCrystal, relax_many
from discover.records import Candidate, CandidateState
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import find_duplicate
from discover.structures.symmetry import spacegroup
from discover.structures.validity import distance_problem, symmetry_problem

Relax = Callable[[Sequence[Crystal], Potential, RelaxationSettings], list[RelaxedCrystal]]
"""What relaxes crystals, as `relax_many` does."""


def screen(
    candidates: Iterable[Candidate],
    potential: Potential,
    relaxation: RelaxationSettings,
    filters: Filters,
    *,
    references: Path | None = None,
    others: Iterable[Candidate] = (),
    relax: Relax = relax_many,
) -> list[Candidate]:
    """The same candidates in the same order, each ready, or rejected with its reason.

    The filters, in order: the relaxation converged and kept volume and space group; no two atoms are
    too close; the formation energy is below its limit; neither one of `others` (those ready before)
    nor an earlier candidate is the same crystal. A candidate that fails one keeps its structure and
    record. `references` is the folder where reference energies are kept. PotentialError where the
    potential itself cannot be used.
    """
    energies = ReferenceEnergies(potential, references)
    ready: dict[str, dict[str, Crystal]] = defaultdict(dict)
    for other in others:
        ready[other.fingerprint][other.id] = other.crystal
    relaxed = [
        (candidate, reason or _distance_reason(candidate, filters))
        for candidate, reason in _relaxed(list(candidates), potential, relaxation, filters, relax)
    ]
    energies.prepare(
        symbol
        for candidate, reason in relaxed
        if reason is None and candidate.relaxation is not None
        for symbol in candidate.crystal.to_atoms().get_chemical_symbols()
    )
    screened = []
    for candidate, reason in relaxed:
        if reason is None:
            candidate, reason = _with_formation_energy(candidate, energies, filters)
        twins = ready[candidate.fingerprint]
        if reason is None and (twin := find_duplicate(candidate.crystal, twins)) is not None:
            reason = f"duplicate of {twin}"
        if reason is None:
            twins[candidate.id] = candidate.crystal
        state = CandidateState.REJECTED if reason else CandidateState.READY
        candidate = candidate.model_copy(update={"state": state, "reason": reason})
        screened.append(candidate)
    return screened


def _relaxed(
    candidates: list[Candidate],
    potential: Potential,
    settings: RelaxationSettings,
    filters: Filters,
    relax: Relax,
) -> list[tuple[Candidate, str | None]]:
    """Each candidate as its relaxation left it, and why that rejects it."""
    if not settings.enabled and filters.max_formation_energy_ev_per_atom is None:
        return [(candidate, None) for candidate in candidates]
    relaxed = relax([candidate.crystal for candidate in candidates], potential, settings)
    return [_with_relaxed(*pair) for pair in zip(candidates, relaxed, strict=True)]


def _with_relaxed(candidate: Candidate, relaxed: RelaxedCrystal) -> tuple[Candidate, str | None]:
    problem, number = relaxed.problem, candidate.spacegroup
    if problem is None:
        try:
            problem = symmetry_problem(candidate.crystal, relaxed.crystal)
            number = spacegroup(relaxed.crystal)
        except StructureError as error:
            problem = str(error)
    update = {"structure": relaxed.crystal, "spacegroup": number, "relaxation": relaxed.record}
    return candidate.model_copy(update=update), f"relaxation: {problem}" if problem else None


def _distance_reason(candidate: Candidate, filters: Filters) -> str | None:
    try:
        problem = distance_problem(candidate.crystal, filters.min_distance_ratio)
    except StructureError as error:
        problem = str(error)
    return f"distances: {problem}" if problem else None


def _with_formation_energy(
    candidate: Candidate, energies: ReferenceEnergies, filters: Filters
) -> tuple[Candidate, str | None]:
    limit = filters.max_formation_energy_ev_per_atom
    if candidate.relaxation is None:
        return candidate, None
    try:
        energy = energies.formation_energy(
            candidate.crystal, candidate.relaxation.energy_ev_per_atom
        )
    except PotentialError as error:
        return candidate, f"formation energy: {error}" if limit is not None else None
    candidate = candidate.model_copy(update={"formation_energy_ev_per_atom": energy})
    if limit is not None and energy > limit:
        return candidate, f"formation energy: {energy:.3f} eV/atom (limit {limit:.3f})"
    return candidate, None
