"""The crystals that a distilled potential learns from, and the formulas that are kept from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from discover.potentials.elements import elemental_crystal
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula
from generators.chemistry import Ion, ionic_radius
from generators.decorations import DecorationSpace
from generators.prototype_library import PROTOTYPES, Prototype, PrototypeName
from generators.streams import Permutation

ELEMENTS: tuple[str, ...] = (
    *("H", "Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca"),
    *(
        "Sc",
        "Ti",
        "Cu",
        "Zn",
        "Ga",
        "Ge",
        "As",
        "Se",
        "Br",
        "Rb",
        "Sr",
        "Y",
        "Zr",
        "Ag",
        "Cd",
        "In",
    ),
    *("Sn", "Sb", "Te", "I", "Cs", "Ba", "Pb"),
)
"""Those of phonondb's binary compounds, and neighbours of theirs that are neither magnetic nor rare."""

DECORATIONS: dict[PrototypeName, int] = {
    "rocksalt": 200,
    "zincblende": 200,
    "wurtzite": 200,
    "CsCl": 200,
    "NiAs": 200,
    "fluorite": 100,
    "antifluorite": 100,
    "perovskite": 100,
    "double-perovskite": 40,
    "half-Heusler": 120,
    "chalcopyrite": 60,
    "spinel": 40,
}
"""Decorations of each prototype: all there are of those with two elements, a sample of the others."""

HELD_OUT_SHARE = 0.12

_HYDRIDE_CATIONS = ("Li", "Na", "K", "Rb", "Cs", "Cu", "Ag")
_HYDRIDE_RADIUS_ANGSTROM = 1.40
"""Of H- in alkali hydrides; less in covalent ones (D. F. C. Morris and G. L. Reed, J. Inorg. Nucl.
Chem. 27, 1715 (1965)). Only where the search for the volume starts."""


@dataclass(frozen=True)
class Family:
    """A crystal, unrelaxed, from which deformed configurations are derived; `name` is unique."""

    name: str
    formula: str
    structure: PrototypeName | Literal["element"]
    crystal: Crystal


def families(
    seed: int,
    elements: Iterable[str] = ELEMENTS,
    decorations: dict[PrototypeName, int] = DECORATIONS,
) -> list[Family]:
    """All families: the elements themselves, then compounds, in an order that the seed shuffles.

    Compounds are charge-balanced decorations of the prototypes with `elements` (up to `decorations` of
    each) and hydrides of monovalent metals.
    """
    symbols = sorted(set(elements))
    found: list[Family] = []
    for name, limit in decorations.items():
        found += _decorated(PROTOTYPES[name], symbols, limit, seed)
        if "H" in symbols and name in {"rocksalt", "zincblende", "wurtzite", "CsCl", "NiAs"}:
            found += _hydrides(PROTOTYPES[name], symbols)
    shuffle = Permutation(len(found), f"{seed}/families")
    compounds = [found[shuffle(i)] for i in range(len(found))]
    return [_element(symbol) for symbol in symbols] + compounds


def is_held_out(formula: str, seed: int) -> bool:
    """Whether a reduced formula is kept from training: `HELD_OUT_SHARE` of all, by hash; no element."""
    if not any(character.isupper() for character in formula[1:]):
        return False
    digest = hashlib.sha256(f"{seed}/{formula}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < HELD_OUT_SHARE * 2**64


def _element(symbol: str) -> Family:
    return Family(f"element {symbol}", symbol, "element", elemental_crystal(symbol))


def _decorated(prototype: Prototype, symbols: list[str], limit: int, seed: int) -> Iterator[Family]:
    space = DecorationSpace(prototype, [symbol for symbol in symbols if symbol != "H"])
    shuffle = Permutation(len(space), f"{seed}/{prototype.name}")
    left = limit
    for index in range(len(space)):
        decoration = space.decode(shuffle(index)) if left else None
        if decoration is not None:
            left -= 1
            yield _family(prototype, decoration.symbols, decoration.crystal())


def _hydrides(prototype: Prototype, symbols: list[str]) -> Iterator[Family]:
    from ase.data import atomic_numbers

    for symbol in (s for s in _HYDRIDE_CATIONS if s in symbols):
        radius = ionic_radius(Ion(symbol, 1), prototype.sites[0].coordination) or 0.0
        geometry = prototype.geometry(radius + _HYDRIDE_RADIUS_ANGSTROM)
        if geometry is not None:
            crystal = prototype.crystal((atomic_numbers[symbol], 1), geometry)
            yield _family(prototype, (symbol, "H"), crystal)


def _family(prototype: Prototype, symbols: tuple[str, ...], crystal: Crystal) -> Family:
    name = f"{prototype.name} {' '.join(symbols)}"
    return Family(name, reduced_formula(crystal), prototype.name, crystal)
