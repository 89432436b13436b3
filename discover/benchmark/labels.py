"""What is the same under several names: formulas, molecules and space groups, brought to one name."""

from __future__ import annotations

import importlib.util
import re
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from ase.data import chemical_symbols

from discover.errors import DataError

HYDRATE = re.compile(r"[*·•⋅]")
SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
FINEST = 10_000
"""Smallest share of the atoms by which two compositions are told apart: one in so many."""
HALL_NUMBERS = range(1, 531)


class Formula(NamedTuple):
    """A formula as read: reduced where its amounts are whole, of shares where they are not.

    `shares` are those of the atoms by element, the same for every spelling of a composition.
    """

    text: str
    elements: frozenset[str]
    shares: frozenset[tuple[str, Fraction]]


def parse_formula(text: str) -> Formula:
    """A formula; parts such as the water of `CuSO4*5(H2O)` are added up.

    Raises DataError for what is no formula.
    """
    from pymatgen.core import Composition

    total = Composition()
    for part in HYDRATE.split(text.replace(" ", "").translate(SUBSCRIPTS)):
        match = re.fullmatch(r"(\d*\.?\d*)(.+)", part)
        if match is None:
            raise DataError(f"{text!r} is no formula")
        try:
            total += Composition(match[2], strict=True) * float(match[1] or 1)
        except (ValueError, KeyError) as error:
            reason = "it holds a charge, or a number that cannot be read"
            if "could not convert" not in str(error):
                reason = str(error)
            raise DataError(f"{text!r} is no formula: {reason}") from error
    if not total or any(symbol not in chemical_symbols for symbol in total.get_el_amt_dict()):
        raise DataError(f"{text!r} is no formula")
    symbols = frozenset(total.get_el_amt_dict())
    shares = frozenset(
        (str(el), Fraction(n).limit_denominator(FINEST))
        for el, n in total.fractional_composition.items()
    )
    amounts = {el: round(n, 6) for el, n in total.fractional_composition.items()}
    whole = total.reduced_formula if all(float(n).is_integer() for n in total.values()) else None
    return Formula(whole or Composition(amounts).formula.replace(" ", ""), symbols, shares)


def canonical_smiles(text: str) -> str:
    """RDKit's one SMILES of a molecule; the text itself where RDKit is missing or cannot read it."""
    if importlib.util.find_spec("rdkit") is None:
        return text
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(text)
    return text if mol is None else str(Chem.MolToSmiles(mol))


def spacegroup_label(text: str) -> str:
    """The international number for `225`, `225.0`, `Fm-3m` or `P 2_1/c`; the text itself for others."""
    symbol = _plain_symbol(text)
    number = re.fullmatch(r"(\d+)(\.0*)?", symbol)
    return number[1] if number else _symbols().get(symbol, text.strip())


def _plain_symbol(text: str) -> str:
    return re.sub(r"[\s_]+", "", text).partition(":")[0]


@cache
def _symbols() -> dict[str, str]:
    """Numbers of space groups by their international symbols, short and full, as `_plain_symbol`s."""
    import spglib

    found: dict[str, str] = {}
    for hall in HALL_NUMBERS:
        kind = spglib.get_spacegroup_type(hall)
        for symbol in (kind.international_short, kind.international_full):
            found.setdefault(_plain_symbol(symbol), str(kind.number))
    return found
