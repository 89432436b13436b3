"""Reduced formulas, and duplicates: crystals with equal fingerprints that are one and the same."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from discover.structures.crystal import Crystal

Key = TypeVar("Key")


def reduced_formula(crystal: Crystal) -> str:
    """Reduced formula, elements by rising electronegativity, as in `MgAl2O4`."""
    from pymatgen.core import Element

    counts = Counter(crystal.numbers)
    divisor = math.gcd(*counts.values())
    ordered = sorted((Element.from_Z(number), n // divisor) for number, n in counts.items())
    return "".join(f"{element.symbol}{n if n > 1 else ''}" for element, n in ordered)


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
