"""What the columns of a file of known data hold: as told, or by the names that are usual."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from discover import plugins
from discover.benchmark.features import SPACEGROUP, number
from discover.benchmark.tables import Table, plain
from discover.errors import DataError

USUAL = {
    "formula": re.compile(
        r"((reduced|chemical|pretty)_?)?(formula|composition)(_pretty)?", re.IGNORECASE
    ),
    "smiles": re.compile(r".*smiles", re.IGNORECASE),
    "id": re.compile(r"((\w+_)?|mp|material)id|row|index|cid|unnamed:_?\d+|", re.IGNORECASE),
    "group": re.compile(r"groups?", re.IGNORECASE),
    "year": re.compile(r"((discovery|publication)_)?year", re.IGNORECASE),
    "censored": re.compile(r".*censored.*", re.IGNORECASE),
    "spacegroup": SPACEGROUP,
    "split": re.compile(r"split", re.IGNORECASE),
}
"""Names by which columns are known that nobody named, as `plain` gives them."""
NEVER_DESCRIBE = ("id", "group", "year", "censored", "split", "smiles", "formula")
"""What describes rows only where `features` names it, whether or not it has a role."""
SIDES = re.compile(r"censored|below|above|left|right|flag|bound|is(?=_)")
"""What the name of a column that marks bounds says beside the property whose bounds it marks."""


@dataclass(frozen=True)
class Columns:
    """What columns hold; None: the column with the usual name, if there is one.

    `features` are descriptors, columns or patterns of columns to describe rows by, `exclude` columns or
    patterns of columns that must not; both may hold several, separated by commas.
    """

    target: str
    formula: str | None = None
    smiles: str | None = None
    id: str | None = None
    group: str | None = None
    year: str | None = None
    censored: str | None = None
    spacegroup: str | None = None
    split: str | None = None
    duration: str | None = None
    features: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def find_columns(table: Table, columns: Columns) -> Columns:
    """Columns by name, those that are not named by their usual names; DataError for a wrong one.

    A column of years that nobody named counts only where every row has a year, and one that marks
    bounds only where it is called after the target or after nothing.
    """
    columns = replace(
        columns,
        features=tuple(_words(columns.features, table.columns)),
        exclude=tuple(_words(columns.exclude, table.columns)),
    )
    for field in dataclasses.fields(Columns):
        value = getattr(columns, field.name)
        if isinstance(value, str) and not table.columns:
            raise DataError(
                f"{table.source}: --{field.name} {value!r}: structures alone have no columns; give a "
                "CSV with their ids and values by another --data"
            )
        if isinstance(value, str) and value not in table.columns:
            raise DataError(
                f"{table.source}: --{field.name} {value!r}: there is no such column"
                f"{plugins.suggestion(value, table.columns)}"
            )
    for pattern in columns.exclude:
        if not matching(pattern, table.columns):
            raise DataError(
                f"{table.source}: --exclude {pattern!r} matches no column"
                f"{plugins.suggestion(pattern, table.columns)}"
            )
    out = excluded(table, columns)
    found: dict[str, Any] = {}
    for role, usual_name in USUAL.items():
        usual = [n for n in table.columns if usual_name.fullmatch(plain(n)) and n != columns.target]
        if role == "spacegroup":  # numbers rather than symbols, which are spelled in many ways
            usual.sort(key=lambda n: not all(r.cells[n].isdecimal() for r in table.rows))
        elif role == "id":  # a column without a name only where there is no other
            usual.sort(key=lambda n: not n)
        elif role == "year":
            usual = [
                n
                for n in usual
                if all(number(r.cells[n]) == number(r.cells[n]) for r in table.rows)
            ]
        elif role == "censored":
            usual = [n for n in usual if _called_after(n, columns.target)]
        usual = [n for n in usual if n not in out or role in {"id", "spacegroup"}]
        found[role] = getattr(columns, role) or next(iter(usual), None)
    return replace(columns, **{**found, "id": columns.id or table.joined_by or found["id"]})


def free_columns(table: Table, columns: Columns) -> list[str]:
    """Columns that may describe rows: those without a role, not excluded, and no names of rows."""
    taken = {getattr(columns, role) for role in USUAL if role != "spacegroup"}
    taken |= {columns.target, columns.duration} | excluded(table, columns)
    free = [name for name in table.columns if name not in taken]
    if columns.features:
        return free
    return [n for n in free if not any(USUAL[role].fullmatch(plain(n)) for role in NEVER_DESCRIBE)]


def excluded(table: Table, columns: Columns) -> set[str]:
    """The columns that `exclude` names."""
    return {name for word in columns.exclude for name in matching(word, table.columns)}


def matching(word: str, names: Iterable[str]) -> list[str]:
    """The name itself where it is one (`a [Å]`, say), else the names that the pattern matches."""
    names = list(names)
    return [word] if word in names else fnmatch.filter(names, word)


def _words(words: Sequence[str], names: Sequence[str]) -> list[str]:
    """One column, descriptor or pattern each; a comma separates them unless a name holds it."""
    return [
        part
        for word in words
        for part in ([word] if word in names else map(str.strip, word.split(",")))
        if part
    ]


def _called_after(flag: str, target: str) -> bool:
    """Whether a column that marks bounds is called after the target (`sigma_censored`, `censored`)."""
    of = re.split(r"[\W_]+", SIDES.sub("", plain(flag)))
    return all(part in plain(target) for part in of)
