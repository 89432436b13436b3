"""Which column of a table holds what: as told, or by the names that are usual."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from discover.benchmark.columns import USUAL
from discover.benchmark.tables import plain
from discover.errors import DataError
from discover.importing.units import Conversion
from discover.plugins import suggestion
from discover.properties import PROPERTIES, Property, property_named

FIELDS = ("formula", "smiles", "spacegroup", "censored", "citation", "uncertainty")
"""What a column may be mapped to beside a property, `value` (of a single property) and `id`."""
CITATION = re.compile(r"doi|citation|reference|cite", re.IGNORECASE)
USUAL_VALUES = {
    "thermal_conductivity": re.compile(
        r"klat|kappa(_lat)?|lattice thermal conductivity", re.IGNORECASE
    ),
    "ionic_conductivity": re.compile(r"sigma(_s_cm)?|ionic conductivity", re.IGNORECASE),
    "solvation_free_energy": re.compile(r"dgs|dg_?solv", re.IGNORECASE),
}
"""Names under which tables give a property that nobody named; the unit may follow in brackets."""
BRACKETED = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\])]*)[\])]$")


@dataclass(frozen=True)
class ValueColumn:
    """A column of values and how they are converted."""

    column: str
    target: Property
    convert: Conversion


@dataclass(frozen=True)
class ColumnMap:
    """The columns of values, and the other fields by name as far as there is a column for them."""

    values: tuple[ValueColumn, ...]
    fields: Mapping[str, str]

    def told(self) -> list[str]:
        """Lines such as `klat[W/mK] -> thermal_conductivity, from W/mK to W/m/K`."""
        lines = [
            f"{v.column} -> {v.target.name}, from {v.convert.unit} to {v.target.unit}"
            for v in self.values
        ]
        return lines + [f"{column} -> {field}" for field, column in self.fields.items()]


def map_columns(
    columns: Sequence[str],
    properties: Sequence[str],
    units: Sequence[str],
    mapping: Mapping[str, str],
) -> ColumnMap:
    """What each column is, `mapping` (column to field) first; DataError listing everything wrong.

    `units` are those of `properties`, in order; without them a unit in brackets after the column's name
    counts.
    """
    problems = []
    allowed = (*FIELDS, "value", "id", *properties)
    for column, field in mapping.items():
        if column not in columns:
            problems.append(f"there is no column {column!r}{suggestion(column, columns)}")
        if field not in allowed:
            problems.append(
                f"--map {column}={field}: no field {field!r}{suggestion(field, allowed)}"
            )
    problems += [
        f"unknown property {p!r}{suggestion(p, PROPERTIES)}"
        for p in properties
        if p not in PROPERTIES
    ]
    if units and len(units) != len(properties):
        problems.append(f"{len(units)} --unit for {len(properties)} --property: give one for each")
    if "value" in mapping.values() and len(properties) > 1:
        problems.append("--map ...=value: there are several properties: name the one that is meant")
    if problems:
        raise DataError("; ".join(problems))
    of_field = {field: column for column, field in mapping.items()}
    values = []
    for number, name in enumerate(properties):
        try:
            column = of_field.get(name) or of_field.get("value") or _value_column(columns, name)
            unit = units[number] if units else _bracketed_unit(column)
            target = property_named(name)
            values.append(ValueColumn(column, target, Conversion(unit, target)))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("; ".join(problems))
    taken = set(mapping) | {value.column for value in values}
    fields = {field: of_field[field] for field in FIELDS if field in of_field}
    for field, usual in {**USUAL, "citation": CITATION}.items():
        if field in FIELDS and field not in fields:
            fitting = [c for c in columns if c not in taken and usual.fullmatch(plain(c))]
            if fitting:  # of space groups rather the number, as symbols are spelled in many ways
                numbered = [c for c in fitting if "number" in plain(c)]
                fields[field] = (numbered or fitting)[0]
    return ColumnMap(tuple(values), fields)


def _value_column(columns: Sequence[str], name: str) -> str:
    bare = {column: _without_unit(column) for column in columns}
    usual = USUAL_VALUES.get(name)
    found = [c for c in columns if bare[c].lower() in {name, name.replace("_", " ")}]
    found = found or [c for c in columns if usual and usual.fullmatch(bare[c])]
    if len(found) == 1:
        return found[0]
    what = (
        f"several columns may hold {name}: {', '.join(found)}" if found else f"no column is {name}"
    )
    raise DataError(f"{what}; name it by --map COLUMN={name} (columns: {', '.join(columns)})")


def _without_unit(column: str) -> str:
    match = BRACKETED.match(column)
    return match["name"] if match else column


def _bracketed_unit(column: str) -> str:
    match = BRACKETED.match(column)
    if match is None:
        raise DataError(f"column {column!r} does not tell its unit: give it by --unit")
    return match["unit"]
