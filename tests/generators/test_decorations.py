from collections import Counter
from itertools import permutations

import pytest

from discover.structures.fingerprint import are_duplicates
from generators.chemistry import Ion, default_elements, electronegativity
from generators.decorations import DecorationSpace
from generators.prototype_library import PROTOTYPES
from generators.streams import Permutation

HALIDES = ("Li", "Na", "K", "F", "Cl", "Br")


def decorations(name, elements):
    space = DecorationSpace(PROTOTYPES[name], elements)
    return [d for d in map(space.decode, range(len(space))) if d is not None]


def test_small_space_is_exactly_what_chemistry_says():
    """Eight elements on rocksalt: 3 x 3 alkali halides and the two oxides that are neutral."""
    found = {d.symbols for d in decorations("rocksalt", (*HALIDES, "Mg", "O"))}
    assert found == {(a, x) for a in ("Li", "Na", "K") for x in ("F", "Cl", "Br")} | {("Mg", "O")}


@pytest.mark.parametrize("name", PROTOTYPES)
def test_no_decoration_comes_twice(name):
    elements = ("Li", "Na", "Cu", "Mg", "Zn", "Al", "In", "Ti", "Ni", "Sn", "Sb", "O", "Se", "Br")
    found = [d.symbols for d in decorations(name, elements)]
    assert found
    assert max(Counter(found).values()) == 1


@pytest.mark.parametrize("name", PROTOTYPES)
def test_rules_hold_for_every_decoration(name):
    space = DecorationSpace(PROTOTYPES[name], default_elements())
    shuffle = Permutation(len(space), "rules")
    sample = [d for d in map(space.decode, map(shuffle, range(min(len(space), 400)))) if d]
    assert sample
    for decoration in sample:
        sites, ions = decoration.prototype.sites, decoration.ions
        assert len(set(decoration.symbols)) == len(ions)
        total = sum(site.count * ion.valence for site, ion in zip(sites, ions, strict=True))
        assert total in decoration.prototype.valence_sums
        if name == "half-Heusler":
            assert electronegativity(ions[0]) < min(electronegativity(i) for i in ions[1:])
        else:
            *cations, anion = ions
            assert anion.valence < 0 < min(ion.valence for ion in cations)
            assert max(map(electronegativity, cations)) < electronegativity(anion)


@pytest.mark.parametrize(
    ("name", "elements", "pair"),
    [
        ("chalcopyrite", ("Cu", "In", "Se"), ("Cu", "In")),
        ("double-perovskite", ("Cs", "Ag", "Bi", "Br"), ("Ag", "Bi")),
    ],
)
def test_equivalent_sites_are_decorated_once(name, elements, pair):
    """The exchange gives the same crystal, so the space holds one of the two."""
    prototype = PROTOTYPES[name]
    (found,) = [d for d in decorations(name, elements) if set(pair) <= set(d.symbols)]
    i, j = prototype.interchangeable
    assert {found.symbols[i], found.symbols[j]} == set(pair)
    swapped = list(found.ions)
    swapped[i], swapped[j] = swapped[j], swapped[i]
    space = DecorationSpace(prototype, elements)
    geometry = prototype.geometry(*space._contact_distances(swapped))
    twin = type(found)(prototype, tuple(swapped), geometry)
    assert are_duplicates(found.crystal(), twin.crystal())


@pytest.mark.parametrize("name", ["perovskite", "spinel", "half-Heusler", "fluorite", "NiAs"])
def test_other_sites_are_not_equivalent(name):
    """Exchanging the elements of any two other sites gives another crystal."""
    example = {
        "perovskite": ("Sr", "Ti", "O"),
        "spinel": ("Mg", "Al", "O"),
        "half-Heusler": ("Ti", "Ni", "Sn"),
        "fluorite": ("Ca", "F"),
        "NiAs": ("Ni", "As"),
    }[name]
    (found,) = [d for d in decorations(name, example) if d.symbols == example]
    geometry, numbers = found.geometry, found.crystal().numbers
    distinct = list(dict.fromkeys(numbers))
    others = []
    for order in permutations(distinct):
        crystal = found.prototype.crystal(order, geometry)
        if not any(are_duplicates(crystal, other) for other in others):
            others.append(crystal)
    expected = {"half-Heusler": 3, "perovskite": 6, "spinel": 6}.get(name, 2)
    assert len(others) == expected  # X and Z of a half-Heusler are equivalent; their roles are not


def test_the_most_common_valences_are_taken():
    """LaFeO3 could be La3+ Fe3+ alone; FeCl2 and FeCl3 tell Fe2+ from Fe3+ by stoichiometry."""
    assert [d.ions for d in decorations("perovskite", ("La", "Fe", "O"))] == [
        (Ion("La", 3), Ion("Fe", 3), Ion("O", -2))
    ]
    assert [d.ions for d in decorations("fluorite", ("Fe", "Cl"))] == [
        (Ion("Fe", 2), Ion("Cl", -1))
    ]
    (iron_manganese,) = [
        d for d in decorations("chalcopyrite", ("Fe", "Mn", "Se")) if d.ions[2].symbol == "Se"
    ]
    assert {ion.valence for ion in iron_manganese.ions[:2]} == {2}


@pytest.mark.parametrize(
    "symbols",
    [("Ti", "Ni", "Sn"), ("Zr", "Co", "Sb"), ("Nb", "Fe", "Sb"), ("Li", "Zn", "As"), ("Li", "Mg", "N")],
)  # fmt: skip
def test_known_half_heuslers_are_in_the_space(symbols):
    assert symbols in {d.symbols for d in decorations("half-Heusler", symbols)}


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("rocksalt", ("Pb", "Te")),
        ("zincblende", ("B", "As")),
        ("zincblende", ("Si", "C")),
        ("antifluorite", ("Mg", "Si")),
        ("chalcopyrite", ("Cu", "In", "Se")),
        ("chalcopyrite", ("Zn", "Ge", "P")),
        ("perovskite", ("Cs", "Sn", "I")),
        ("spinel", ("Zn", "Ga", "O")),
        ("spinel", ("Mg", "In", "S")),
    ],
)
def test_known_compounds_are_in_the_space(name, symbols):
    assert symbols in {d.symbols for d in decorations(name, symbols)}


def test_labels():
    (salt,) = decorations("rocksalt", ("Na", "Cl"))
    assert salt.labels == ("Na+", "Cl-")
    (heusler,) = decorations("half-Heusler", ("Ti", "Ni", "Sn"))
    assert heusler.labels == ("Ti", "Ni", "Sn")


def test_empty_space():
    space = DecorationSpace(PROTOTYPES["rocksalt"], ("Na", "K"))
    assert len(space) == 0
    assert space.acceptance() == 0.0
    with pytest.raises(IndexError):
        space.decode(0)
