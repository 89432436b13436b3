"""What a distilled potential learns from, and what is kept from it."""

import pytest

from discover.potentials.distillation.distill import SEED
from discover.potentials.distillation.families import ELEMENTS, families, is_held_out
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula
from generators.prototype_library import PROTOTYPES


@pytest.fixture(scope="module")
def crystals():
    return families(SEED)


def test_all_prototypes_and_elements_are_there(crystals):
    assert {family.structure for family in crystals} == {"element", *PROTOTYPES}
    assert {family.formula for family in crystals if family.structure == "element"} == set(ELEMENTS)
    assert len(ELEMENTS) >= 30


def test_names_are_unique_and_the_order_is_the_seed_s(crystals):
    names = [family.name for family in crystals]
    assert len(set(names)) == len(names)
    assert families(SEED) == crystals
    assert [family.name for family in families(SEED + 1)] != names


def test_any_part_of_the_order_holds_many_structures(crystals):
    assert {family.structure for family in crystals[:200]} == {"element", *PROTOTYPES}


def test_only_the_elements_asked_for(crystals):
    few = families(0, elements=("Mg", "O", "Al"))
    assert {family.formula for family in few} >= {"MgO", "MgAl2O4", "Al"}
    assert all(set(reduced_formula(family.crystal)) <= set("MgOAl0123456789") for family in few)


def test_hydrides_are_there(crystals):
    assert {"LiH", "NaH", "KH", "RbH", "CuH"} <= {family.formula for family in crystals}


def test_held_out_formulas_are_a_fixed_share_and_never_elements(crystals):
    formulas = {family.formula for family in crystals}
    held_out = {formula for formula in formulas if is_held_out(formula, SEED)}
    assert 0.08 < len(held_out) / len(formulas) < 0.16
    assert not held_out & set(ELEMENTS)
    assert {"BeO", "ZnO", "GaSb", "CdTe", "KF"} <= held_out


def test_phonondb_is_covered_and_partly_held_out(crystals, shared_data):
    from ase.io import read

    frames = read(shared_data / "phonondb-kappa" / "structures_kappa.extxyz", index=":")
    wanted = {reduced_formula(Crystal.from_atoms(atoms)) for atoms in frames}
    assert wanted <= {family.formula for family in crystals}
    share = sum(is_held_out(formula, SEED) for formula in wanted) / len(wanted)
    assert 0.10 <= share <= 0.15
