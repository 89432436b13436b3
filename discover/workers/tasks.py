"""What workers do: relax structures and describe candidates, as functions from JSON to JSON."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from discover.campaign import RelaxationSettings
from discover.errors import StructureError
from discover.potentials.base import Potential
from discover.records import Candidate, CandidateState, Record
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from discover.potentials.relaxation import RelaxedCrystal
    from surrogates.descriptors import Descriptor

Made = TypeVar("Made")
_KEPT = threading.local()


class RelaxCrystals(Record):
    """Crystals to relax, and how; a potential that is a file lies relative to `base`."""

    base: Path
    potential: str
    settings: RelaxationSettings
    crystals: tuple[Crystal, ...]


class RelaxMolecules(Record):
    """Molecules to relax, and how."""

    base: Path
    potential: str
    settings: RelaxationSettings
    candidates: tuple[Candidate, ...]


class Describe(Record):
    """Candidates to describe, and by which descriptors."""

    base: Path
    potential: str
    descriptors: tuple[str, ...]
    candidates: tuple[Candidate, ...]


@cache
def relaxed_crystals() -> TypeAdapter[list[RelaxedCrystal]]:
    """How the answer of `relax_crystals` is written and read."""
    from discover.potentials.relaxation import RelaxedCrystal

    return TypeAdapter(list[RelaxedCrystal])


CANDIDATES = TypeAdapter(list[Candidate])
REASONED = TypeAdapter(list[tuple[Candidate, str | None]])


def relax_crystals(asked: str) -> str:
    """Relax the crystals of a `RelaxCrystals` as one batch; gives `relaxed_crystals`."""
    from discover.potentials.relaxation import relax_many

    chunk = RelaxCrystals.model_validate_json(asked)
    potential = potential_kept(chunk.potential, chunk.base)
    relaxed = relax_many(chunk.crystals, potential, chunk.settings)
    return relaxed_crystals().dump_json(relaxed).decode()


def relax_molecules(asked: str) -> str:
    """Relax the molecules of a `RelaxMolecules` one by one; gives `REASONED`."""
    from discover.molecule_screening import relax_molecule

    chunk = RelaxMolecules.model_validate_json(asked)
    potential = potential_kept(chunk.potential, chunk.base)
    relaxed = [relax_molecule(one, potential, chunk.settings) for one in chunk.candidates]
    return REASONED.dump_json(relaxed).decode()


def describe(asked: str) -> str:
    """Candidates with their descriptors, or rejected where they cannot be described; `CANDIDATES`."""
    chunk = Describe.model_validate_json(asked)
    descriptors = descriptors_kept(chunk.descriptors, chunk.base, chunk.potential)
    return CANDIDATES.dump_json([_described(c, descriptors) for c in chunk.candidates]).decode()


def undescribed(candidate: Candidate, why: str) -> Candidate:
    """A candidate that was rejected, as it cannot be described."""
    rejected = {"state": CandidateState.REJECTED, "reason": f"descriptors: {why}"}
    return candidate.model_copy(update=rejected)


def potential_kept(name: str, base: Path) -> Potential:
    """The potential of this name, loaded once in each thread: their models are not made to be shared."""
    from discover.potentials import load_potential

    return _kept("potential", (name, base), lambda: load_potential(name, base))


def descriptors_kept(names: tuple[str, ...], base: Path, potential: str) -> list[Descriptor]:
    """The descriptors of these names, made once in each thread."""
    from surrogates.descriptors import descriptors_named

    return _kept(
        "descriptors", (names, base, potential), lambda: descriptors_named(names, base, potential)
    )


def _described(candidate: Candidate, descriptors: list[Descriptor]) -> Candidate:
    from surrogates.descriptors import featurize

    try:
        return featurize([candidate], descriptors)[0]
    except StructureError as error:
        return undescribed(candidate, str(error))


def _kept(sort: str, key: Hashable, make: Callable[[], Made]) -> Made:
    """What was made last of its sort in this thread, made anew where the key is another."""
    kept: dict[str, tuple[Hashable, Any]] = _KEPT.__dict__
    if sort not in kept or kept[sort][0] != key:
        kept[sort] = key, make()
    made: Made = kept[sort][1]
    return made
