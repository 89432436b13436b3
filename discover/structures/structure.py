"""What a candidate may be: a crystal, a molecule, a formulation, or no more than a composition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule

SORTS = (Crystal, Molecule, Formulation, Composition)


def sort_name(structure: object) -> str:
    """`crystal`, `molecule`, `formulation` or `composition`, of a structure or of its class."""
    one = structure if isinstance(structure, type) else type(structure)
    return one.__name__.lower()


def _sort_of(content: Any) -> str | None:
    """Which sort a structure, or a mapping that is to become one, is; None where it is none."""
    if isinstance(content, SORTS):
        return sort_name(content)
    found = [
        sort_name(sort)
        for sort, own in (
            (Crystal, "cell_angstrom"),
            (Molecule, "smiles"),
            (Formulation, "components"),
            (Composition, "amounts"),
        )
        if isinstance(content, Mapping) and own in content
    ]
    return found[0] if found else None


Structure = Annotated[
    Annotated[Crystal, Tag("crystal")]
    | Annotated[Molecule, Tag("molecule")]
    | Annotated[Formulation, Tag("formulation")]
    | Annotated[Composition, Tag("composition")],
    Discriminator(
        _sort_of,
        custom_error_type="structure",
        custom_error_message=(
            "a structure has cell_angstrom (a crystal), smiles (a molecule), components (a formulation) "
            "or amounts (a composition)"
        ),
    ),
]


def atomic_numbers(structure: Structure) -> tuple[int, ...]:
    """Of every atom; of a formulation's components one after the other, of a composition each once."""
    if isinstance(structure, Formulation):
        return tuple(n for c in structure.components for n in c.molecule.numbers)
    return structure.numbers


def sorts_taken(part: object) -> tuple[type, ...]:
    """The sorts of structure that a calculation kind or a descriptor takes: its attribute `takes`.

    A sort or a tuple of them; what has no such attribute takes crystals.
    """
    takes = getattr(part, "takes", Crystal)
    return takes if isinstance(takes, tuple) else (takes,)


def sort_made(generator: object) -> type:
    """The sort of structure that a generator makes: its attribute `makes`, without one a crystal."""
    made: type = getattr(generator, "makes", Crystal)
    return made
