"""Tables of known materials in any of the usual files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from discover.benchmark.tables import Row, Table, read_table
from discover.errors import DataError, StructureError
from discover.structures.crystal import Crystal

RECORDS = {".json", ".jsonl", ".parquet"}
CELL, POSITIONS, SCALED = ("cell", "lattice"), ("positions",), ("scaled_positions", "frac_coords")
ATOMS = ("numbers", "atomic_numbers", "symbols", "species", "elements")


def read_rows(paths: Sequence[Path], id_column: str | None = None) -> Table:
    """The rows of a CSV, extxyz or CIF folder (with its CSV), of JSON, JSON lines or Parquet.

    Cells are text; a column `structure`, or columns `cell` and `positions`, become crystals. DataError
    for what cannot be read at all.
    """
    records = [path for path in paths if path.suffix.lower() in RECORDS]
    if not records:
        return read_table(paths, id_column)
    if len(paths) > 1:
        raise DataError(f"{records[0]}: give this file alone: it holds its structures itself")
    path = records[0]
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    rows = [_row(content, number) for number, content in enumerate(_records(path), start=1)]
    if not rows:
        raise DataError(f"{path}: holds no row")
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    with_structures = any(row.crystal or row.unreadable for row in rows)
    return Table(str(path), columns, tuple(rows), with_structures)


def _records(path: Path) -> list[Mapping[str, Any]]:
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            found: Any = pyarrow.parquet.read_table(path).to_pylist()
        elif path.suffix.lower() == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [json.loads(line) for line in lines if line.strip()]
        else:
            found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if isinstance(found, Mapping):  # a column each, as a list or by row
        columns = {k: list(v.values()) if isinstance(v, Mapping) else v for k, v in found.items()}
        if not columns or not all(isinstance(v, list) for v in columns.values()):
            raise DataError(f"{path}: must hold a list of rows, or a list for each column")
        if len({len(v) for v in columns.values()}) > 1:
            raise DataError(f"{path}: its columns are not of one length")
        found = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise DataError(f"{path}: must hold a list of rows, each with names and values")
    return found


def _row(content: Mapping[str, Any], number: int) -> Row:
    place = f"row {number}"
    cells = {str(k): _text(v) for k, v in content.items() if not isinstance(v, list | Mapping)}
    described = content.get("structure") or (content if _value(content, CELL) is not None else None)
    if described is None:
        return Row(place, cells)
    cells.pop("structure", None)
    try:
        return Row(place, cells, crystal=crystal_of(described))
    except StructureError as error:
        return Row(place, cells, unreadable=str(error))


def crystal_of(description: str | Mapping[str, Any]) -> Crystal:
    """From JSON (text or parsed) with cell, positions and atoms, or pymatgen's; StructureError.

    `cell` holds the vectors as rows in Å (or three lengths), `positions` are Cartesian in Å,
    `scaled_positions` fractional, atoms `numbers` or `symbols`.
    """
    if isinstance(description, str):
        try:
            description = json.loads(description)
        except ValueError as error:
            raise StructureError(f"its structure is not JSON: {error}") from None
    if not isinstance(description, Mapping):
        raise StructureError("its structure is not a JSON object")
    try:
        if "sites" in description and "lattice" in description:
            from pymatgen.core import Structure

            return Crystal.from_atoms(Structure.from_dict(dict(description)).to_ase_atoms())
        return _from_arrays(description)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StructureError(f"has no usable structure: {error}") from None


def _from_arrays(description: Mapping[str, Any]) -> Crystal:
    from ase import Atoms

    cell, atoms = _value(description, CELL), _value(description, ATOMS)
    if isinstance(cell, Mapping):
        cell = cell.get("array", cell.get("matrix"))
    if cell is None or atoms is None:
        missing = "cell" if cell is None else "numbers or symbols"
        raise ValueError(f"there is no {missing} in it")
    scaled, cartesian = _value(description, SCALED), _value(description, POSITIONS)
    if scaled is None and cartesian is None:
        raise ValueError("there are no positions or scaled_positions in it")
    kind = {"numbers": atoms} if isinstance(atoms[0], int) else {"symbols": atoms}
    where = {"positions": cartesian} if scaled is None else {"scaled_positions": scaled}
    return Crystal.from_atoms(Atoms(cell=np.asarray(cell, dtype=float), pbc=True, **kind, **where))


def _value(content: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((content[name] for name in names if content.get(name) is not None), None)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
