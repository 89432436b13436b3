"""Rows of a table as candidates with values, each checked; what cannot be used is told with its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from discover.benchmark.datasets import BOUND, CENSORED_FLAGS
from discover.benchmark.tables import Row, Table
from discover.errors import StructureError
from discover.importing.columns import ColumnMap, ValueColumn
from discover.records import Bound, Candidate, Provenance
from discover.structures.composition import Composition
from discover.structures.fingerprint import reduced_formula
from discover.structures.molecule import Molecule
from discover.structures.structure import Structure, sort_name

SIDES: dict[int, Bound | None] = {-1: "below", 0: None, 1: "above"}


@dataclass(frozen=True)
class KnownValue:
    """A value in its property's unit."""

    property: str
    value: float
    bound: Bound | None
    uncertainty: float | None
    given: str


@dataclass(frozen=True)
class KnownRow:
    """A row that can be used; `without` says why it has no crystal but a composition."""

    place: str
    candidate: Candidate
    values: tuple[KnownValue, ...]
    citation: str | None
    without: str | None = None


@dataclass(frozen=True)
class CheckedTable:
    """The rows that can be used, and everything wrong with the others as (place, problem)."""

    rows: tuple[KnownRow, ...]
    refused: tuple[tuple[str, str], ...]


def check_rows(
    table: Table,
    columns: ColumnMap,
    sorts: Sequence[type],
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> CheckedTable:
    """Each row as a candidate of one of the `sorts` that the campaign's descriptors take.

    A row without any value is refused like one that cannot be read. `told` is called with the number of
    rows done and of all.
    """
    good, refused = [], []
    for number, row in enumerate(table.rows, start=1):
        problems: list[str] = []
        values = tuple(v for c in columns.values if (v := _value(row, c, columns, problems)))
        if not values and not problems:
            problems.append(f"no value in {', '.join(c.column for c in columns.values)}")
        structure, without = None, None
        try:
            structure, without = _structure(row, columns, sorts)
        except StructureError as error:
            problems.append(str(error))
        if structure is not None and not problems:
            try:
                good.append(_known(table, row, columns, structure, values, without))
            except StructureError as error:
                problems.append(str(error))
        refused += [(row.place, problem) for problem in problems]
        told(number, len(table.rows))
    return CheckedTable(tuple(good), tuple(refused))


def _known(
    table: Table,
    row: Row,
    columns: ColumnMap,
    structure: Structure,
    values: tuple[KnownValue, ...],
    without: str | None,
) -> KnownRow:
    provenance = Provenance(generator="import", operation=f"read {table.source}, {row.place}")
    candidate = Candidate.of(structure, provenance)
    citation = row.cells.get(columns.fields.get("citation", ""), "") or None
    return KnownRow(row.place, candidate, values, citation, without)


def _value(
    row: Row, column: ValueColumn, columns: ColumnMap, problems: list[str]
) -> KnownValue | None:
    """The value of a row; None, with the problem noted, where there is none that can be used."""
    text = row.cells.get(column.column, "")
    if not text:
        return None
    bound: Bound | None = None
    number = text
    if (marked := BOUND.match(text)) is not None:
        bound, number = "below" if marked[1] == "<" else "above", marked[2]
    flag = row.cells.get(columns.fields.get("censored", ""), "").lower()
    if flag not in CENSORED_FLAGS:
        problems.append(f"{columns.fields['censored']} {flag!r} does not say whether it is a bound")
        return None
    bound = bound or SIDES[CENSORED_FLAGS[flag]]
    try:
        value = column.convert(float(number))
        column.target.to_model(value)
        uncertainty = _uncertainty(row, columns)
    except (ValueError, OverflowError) as error:
        why = str(error) if "logarithm" in str(error) else "is not a finite number"
        problems.append(f"{column.column} {text!r}: {why}")
        return None
    return KnownValue(
        column.target.name, value, bound, uncertainty, f"{text} {column.convert.unit}"
    )


def _uncertainty(row: Row, columns: ColumnMap) -> float | None:
    text = row.cells.get(columns.fields.get("uncertainty", ""), "")
    return float(text) if text else None


def _structure(row: Row, columns: ColumnMap, sorts: Sequence[type]) -> tuple[Structure, str | None]:
    """The structure of a row, and why it is a composition although others are crystals."""
    smiles = row.cells.get(columns.fields.get("smiles", ""), "")
    formula = row.cells.get(columns.fields.get("formula", ""), "")
    if Molecule in sorts:
        if not smiles:
            raise StructureError("has no SMILES: map a column to smiles")
        return Molecule.from_smiles(smiles), None
    composition = _composition(row, columns, formula) if formula else None
    why = row.unreadable or (None if row.crystal else "has no structure")
    if row.crystal is not None:
        found = reduced_formula(row.crystal)
        if composition is None or Composition.from_formula(found).formula == composition.formula:
            return row.crystal, None
        why = f"its structure is {found}, its formula {formula}"
    if composition is None and Composition in sorts:
        raise StructureError(f"{why}, and no column holds its formula: map one to formula")
    if composition is None or Composition not in sorts:
        wanted = " or ".join(f"a {sort_name(sort)}" for sort in sorts)
        raise StructureError(f"{why}, and the campaign's descriptors need {wanted}")
    return composition, why


def _composition(row: Row, columns: ColumnMap, formula: str) -> Composition:
    group = row.cells.get(columns.fields.get("spacegroup", ""), "")
    try:
        number = int(float(group)) if group else None
    except ValueError:
        number = None  # a symbol, which tables spell in many ways
    return Composition.from_formula(formula, number if number and 1 <= number <= 230 else None)
