"""What every table says of a candidate."""

from __future__ import annotations

from typing import Any

from discover.records import Candidate, Record
from discover.structures.molecule import Molecule


class CandidateRow(Record):
    """What every table says of a candidate; `smiles` is a molecule's, `title` its structure in words."""

    candidate: str
    formula: str
    spacegroup: int | None
    prototype: str | None
    smiles: str | None
    title: str


def described(candidate: Candidate) -> dict[str, Any]:
    """The fields of a `CandidateRow`."""
    structure = candidate.structure
    return {
        "candidate": candidate.id,
        "formula": candidate.formula,
        "spacegroup": candidate.spacegroup,
        "prototype": candidate.prototype,
        "smiles": structure.smiles if isinstance(structure, Molecule) else None,
        "title": candidate.title,
    }
