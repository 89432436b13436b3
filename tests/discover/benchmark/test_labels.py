"""Names of the same thing become one name; what is no name of anything stays, or is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.benchmark.labels import canonical_smiles, parse_formula, spacegroup_label
from discover.errors import DataError


def test_hydrates_are_added_up() -> None:
    assert parse_formula("CuSO4*5(H2O)")[0] == parse_formula("CuSO4(H2O)5")[0]
    assert parse_formula("CuSO4·5H2O")[1] == {"Cu", "S", "O", "H"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LiNaCl2", "Li0.5Na0.5Cl"),
        ("Al2O3", "Al1.0O1.5"),
        ("K", "K0.5"),
        ("NaCl", "1.5NaCl"),
        ("Li34La55Ti100O295", "Li0.34La0.55TiO2.95"),
    ],
)
def test_a_composition_has_the_same_shares_however_it_is_spelled(one: str, other: str) -> None:
    assert parse_formula(one).shares == parse_formula(other).shares


def test_subscripts_are_digits_and_a_charge_is_told() -> None:
    assert parse_formula("Fe₂O₃") == parse_formula("Fe2O3")
    with pytest.raises(DataError, match="it holds a charge, or a number that cannot be read"):
        parse_formula("[Fe(CN)6]4-")


def test_compositions_that_differ_by_a_thousandth_are_told_apart() -> None:
    assert parse_formula("Li0.999Na0.001Cl").shares != parse_formula("LiCl").shares


@given(st.text(max_size=12))
def test_any_text_is_a_formula_or_an_error(text: str) -> None:
    try:
        formula, elements, _ = parse_formula(text)
    except DataError:
        return
    assert formula
    assert elements


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("225", "225"),
        ("225.0", "225"),
        ("Fm-3m", "225"),
        ("F m -3 m", "225"),
        ("P6_3mc", "186"),
        ("P63mc", "186"),
        ("P21/c", "14"),
        ("P 1 2_1/c 1", "14"),
        ("R-3m:H", "166"),
    ],
)
def test_space_groups_have_one_number(text: str, number: str) -> None:
    assert spacegroup_label(text) == number


def test_every_short_symbol_gives_its_group() -> None:
    """Against pymatgen's table of the International Tables for Crystallography."""
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    for number in range(1, 231):
        assert spacegroup_label(sg_symbol_from_int_number(number)) == str(number)


@given(st.text(max_size=12))
def test_any_text_is_a_label(text: str) -> None:
    assert spacegroup_label(spacegroup_label(text)) == spacegroup_label(text)


def test_a_molecule_has_one_smiles() -> None:
    pytest.importorskip("rdkit")
    assert canonical_smiles("OCC") == canonical_smiles("C(O)C") == canonical_smiles("CCO")
    assert canonical_smiles("CCO") != canonical_smiles("COC")
    assert canonical_smiles("no molecule") == "no molecule"
