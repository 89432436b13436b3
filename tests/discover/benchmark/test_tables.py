"""Tables: every kind of file is read, and what cannot be is named."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write
from hypothesis import given
from hypothesis import strategies as st

from discover.benchmark.tables import read_table
from discover.errors import DataError

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=8)


@given(
    columns=st.lists(WORDS.map(str.strip).filter(bool), min_size=2, max_size=4, unique=True),
    cells=st.lists(st.lists(WORDS, min_size=4, max_size=4), min_size=1, max_size=5),
)
def test_a_csv_gives_its_cells_back(
    tmp_path_factory: pytest.TempPathFactory, columns: list[str], cells: list[list[str]]
) -> None:
    file = tmp_path_factory.mktemp("tables") / "data.csv"
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([row[: len(columns)] for row in cells])
    file.write_text(text.getvalue(), encoding="utf-8")
    table = read_table([file])
    assert table.columns == tuple(columns)
    for row, expected in zip(table.rows, cells, strict=True):
        assert list(row.cells.values()) == [cell.strip() for cell in expected[: len(columns)]]


def test_rows_are_told_by_number_and_line(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text('name,y\n"a\nb",1\nc,2\n')
    places = [row.place for row in read_table([tmp_path / "data.csv"]).rows]
    assert places == ["row 1 (line 3)", "row 2 (line 4)"]


@pytest.fixture
def crystals(tmp_path: Path) -> Path:
    """A folder with two CIF files below it, and a table that names them."""
    (tmp_path / "cifs").mkdir()
    for name in ("Cu", "Al"):
        write(tmp_path / "cifs" / f"id-{name}.cif", bulk(name, cubic=True))
    (tmp_path / "data.csv").write_text("material,y\nid-Al,1\nid-Cu,2\nid-Ag,3\n")
    return tmp_path


def test_a_folder_of_cif_is_joined_by_the_column_that_names_them(crystals: Path) -> None:
    table = read_table([crystals])
    assert table.joined_by == "material"
    assert [row.crystal.numbers[0] if row.crystal else 0 for row in table.rows] == [13, 29, 0]
    assert table.rows[2].unreadable == "has no structure 'id-Ag'"
    assert read_table([crystals / "data.csv", crystals / "cifs"]).rows == table.rows


def test_the_column_may_hold_the_names_of_the_files(crystals: Path) -> None:
    file = crystals / "data.csv"
    named = read_table([crystals])
    ids = {row.cells[named.joined_by or ""] for row in named.rows}
    text = file.read_text()
    for one in ids:
        text = text.replace(one, f"{one}.cif")
    file.write_text(text)
    assert [row.crystal for row in read_table([crystals]).rows] == [r.crystal for r in named.rows]


def test_decimal_commas_do_not_hide_what_parts_the_cells(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x;y\n1,5;2\n3;4,5\n")
    with pytest.raises(DataError, match="its cells are parted by ';'"):
        read_table([tmp_path / "d.csv"])


def test_what_ase_takes_for_computed_is_a_column(tmp_path: Path) -> None:
    file = tmp_path / "d.extxyz"
    cells = [bulk("Si"), bulk("Ge")]
    for energy, atoms in enumerate(cells):
        atoms.info["energy"] = energy + 0.5
    write(file, cells)
    assert [row.cells["energy"] for row in read_table([file]).rows] == ["0.5", "1.5"]


def test_a_file_that_is_no_structure_is_told_by_row(crystals: Path) -> None:
    (crystals / "cifs" / "id-Cu.cif").write_text("garbage")
    bad = read_table([crystals]).rows[1]
    assert bad.crystal is None
    assert "id-Cu.cif: cannot be read: it holds no structure" in str(bad.unreadable)


def test_two_files_of_one_name_are_refused(crystals: Path) -> None:
    write(crystals / "id-Cu.cif", bulk("Cu", cubic=True))
    with pytest.raises(DataError, match="there are two files of this name"):
        read_table([crystals])


def test_cells_that_are_parted_by_something_else_are_told(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a;y\n1;2\n3;4\n")
    with pytest.raises(DataError, match="parted by ';'; part them by commas"):
        read_table([tmp_path / "data.csv"])


def test_partly_occupied_sites_are_told(crystals: Path) -> None:
    file = crystals / "cifs" / "id-Cu.cif"
    file.write_text(file.read_text().replace("1.0000", "0.5000"))
    assert read_table([crystals]).rows[1].unreadable == "has partly occupied sites"


def test_structures_bring_their_own_columns(tmp_path: Path) -> None:
    atoms = [bulk("Cu"), bulk("Al")]
    atoms[0].info |= {"y": 1.5, "name": "copper"}
    atoms[1].info |= {"y": 2}
    write(tmp_path / "data.extxyz", atoms)
    table = read_table([tmp_path / "data.extxyz"])
    assert set(table.columns) >= {"y", "name"}
    assert [row.cells["y"] for row in table.rows] == ["1.5", "2"]
    assert table.rows[1].cells["name"] == ""
    assert table.rows[1].place == "row 2 (data.extxyz, structure 2)"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.csv", "", "no header"),
        ("data.csv", "a,b\n", "has a header and no rows"),
        ("data.csv", "a,b,a\n1,2,3\n", "columns given twice: a"),
        ("data.csv", "a,b\n1,2\n1\n", r"row 2 \(line 3\): 1 cells under 2 columns"),
        ("data.csv", b"a\n\xff\n", "is not a CSV in UTF-8"),
        ("data.cif", "nonsense", "cannot be read|holds no structure"),
        ("data.xlsx", "", "unknown kind of file '.xlsx'"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        read_table([tmp_path / name])


def test_what_is_missing_or_ambiguous_is_named(crystals: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        read_table([tmp_path / "nowhere"])
    with pytest.raises(DataError, match="column 'y' holds no ids of the structures"):
        read_table([crystals], id_column="y")
    (crystals / "more.csv").write_text("y\n1\n")
    with pytest.raises(DataError, match=r"2 tables \(data.csv, more.csv\)"):
        read_table([crystals])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds neither a CSV nor structures"):
        read_table([tmp_path / "empty"])


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    (tmp_path / "quote.csv").write_text('a,b\n1,2\n3,"4\n')
    with pytest.raises(DataError, match=r"is not a CSV in UTF-8: .*\(line 3\)"):
        read_table([tmp_path / "quote.csv"])
    file = tmp_path / "data.extxyz"
    write(file, [bulk("MgO", "rocksalt", a) for a in (4.1, 4.2, 4.3)])
    file.write_text(file.read_text()[:-40])
    with pytest.raises(DataError, match="cannot be read after 2 structures"):
        read_table([file])


def test_a_cif_brings_no_columns(crystals: Path) -> None:
    (crystals / "data.csv").unlink()
    assert read_table([crystals]).columns == ()
