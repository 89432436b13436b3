import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.build import bulk

from discover.errors import DataError, StructureError
from discover.importing.readers import crystal_of, read_rows
from discover.structures.crystal import Crystal

SALT = bulk("NaCl", "rocksalt", a=5.64)
CELL, NUMBERS = SALT.cell.tolist(), SALT.numbers.tolist()
ROWS = [
    {
        "formula": "NaCl",
        "structure": json.dumps(
            {"cell": CELL, "positions": SALT.positions.tolist(), "numbers": NUMBERS}
        ),
        "klat[W/mK]": 7.2,
        "calc_time[sec]": 1200.0,
    },
    {"formula": "KCl", "structure": '{"cell": [[1, 0, 0]]}', "klat[W/mK]": None},
]


def write(path, rows=ROWS):
    match path.suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        case ".jsonl":
            path.write_text("\n".join(json.dumps(row) for row in rows))
        case _:
            path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.parquet", "columns.json"])
def test_rows_with_structures(tmp_path, name):
    rows = ROWS
    if name == "columns.json":
        keys = list(dict.fromkeys(key for row in ROWS for key in row))
        rows = {key: {str(i): row.get(key) for i, row in enumerate(ROWS)} for key in keys}
    first, second = read_rows([write(tmp_path / name, rows)]).rows
    assert first.crystal == Crystal.from_atoms(SALT)
    assert (first.place, first.cells["klat[W/mK]"]) == ("row 1", "7.2")
    assert "structure" not in first.cells
    assert second.crystal is None
    assert "no numbers or symbols" in second.unreadable
    assert second.cells["klat[W/mK]"] == ""


def test_structures_are_read_however_they_are_written():
    scaled = SALT.get_scaled_positions().tolist()
    by_symbol = {"cell": CELL, "scaled_positions": scaled, "symbols": ["Na", "Cl"]}
    pymatgen = Crystal.from_atoms(SALT).to_pymatgen().as_dict()
    for described in (by_symbol, pymatgen, json.dumps(pymatgen)):
        found = crystal_of(described)
        assert found.numbers == (11, 17)
        assert found.volume_angstrom3 == pytest.approx(SALT.get_volume())


@pytest.mark.parametrize(
    "text", ["{", "[1]", "{}", '{"cell": [1, 1], "symbols": ["H"], "positions": [[0, 0, 0]]}']
)
def test_bad_structures_are_refused(text):
    with pytest.raises(StructureError):
        crystal_of(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1, 2]", "a list of rows"),
        ("[]", "no row"),
        ("{", "cannot be read"),
        ('{"a": [1], "b": []}', "one length"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, says):
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(DataError, match=says):
        read_rows([tmp_path / "rows.json"])
