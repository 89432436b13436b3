"""Fingerprints of crystals, and duplicates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from discover.errors import StructureError
from discover.structures.crystal import Crystal

SYMPREC_ANGSTROM = 0.01
"""Distance within which atoms count as equivalent when the space group is determined."""

Key = TypeVar("Key")


def reduced_formula(crystal: Crystal) -> str:
    """Reduced formula, elements by rising electronegativity, as in `MgAl2O4`."""
    from pymatgen.core import Element

    counts = Counter(crystal.numbers)
    divisor = math.gcd(*counts.values())
    ordered = sorted((Element.from_Z(number), n // divisor) for number, n in counts.items())
    return "".join(f"{element.symbol}{n if n > 1 else ''}" for element, n in ordered)


def spacegroup(crystal: Crystal, symprec: float = SYMPREC_ANGSTROM) -> int:
    """International number of the space group, found by spglib within `symprec` (Å).

    Raises StructureError where spglib finds none, as for atoms on top of one another.
    """
    import spglib

    cell = (crystal.cell_angstrom, crystal.scaled_positions, crystal.numbers)
    try:
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec)
    except spglib.SpglibError:  # raised instead of None, once anything in this process chose so
        dataset = None
    if dataset is None:
        raise StructureError(
            f"{reduced_formula(crystal)}: no space group found within {symprec} Å; "
            "are atoms on top of one another?"
        )
    return int(dataset.number)


def fingerprint(crystal: Crystal, symprec: float = SYMPREC_ANGSTROM) -> str:
    """Reduced formula and space group, as in `NaCl-225`: equal for duplicates.

    Crystals with equal fingerprints need not be duplicates; `are_duplicates` decides.
    """
    return f"{reduced_formula(crystal)}-{spacegroup(crystal, symprec)}"


def are_duplicates(a: Crystal, b: Crystal) -> bool:
    """Whether two crystals are the same up to cell choice, origin, volume and small distortions.

    pymatgen's StructureMatcher with its default tolerances, between primitive cells of equal volume.
    """
    if reduced_formula(a) != reduced_formula(b):
        return False
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return bool(StructureMatcher().fit(a.to_pymatgen(), b.to_pymatgen()))


def find_duplicate(crystal: Crystal, others: Mapping[Key, Crystal]) -> Key | None:
    """Key of the first of `others` that `crystal` is a duplicate of, None where there is none."""
    return next((key for key, other in others.items() if are_duplicates(crystal, other)), None)
