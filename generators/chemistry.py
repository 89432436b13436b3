"""Chemical rules for decorating prototypes: valences, electronegativities and contact distances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from pymatgen.core import Element

Role = Literal["cation", "anion", "heusler_x", "heusler_y", "heusler_z"]

CATION_SHARE = 0.05
"""Least share of an element's ICSD entries for a positive oxidation state to count as common."""
ANION_SHARE = 0.01
"""The same for the octet-completing negative state, which intermetallic entries dilute."""

_ELECTRONEGATIVITY_BY_STATE = {("Sn", 2): 1.80, ("Tl", 3): 2.04, ("Pb", 2): 1.87}
"""Pauling values that differ from the element's usual one.

A. L. Allred, J. Inorg. Nucl. Chem. 17, 215 (1961).
"""


class Ion(NamedTuple):
    """An element with its oxidation state, or with its valence electrons in a Heusler role."""

    symbol: str
    valence: int

    def __str__(self) -> str:
        size = "" if abs(self.valence) == 1 else str(abs(self.valence))
        return f"{self.symbol}{size}{'+' if self.valence > 0 else '-'}"


def valences(symbol: str, role: Role) -> Mapping[int, float]:
    """Valences that an element takes in a role, each with its weight; empty where it takes none.

    Cations are metals and metalloids in every positive oxidation state that makes up at least
    `CATION_SHARE` of the element's ICSD entries; anions complete their octet (groups 14 to 17). The
    weight is the share of the state in the ICSD (2024) counts that SMACT carries. In half-Heusler
    roles valence means valence electrons: X is an electropositive metal, Y a late transition or
    a light main-group metal, Z a main-group element of groups 13 to 15 (T. Graf, C. Felser and
    S. S. P. Parkin, Prog. Solid State Chem. 39, 1 (2011)).
    """
    if role in {"cation", "anion"}:
        return _ionic_valences(symbol, role == "cation")
    electrons = _heusler_electrons(symbol, role)
    return {} if electrons is None else {electrons: 1.0}


@cache
def electronegativity(ion: Ion) -> float:
    """Pauling electronegativity (dimensionless), of the oxidation state where that matters."""
    return _ELECTRONEGATIVITY_BY_STATE.get(ion, float(_element(ion.symbol).X))


@cache
def default_elements() -> tuple[str, ...]:
    """Elements up to Bi that ordinary DFT describes: no H, noble gas, Tc, Pm or open 4f shell."""
    left_out = {"Tc", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"}
    return tuple(s for s in known_elements() if _element(s).Z <= 83 and s not in left_out)


@cache
def known_elements() -> tuple[str, ...]:
    """Every element, by atomic number, that can take at least one role."""
    from pymatgen.core import Element

    roles: tuple[Role, ...] = ("cation", "anion", "heusler_x", "heusler_y", "heusler_z")
    symbols = (Element.from_Z(z).symbol for z in range(1, 97) if not Element.from_Z(z).is_noble_gas)
    return tuple(symbol for symbol in symbols if any(valences(symbol, role) for role in roles))


def contact_distance(a: Ion, coordination_a: int, b: Ion, coordination_b: int) -> float:
    """Distance in Å between touching ions with these coordination numbers.

    The sum of ionic radii where the table has both, else of covalent ones. Where either ion is
    coordinated by four, bonds are partly covalent, and the two sums are mixed by Pauling's ionic
    character f = 1 - exp(-(χa - χb)²/4) (The Nature of the Chemical Bond, 3rd ed., 1960, sec. 3-9).
    """
    covalent = covalent_distance(a.symbol, b.symbol)
    radius_a, radius_b = ionic_radius(a, coordination_a), ionic_radius(b, coordination_b)
    if radius_a is None or radius_b is None:
        return covalent
    ionic = radius_a + radius_b
    if min(coordination_a, coordination_b) > 4:
        return ionic
    character = 1 - math.exp(-((electronegativity(a) - electronegativity(b)) ** 2) / 4)
    return character * ionic + (1 - character) * covalent


def covalent_distance(a: str, b: str) -> float:
    """Sum of covalent radii in Å (B. Cordero et al., Dalton Trans. 2008, 2832, as kept by ASE)."""
    from ase.data import covalent_radii

    return float(covalent_radii[_element(a).Z] + covalent_radii[_element(b).Z])


@cache
def ionic_radius(ion: Ion, coordination: int) -> float | None:
    """Ionic radius in Å at the nearest tabulated coordination number, None where the state has none.

    R. D. Shannon, Acta Cryst. A 32, 751 (1976), extended to more states by A. A. B. Baloch et al.,
    Phys. Rev. Materials 5, 043804 (2021); both from SMACT.
    """
    from smact.data_loader import lookup_element_shannon_radius_data_extendedML

    rows = lookup_element_shannon_radius_data_extendedML(ion.symbol) or []
    radii = {
        int(row["coordination"]): float(row["ionic_radius"])
        for row in rows
        if int(row["charge"]) == ion.valence
    }
    if not radii:
        return None
    return radii[min(radii, key=lambda number: (abs(number - coordination), number))]


def _ionic_valences(symbol: str, cation: bool) -> dict[int, float]:
    element = _element(symbol)
    shares = _icsd_shares().get(symbol, {})
    if cation:
        common = {state: s for state, s in shares.items() if state > 0 and s >= CATION_SHARE}
        return common if element.is_metal or element.is_metalloid else {}
    octet = element.group - 18
    return {octet: shares[octet]} if octet >= -4 and shares.get(octet, 0) >= ANION_SHARE else {}


def _heusler_electrons(symbol: str, role: Role) -> int | None:
    element = _element(symbol)
    group = 3 if element.is_rare_earth else int(element.group)
    match role:
        case "heusler_x" if group <= 5 and element.is_metal:
            return group
        case "heusler_y" if group <= 2 and element.is_metal:
            return group
        case "heusler_y" if 8 <= group <= 13:
            return group if group < 13 else 3
        case "heusler_z" if 13 <= group <= 15:
            return group - 10
        case _:
            return None


@cache
def _element(symbol: str) -> Element:
    from pymatgen.core import Element

    return Element(symbol)


@cache
def _icsd_shares() -> dict[str, dict[int, float]]:
    from smact.utils.oxidation import ICSD24OxStatesFilter

    counts: dict[str, dict[int, int]] = {}
    for row in ICSD24OxStatesFilter().ox_states_df.itertuples():
        if row.oxidation_state != 0 and row.results_count > 0:
            states = counts.setdefault(row.element, {})
            states[int(row.oxidation_state)] = int(row.results_count)
    return {
        symbol: {state: n / sum(states.values()) for state, n in sorted(states.items())}
        for symbol, states in counts.items()
    }
