"""Columns are known by what is told of them, by odd names too, and else by their usual names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.benchmark.columns import USUAL, Columns, find_columns, free_columns, matching
from discover.benchmark.tables import Row, Table, plain, read_table
from discover.errors import DataError


def table(tmp_path: Path, header: str, rows: list[str]) -> Table:
    (tmp_path / "d.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return read_table([tmp_path / "d.csv"])


def test_names_may_hold_what_patterns_and_lists_are_made_of(tmp_path: Path) -> None:
    of = table(tmp_path, 'a [Å],"x,2",log10(η/Pa·s),y', ["1,2,3,4", "2,3,4,5"])
    found = find_columns(of, Columns("y", exclude=("a [Å], log10*", "x,2")))
    assert found.exclude == ("a [Å]", "log10*", "x,2")
    assert free_columns(of, found) == []


def test_names_of_rows_do_not_describe_them(tmp_path: Path) -> None:
    """Nor do numbers of databases, years, or marks of another property's bounds."""
    rows = [f"{i},{900 - i},{i * i},{1990 + i},{i % 2},{i % 3}" for i in range(5)]
    of = table(tmp_path, ",ICSD ID,x,year,z_censored,y", rows)
    found = find_columns(of, Columns("y"))
    assert (found.id, found.year, found.censored) == ("ICSD ID", "year", None)
    assert free_columns(of, found) == ["x"]
    assert free_columns(of, find_columns(of, Columns("y", features=("z_censored",)))) == [
        "",
        "x",
        "z_censored",
    ]


def test_years_that_nobody_named_count_where_every_row_has_one(tmp_path: Path) -> None:
    of = table(tmp_path, "x,year,y", ["1,1999,2", "2,,3"])
    assert find_columns(of, Columns("y")).year is None
    assert find_columns(of, Columns("y", year="year")).year == "year"
    assert free_columns(of, find_columns(of, Columns("y"))) == ["x"]


@pytest.mark.parametrize(
    ("flag", "target", "taken"),
    [
        ("censored", "anything", True),
        ("is_censored", "anything", True),
        ("sigma_censored_below", "sigma_S_cm", True),
        ("kappa censored above", "log10_kappa", True),
        ("srme_censored", "kappa_ml", False),
    ],
)
def test_marks_of_bounds_belong_to_the_target_that_they_are_called_after(
    tmp_path: Path, flag: str, target: str, taken: bool
) -> None:
    of = table(tmp_path, f"x,{flag},{target}", ["1,0,2", "2,1,3"])
    assert find_columns(of, Columns(target)).censored == (flag if taken else None)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("formula", "Reduced Composition"),
        ("formula", "chemicalFormula"),
        ("smiles", "CanonicalSMILES"),
        ("spacegroup", "Space group #"),
        ("id", "Unnamed: 0"),
        ("year", "Publication year"),
    ],
)
def test_usual_names_are_known_however_they_are_spelled(role: str, name: str) -> None:
    assert USUAL[role].fullmatch(plain(name))


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_any_column_can_be_named(names: list[str]) -> None:
    """Exactly, whatever characters it has, and without taking others with it."""
    of = Table("d", ("y", *names), (Row("row 1", dict.fromkeys(("y", *names), "1")),), False)
    for name in names:
        assert matching(name, names) == [name]
        if name.strip() == name and "," not in name and name != "y":
            assert find_columns(of, Columns("y", exclude=(name,))).exclude == (name,)


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    of = table(tmp_path, "x,y", ["1,2", "2,3"])
    with pytest.raises(DataError, match=r"--exclude 'q\*' matches no column"):
        find_columns(of, Columns("y", exclude=("x,q*",)))
    with pytest.raises(DataError, match="--year 'yaer': there is no such column"):
        find_columns(of, Columns("y", year="yaer"))
