"""Rows of known materials as files hold them: CSV, extxyz, or a folder of CIF with a CSV."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discover.errors import DataError, StructureError
from discover.structures.crystal import Crystal

TABLES = {".csv"}
STRUCTURES = {".extxyz", ".xyz", ".cif"}
MARKS = ";\t|"
"""What parts cells in files that are no CSV."""


@dataclass(frozen=True)
class Row:
    """One row: where it stands, for messages; its cells as text; its crystal, where one was given.

    `unreadable` says why it has no crystal although its file of structures has one.
    """

    place: str
    cells: dict[str, str]
    crystal: Crystal | None = None
    unreadable: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows in the order of the file; `joined_by` is the column by which structures were found."""

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    with_structures: bool
    joined_by: str | None = None


def plain(column: str) -> str:
    """A column's name as it is compared: small letters, one underscore for blanks, `number` for #."""
    return re.sub(r"[ _]+", "_", column.lower().replace("#", "number"))


def read_table(paths: Sequence[Path], id_column: str | None = None) -> Table:
    """One table from files and folders: a CSV, structures, or both, joined by an id.

    A folder stands for the CSV and the structures in it; CIF files may lie deeper. The id of a CIF is
    its name without the ending, that of a structure in an extxyz whatever its columns hold. Without
    `id_column` the column that finds most structures joins. Raises DataError for what is missing.
    """
    files = [file for path in paths for file in _files(path)]
    tables = [file for file in files if file.suffix.lower() in TABLES]
    structures = [file for file in files if file.suffix.lower() in STRUCTURES]
    source = ", ".join(map(str, paths))
    if not tables and not structures:
        raise DataError(f"{source}: holds neither a CSV nor structures (extxyz, CIF)")
    if len(tables) > 1:
        raise DataError(
            f"{source}: {len(tables)} tables ({', '.join(f.name for f in tables)}); give the one that "
            "is meant by --data"
        )
    if not tables:
        return _of_structures(source, structures)
    table = _of_csv(source, tables[0])
    return _joined(table, structures, id_column) if structures else table


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        flat = sorted(f for f in path.iterdir() if f.suffix.lower() in TABLES | STRUCTURES)
        deeper = sorted(f for f in path.rglob("*.cif") if f.parent != path)
        return [*flat, *deeper]
    if not path.is_file():
        raise DataError(f"{path}: there is no such file or folder")
    if path.suffix.lower() not in TABLES | STRUCTURES:
        allowed = ", ".join(sorted(TABLES | STRUCTURES))
        raise DataError(f"{path}: unknown kind of file {path.suffix!r} (allowed: {allowed})")
    return [path]


def _of_csv(source: str, file: Path) -> Table:
    reader: Any = None
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            columns: list[str] = [name.strip() for name in next(reader, [])]
            doubled = sorted({name for name in columns if columns.count(name) > 1})
            if not any(columns) or doubled:
                what = f"columns given twice: {', '.join(doubled)}" if doubled else "no header"
                raise DataError(f"{file}: {what}")
            rows: list[Row] = []
            for cells in reader:
                if not cells:
                    continue
                place = f"row {len(rows) + 1} (line {reader.line_num})"
                if len(cells) != len(columns):
                    _check_marks(file, columns, rows)
                    raise DataError(
                        f"{file}, {place}: {len(cells)} cells under {len(columns)} columns"
                    )
                rows.append(Row(place, {k: v.strip() for k, v in zip(columns, cells, strict=True)}))
    except (UnicodeDecodeError, csv.Error) as error:
        line = f" (line {reader.line_num})" if reader is not None and reader.line_num else ""
        raise DataError(f"{file}: is not a CSV in UTF-8: {error}{line}") from error
    if not rows:
        raise DataError(f"{file}: has a header and no rows")
    _check_marks(file, columns, rows)
    return Table(source, tuple(columns), tuple(rows), with_structures=False)


def _check_marks(file: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """DataError where a header that is one cell, and the rows so far, are parted by something else."""
    if len(columns) > 1:
        return
    for mark in MARKS:
        counts = {text.count(mark) for row in rows for text in (columns[0], *row.cells.values())}
        counts = counts or {columns[0].count(mark)}
        if len(counts) == 1 and counts != {0}:
            raise DataError(f"{file}: its cells are parted by {mark!r}; part them by commas")


def _of_structures(source: str, files: Sequence[Path]) -> Table:
    rows: list[Row] = []
    for file in files:
        for number, atoms in enumerate(_read(file), start=1):
            place = f"row {len(rows) + 1} ({file.name}, structure {number})"
            crystal, unreadable = _crystal(atoms)
            computed = atoms.calc.results if atoms.calc is not None else {}  # `energy`, say
            cells = _cells({**computed, **atoms.info})
            rows.append(Row(place, cells, crystal, unreadable))
    if not rows:
        raise DataError(f"{source}: holds no structure")
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    rows = [
        Row(r.place, {name: r.cells.get(name, "") for name in columns}, r.crystal, r.unreadable)
        for r in rows
    ]
    return Table(source, columns, tuple(rows), with_structures=True)


def _joined(table: Table, files: Sequence[Path], id_column: str | None) -> Table:
    """The table with the structures whose id stands in one of its columns."""
    found: dict[str, Any] = {}
    for file in files:
        if file.suffix.lower() == ".cif":
            if file.stem in found:
                raise DataError(f"{file}: there are two files of this name; keep one of them")
            try:
                found[file.stem] = _read(file)[-1]
            except DataError as error:
                found[file.stem] = error
            continue
        for atoms in _read(file):
            for text in _cells(atoms.info).values():
                found.setdefault(text, atoms)
    names = [id_column] if id_column else list(table.columns)
    ids = {n: {_structure_id(row.cells.get(n, "")) for row in table.rows} for n in names}
    hits = {n: len(ids[n] & set(found)) for n in names}
    best = max(hits, key=lambda name: hits[name])
    if not hits[best]:
        where = f"column {id_column!r}" if id_column else "no column"
        raise DataError(
            f"{table.source}: {where} holds {'no' if id_column else 'the'} ids of the structures "
            f"(such as {next(iter(found), '')!r}); name the column by --id"
        )
    rows = []
    for row in table.rows:
        missing = DataError(f"has no structure {row.cells[best]!r}")
        atoms = found.get(_structure_id(row.cells[best]), missing)
        bad = isinstance(atoms, DataError)
        crystal, unreadable = (None, str(atoms)) if bad else _crystal(atoms)
        rows.append(Row(row.place, row.cells, crystal, unreadable))
    return Table(table.source, table.columns, tuple(rows), with_structures=True, joined_by=best)


def _read(file: Path) -> list[Any]:
    import ase.io

    read: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of CIF dialects; what cannot be used is refused by row
        try:
            for atoms in ase.io.iread(file, index=":"):
                if file.suffix.lower() == ".cif":  # ASE's own notes on the cell
                    atoms.info = {k: v for k, v in atoms.info.items() if k == "occupancy"}
                read.append(atoms)
        except Exception as error:  # ASE's readers raise whatever comes up
            reason = str(error) or f"it holds no structure ({type(error).__name__})"
            after = f" after {len(read)} structures" if read else ""
            raise DataError(f"{file}: cannot be read{after}: {reason}") from error
    if not read:
        raise DataError(f"{file}: cannot be read: it holds no structure")
    return read


def _crystal(atoms: Any) -> tuple[Crystal | None, str | None]:
    occupancy = atoms.info.get("occupancy", {})
    if any(sum(site.values()) < 0.999 or len(site) > 1 for site in occupancy.values()):
        return None, "has partly occupied sites"
    try:
        return Crystal.from_atoms(atoms), None
    except (ValueError, StructureError) as error:
        return None, f"has no usable structure: {error}"


def _structure_id(cell: str) -> str:
    """The id of a structure in a cell that may hold the name of its CIF."""
    return cell.removesuffix(".cif")


def _cells(info: dict[str, Any]) -> dict[str, str]:
    return {
        str(key): str(value).strip()
        for key, value in info.items()
        if isinstance(value, str | int | float | bool) or getattr(value, "ndim", 1) == 0
    }
