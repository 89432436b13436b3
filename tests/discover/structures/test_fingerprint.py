import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import StructureError
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import (
    are_duplicates,
    find_duplicate,
    reduced_formula,
)
from discover.structures.symmetry import spacegroup


def crystal(structure, formula, **lattice):
    from ase.build import bulk

    return Crystal.from_atoms(bulk(formula, structure, **lattice))


def formula_and_spacegroup(given_crystal):
    return reduced_formula(given_crystal), spacegroup(given_crystal)


SALT = crystal("rocksalt", "NaCl", a=5.64)
CONVENTIONAL = crystal("rocksalt", "NaCl", a=5.9, cubic=True)
BLENDE = crystal("zincblende", "ZnS", a=5.41)
WURTZITE = crystal("wurtzite", "ZnS", a=3.82, c=6.26)


@pytest.mark.parametrize(
    ("given_crystal", "expected"),
    [
        (SALT, ("NaCl", 225)),
        (CONVENTIONAL, ("NaCl", 225)),
        (BLENDE, ("ZnS", 216)),
        (WURTZITE, ("ZnS", 186)),
        (crystal("cesiumchloride", "CsCl", a=4.12), ("CsCl", 221)),
        (crystal("fluorite", "CaF2", a=5.46), ("CaF2", 225)),
        (crystal("diamond", "Si", a=5.43, cubic=True), ("Si", 227)),
        (crystal("bcc", "Fe", a=2.87), ("Fe", 229)),
    ],
)
def test_formula_and_space_group(given_crystal, expected):
    assert formula_and_spacegroup(given_crystal) == expected


def test_reduced_formula_orders_by_electronegativity_and_factors_nothing():
    spinel = Crystal(
        numbers=(8,) * 8 + (26,) * 4 + (30,) * 2,
        cell_angstrom=((6, 0, 0), (0, 6, 0), (0, 0, 6)),
        scaled_positions=tuple((i / 14, 0, 0) for i in range(14)),
    )
    assert reduced_formula(spinel) == "ZnFe2O4"


def test_atoms_on_top_of_one_another_have_no_space_group():
    on_top = SALT.model_copy(
        update={"numbers": (11, 11), "scaled_positions": ((0.0, 0.0, 0.0),) * 2}
    )
    with pytest.raises(StructureError, match="on top"):
        spacegroup(on_top)


def test_duplicates_differ_in_cell_and_volume_only():
    assert are_duplicates(SALT, CONVENTIONAL)
    assert not are_duplicates(SALT, crystal("cesiumchloride", "NaCl", a=3.4))
    assert not are_duplicates(BLENDE, WURTZITE)
    assert not are_duplicates(SALT, crystal("rocksalt", "KCl", a=5.64))


def test_exchange_of_the_two_sublattices_of_rocksalt_is_a_duplicate():
    swapped = SALT.model_copy(update={"numbers": SALT.numbers[::-1]})
    assert are_duplicates(SALT, swapped)


def test_exchange_of_a_and_b_of_a_perovskite_is_not_a_duplicate():
    positions = (
        (0.5, 0.5, 0.5),
        (0.0, 0.0, 0.0),
        (0.5, 0.0, 0.0),
        (0.0, 0.5, 0.0),
        (0.0, 0.0, 0.5),
    )
    cell = ((3.9, 0.0, 0.0), (0.0, 3.9, 0.0), (0.0, 0.0, 3.9))
    one = Crystal(numbers=(38, 22, 8, 8, 8), cell_angstrom=cell, scaled_positions=positions)
    other = one.model_copy(update={"numbers": (22, 38, 8, 8, 8)})
    assert formula_and_spacegroup(one) == formula_and_spacegroup(other)
    assert not are_duplicates(one, other)


def test_find_duplicate_gives_the_first_key():
    others = {"blende": BLENDE, "conventional": CONVENTIONAL, "again": SALT}
    assert find_duplicate(SALT, others) == "conventional"
    assert find_duplicate(WURTZITE, others) is None


@settings(max_examples=20, deadline=None)
@given(
    shift=st.tuples(*[st.floats(0, 1)] * 3),
    order=st.permutations(range(4)),
    scale=st.floats(0.9, 1.1),
)
def test_formula_and_space_group_ignore_origin_order_and_volume(shift, order, scale):
    positions = (np.array(WURTZITE.scaled_positions) + shift) % 1.0
    moved = Crystal(
        numbers=tuple(WURTZITE.numbers[i] for i in order),
        cell_angstrom=(scale * np.array(WURTZITE.cell_angstrom)).tolist(),
        scaled_positions=positions[list(order)].tolist(),
    )
    assert formula_and_spacegroup(moved) == formula_and_spacegroup(WURTZITE)
    assert are_duplicates(moved, WURTZITE)
