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
