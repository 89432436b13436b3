"""Known materials or molecules as benchmarks use them: read, checked row by row, described."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols

from discover.benchmark.columns import USUAL, Columns, find_columns, free_columns
from discover.benchmark.features import (
    BOUND_MARKS,
    COMPOSITION,
    Describer,
    Features,
    Plan,
    assemble,
    give_away,
    missing_cells,
    number,
    plan_features,
)
from discover.benchmark.labels import canonical_smiles, parse_formula, spacegroup_label
from discover.benchmark.tables import Row, Table, plain, read_table
from discover.errors import DataError, StructureError
from discover.properties import Transform
from discover.records import content_hash
from discover.structures.fingerprint import reduced_formula
from discover.structures.symmetry import spacegroup
from surrogates.scaling import LARGEST, SMALLEST

if TYPE_CHECKING:
    from surrogates import TrainingData

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

CENSORED_FLAGS = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "below", "<", "<=", "≤", "-1"), -1),
    **dict.fromkeys(("above", ">", ">=", "≥", "+1"), 1),
    **dict.fromkeys(("", "false", "0", "0.0", "no", "none", "=", "==", "~", "exact"), 0),
}
"""Which side of the given target the true value is on."""
BOUND = re.compile(r"^\s*([<>≤≥])=?\s*(.+)$")
MOST_LISTED = 20
USUAL_RANGE = (1e-2, 1e6)
"""Ranges of a target that models learn as they are."""


@dataclass(frozen=True)
class DataSet:
    """N rows with descriptors and a target.

    `y` (N) is on the model's scale; where `censored` (N) is -1 or 1 the true value lies below or above
    it. `rows` (N) are the rows' places in the file, counted from 0 before any was dropped. `groups`
    (N) are equal for rows that must not be split, such as polytypes of one formula; `elements` are the
    elements of each row, `spacegroups` their numbers (empty where a cell is), `durations` (N) how long
    a calculation takes.
    `dropped` lists what was left out and why.
    """

    source: str
    target: str
    transform: Transform
    ids: tuple[str, ...]
    rows: Integers
    y: Array
    censored: npt.NDArray[np.int8]
    features: Features
    groups: Integers
    grouped_by: str | None
    formulas: tuple[str, ...] | None = None
    elements: tuple[frozenset[str], ...] | None = None
    spacegroups: tuple[str, ...] | None = None
    years: Array | None = None
    parts: tuple[str, ...] | None = None
    durations: Array | None = None
    dropped: tuple[str, ...] = ()

    @property
    def x(self) -> Array:
        """Descriptors (N x d)."""
        return self.features.x

    def __len__(self) -> int:
        return len(self.y)

    @property
    def unit(self) -> float:
        """What models learn the target in units of: one, or a power of ten where its range is odd.

        Models have absolute floors: GPyTorch's variance of 1e-10, scikit-learn's impurity of 2e-16.
        """
        extent = float(np.ptp(self.y)) if len(self.y) else 0.0
        if extent == 0 or USUAL_RANGE[0] <= extent <= USUAL_RANGE[1]:
            return 1.0
        return float(10.0 ** math.floor(math.log10(extent)))

    def training(self, rows: Integers) -> TrainingData:
        """These rows as surrogates want them, the target in units of `unit`."""
        import torch

        from surrogates import TrainingData

        censored = torch.from_numpy(self.censored[rows]).unsqueeze(-1)
        return TrainingData(
            x=torch.from_numpy(self.x[rows]),
            y=torch.from_numpy(self.y[rows] / self.unit).unsqueeze(-1),
            groups=torch.from_numpy(self.groups[rows]),
            censored=censored if bool(censored.any()) else None,
            categorical=self.features.categorical,
        )

    def only(self, places: Integers) -> DataSet:
        """These of its rows, in this order."""

        def those(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
            return None if values is None else tuple(values[i] for i in places)

        return replace(
            self,
            ids=tuple(self.ids[i] for i in places),
            rows=self.rows[places],
            y=self.y[places],
            censored=self.censored[places],
            features=replace(self.features, x=self.features.x[places]),
            groups=np.unique(self.groups[places], return_inverse=True)[1].astype(np.int64),
            formulas=those(self.formulas),
            elements=those(self.elements),
            spacegroups=those(self.spacegroups),
            years=None if self.years is None else self.years[places],
            parts=those(self.parts),
            durations=None if self.durations is None else self.durations[places],
        )

    def identity(self) -> str:
        """Hash of everything that a model could learn from."""
        told: dict[str, object] = {
            "x": self.x.tolist(),
            "y": self.y.tolist(),
            "censored": self.censored.tolist(),
            "groups": self.groups.tolist(),
        }
        return content_hash(told if self.unit == 1 else told | {"unit": self.unit})

    def in_words(self) -> str:
        """One line: rows, bounds, groups, and what describes the rows."""
        words = [f"{len(self)} rows"]
        if self.dropped:
            words.append(f"{len(self.dropped)} dropped")
        if self.censored.any():
            words.append(f"{int((self.censored != 0).sum())} with a bound")
        if self.grouped_by:
            words.append(f"{_counted(int(self.groups.max()) + 1, 'group')} by {self.grouped_by}")
        made_of = self.features.made_of
        listed = ", ".join(made_of[:12]) + (", ..." if len(made_of) > 12 else "")
        return f"{', '.join(words)}; {_counted(len(self.features.names), 'descriptor')} of {listed}"


@dataclass(frozen=True)
class _Entry:
    """What one row says, its descriptors aside."""

    y: float
    censored: int = 0
    formula: str = ""
    elements: frozenset[str] = frozenset()
    shares: frozenset[tuple[str, Fraction]] = frozenset()
    year: float = math.nan
    duration: float = math.nan


class _RowError(DataError):
    """A row that cannot be used."""


def load_data(
    paths: Sequence[Path],
    columns: Columns,
    *,
    transform: Transform = "none",
    drop_invalid: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> DataSet:
    """The rows of a file that can be used, all of them or, with `drop_invalid`, but those listed.

    A target such as `<1E-10` is a bound, and so is one that is marked in the column `censored`. Raises
    DataError, naming columns and rows, for missing columns, targets that are no numbers or have no
    logarithm, rows given twice, formulas that do not parse and rows that cannot be described;
    MissingDependencyError for descriptors whose package is not installed.
    """
    table = read_table(paths, columns.id)
    columns = find_columns(table, columns)
    for name in table.columns:
        marks = {row.cells[name] for row in table.rows} - {""}
        like_marks = USUAL["censored"].fullmatch(plain(name)) or (marks and marks <= BOUND_MARKS)
        if like_marks and name not in (columns.censored, columns.target):
            told(f"column {name!r} is not taken to mark bounds; name it by --censored if it does")
    plan = _plan(table, columns)
    problems = _repeated(table, columns.id)
    describer = Describer(plan)
    entries: dict[int, _Entry] = {}
    described: dict[int, Array] = {}
    for i, row in enumerate(table.rows):
        try:
            _check_cells(plan, row)
            smiles = row.cells[columns.smiles] if columns.smiles else ""
            entries[i] = _entry(
                row, columns, transform, formula_needed=COMPOSITION in plan.descriptors
            )
            described[i] = describer.row(row, entries[i].formula, smiles)
        except _RowError as error:
            problems.setdefault(i, str(error))
        except StructureError as error:
            reason = str(error).removeprefix(f"candidate {row.place}: ")
            unnamed = smiles not in reason if smiles else "SMILES" in reason
            where = f"{columns.smiles} = {smiles!r}: " if columns.smiles and unnamed else ""
            problems.setdefault(i, f"{where}{reason}")
    listed = tuple(f"{table.rows[i].place}: {problems[i]}" for i in sorted(problems))
    if listed and not drop_invalid:
        raise DataError(_refusal(table, listed, plan))
    for line in listed:
        told(f"dropped {line}")
    kept = [i for i in range(len(table.rows)) if i not in problems]
    if len(kept) < 2:
        raise DataError(f"{table.source}: fewer than two rows can be used\n" + _excerpt(listed))
    good = replace(table, rows=tuple(table.rows[i] for i in kept))
    features = assemble(good, plan, np.array([described[i] for i in kept]), describer.names)
    y = np.array([entries[i].y for i in kept])
    _check_spread(good, columns.target, y)
    if not columns.features and (same := give_away(features, y)):
        left_out = "leave it out by --exclude, or " if set(same) <= set(table.columns) else ""
        raise DataError(
            f"{table.source}: ranked by {' or '.join(map(repr, same))}, the rows are ranked as by the "
            f"target; {left_out}name what to use by --features"
        )
    if plan.columns and not (columns.features or plan.unused):
        _tell_gaps(table, columns, told)
    if plan.unused:
        some = ", ".join(map(repr, plan.unused[:12])) + (", ..." if len(plan.unused) > 12 else "")
        told(f"rows are not described by {some}; what is to describe them is named by --features")
    data = _data_set(good, columns, transform, features, [entries[i] for i in kept])
    return replace(data, rows=np.array(kept), y=y, dropped=listed)


def _data_set(
    table: Table,
    columns: Columns,
    transform: Transform,
    features: Features,
    entries: Sequence[_Entry],
) -> DataSet:
    """All but what the caller knows better: the rows, the target and what was dropped."""
    formulas = tuple(entry.formula for entry in entries)
    labels: Sequence[str] = [row.place for row in table.rows]
    grouped_by = None
    for name in (columns.group, columns.formula, columns.smiles):
        if name is not None and grouped_by is None:
            labels, grouped_by = [row.cells[name] for row in table.rows], name
    if grouped_by is not None and grouped_by == columns.smiles:
        labels = [canonical_smiles(text) for text in labels]
    if all(formulas) and not columns.group:
        spelled: dict[object, str] = {}  # one label for `LiNaCl2` and `Li0.5Na0.5Cl`
        labels = [spelled.setdefault(e.shares or e.formula, e.formula) for e in entries]
        grouped_by = columns.formula or "formula"
    ids = [row.cells[columns.id] for row in table.rows] if columns.id else []
    if len(set(ids)) < len(table.rows):
        ids = [row.place for row in table.rows]
    return DataSet(
        source=table.source,
        target=columns.target,
        transform=transform,
        ids=tuple(ids),
        rows=np.arange(len(entries)),
        y=np.array([entry.y for entry in entries]),
        censored=np.array([entry.censored for entry in entries], dtype=np.int8),
        features=features,
        groups=np.unique(labels, return_inverse=True)[1].astype(np.int64),
        grouped_by=grouped_by,
        formulas=formulas if all(formulas) else None,
        elements=tuple(e.elements for e in entries) if all(formulas) else None,
        spacegroups=_spacegroups(table, columns.spacegroup),
        years=np.array([entry.year for entry in entries]) if columns.year else None,
        durations=np.array([e.duration for e in entries]) if columns.duration else None,
        parts=tuple(r.cells[columns.split] for r in table.rows) if columns.split else None,
    )


def _tell_gaps(table: Table, columns: Columns, told: Callable[[str], None]) -> None:
    """Columns of numbers that do not describe the rows because too many cells are empty."""
    for name in free_columns(table, columns):
        filled = [row.cells[name] for row in table.rows if row.cells[name]]
        empty = len(table.rows) - len(filled)
        if filled and empty > 0.1 * len(table.rows) and all(number(c) == number(c) for c in filled):
            told(f"column {name!r} is left out: it is empty in {empty} of {len(table.rows)} rows")


def _plan(table: Table, columns: Columns) -> Plan:
    return plan_features(
        table,
        columns.features,
        free_columns(table, columns),
        formula=columns.formula,
        smiles=columns.smiles,
    )


def _check_spread(table: Table, target: str, y: Array) -> None:
    """DataError for a target that nothing can be learned of, or that overflows when it is squared."""
    extent, cell = float(np.ptp(y)), table.rows[0].cells[target]
    if extent == 0:
        raise DataError(
            f"{table.source}: --target {target!r} is {cell} in all {len(y)} rows: there is nothing "
            "to predict"
        )
    if not SMALLEST < extent < LARGEST:
        raise DataError(
            f"{table.source}: --target {target!r} ranges over {extent:.3g}: give it in a unit in which "
            f"it ranges over {SMALLEST:g} to {LARGEST:g}, or --transform log10"
        )


def _check_cells(plan: Plan, row: Row) -> None:
    if missing := missing_cells(plan, row):
        raise _RowError(f"{', '.join(map(repr, missing))}: empty, or not a number")


def _entry(row: Row, columns: Columns, transform: Transform, *, formula_needed: bool) -> _Entry:
    """What a row says; _RowError for one that cannot be used."""
    if row.unreadable:
        raise _RowError(row.unreadable)
    y, censored = _target(row, columns, transform)
    formula, elements = "", frozenset[str]()
    shares = frozenset[tuple[str, Fraction]]()
    if row.crystal is not None:
        formula = reduced_formula(row.crystal)
        elements = frozenset(chemical_symbols[z] for z in row.crystal.numbers)
    elif columns.formula and (row.cells[columns.formula] or formula_needed):
        try:
            formula, elements, shares = parse_formula(row.cells[columns.formula])
        except DataError as error:
            raise _RowError(f"{columns.formula}: {error}") from None
    year = number(row.cells[columns.year]) if columns.year else math.nan
    if columns.year and not math.isfinite(year):
        raise _RowError(f"{columns.year} = {row.cells[columns.year]!r} is no year")
    duration = number(row.cells[columns.duration]) if columns.duration else math.nan
    if columns.duration and not duration > 0:
        raise _RowError(f"{columns.duration} = {row.cells[columns.duration]!r} is no duration")
    return _Entry(y, censored, formula, elements, shares, year, duration)


def _target(row: Row, columns: Columns, transform: Transform) -> tuple[float, int]:
    """The target on the model's scale, and whether it is a bound."""
    text = row.cells[columns.target]
    match = BOUND.match(text)
    sign = {"<": -1, "≤": -1, ">": 1, "≥": 1}[match[1]] if match else 0
    value = number(match[2] if match else text)
    if not math.isfinite(value):
        raise _RowError(f"{columns.target} = {text!r} is not a number")
    if transform == "log10" and value <= 0:
        raise _RowError(f"{columns.target} = {text} has no logarithm")
    if columns.censored and not sign:
        cell = row.cells[columns.censored]
        flag = cell.lower()
        if flag not in CENSORED_FLAGS:
            raise _RowError(
                f"{columns.censored} = {cell!r} is none of {', '.join(filter(None, CENSORED_FLAGS))}"
            )
        sign = CENSORED_FLAGS[flag]
        if "above" in columns.censored.lower() and flag not in {"below", "<", "<=", "≤", "-1"}:
            sign = abs(sign)  # the column says on which side the true values are
    return (math.log10(value) if transform == "log10" else value), sign


def _repeated(table: Table, id_column: str | None) -> dict[int, str]:
    """Rows that say just what an earlier one says, the id aside."""
    first: dict[object, int] = {}
    repeated = {}
    for i, row in enumerate(table.rows):
        content = (*(v for k, v in row.cells.items() if k != id_column), row.crystal)
        if content in first:
            repeated[i] = f"is the same as {table.rows[first[content]].place}"
        first.setdefault(content, i)
    return repeated


def _spacegroups(table: Table, column: str | None) -> tuple[str, ...] | None:
    if all(row.crystal is not None for row in table.rows):
        return tuple(str(spacegroup(row.crystal)) for row in table.rows if row.crystal)
    return tuple(spacegroup_label(row.cells[column]) for row in table.rows) if column else None


def _refusal(table: Table, listed: Sequence[str], plan: Plan) -> str:
    some = f"{len(listed)} of {len(table.rows)} rows cannot be used"
    gaps = [n for n in plan.columns if any(f"{n!r}" in line for line in listed)]
    other = f", or leave out {', '.join(map(repr, gaps))} by --exclude" if gaps else ""
    return f"{table.source}: {some}; correct them, or --drop-invalid{other}\n{_excerpt(listed)}"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _excerpt(listed: Sequence[str]) -> str:
    more = listed[MOST_LISTED:]
    rows = ", ".join(line.split(" ", 2)[1].rstrip(":") for line in more)
    return "\n".join(
        [*listed[:MOST_LISTED], *([f"and {len(more)} more: rows {rows}"] if more else [])]
    )
