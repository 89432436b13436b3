"""Splits of a data set for the extrapolation benchmark: what is known, and what is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.benchmark.datasets import DataSet
from discover.errors import DataError
from surrogates import splits as known

Rows = npt.NDArray[np.int64]

ALL = ("random", "property", "spacegroup", "element", "formula", "cluster", "time", "file")
"""What can be asked for; `property` is two splits, the top and the bottom of the range."""
PROPERTY = ("property-top", "property-bottom")
ELEMENTS = 5
"""Elements that are left out, one after the other, for each seed."""
FEWEST = 3
"""Rows that either side of a fold must have at least."""
SIDES = (("train", "test"), ("interp", "extrap"), ("training", "testing"))


@dataclass(frozen=True)
class Fold:
    """Rows (indices into the data set) to learn from and to be asked for, and what the fold is called."""

    label: str
    train: Rows
    test: Rows


@dataclass(frozen=True)
class Split:
    """A named split: `every` fold for a seed, and whether they depend on it."""

    name: str
    every: Callable[[int], list[Fold]]
    seeded: bool = True

    def folds(self, seed: int) -> list[Fold]:
        """Those with `FEWEST` rows or more on either side."""
        return [fold for fold in self.every(seed) if min(len(fold.train), len(fold.test)) >= FEWEST]


def plan_splits(
    data: DataSet,
    names: Sequence[str] = (),
    file: Path | None = None,
    year: float | None = None,
    *,
    told: Callable[[str], None] = lambda _: None,
) -> list[Split]:
    """The splits by name, without any all that the data support; those left out are `told`.

    `file` holds the indices of the split `file`: JSON, a list of objects (or one) with the lists
    `train` and `test` of rows of the data file counted from 0, and `extra` or `name` to group them by;
    without it the column `split` with the words `train` and `test`. `year` parts the split `time`;
    without it the newest fifth is tested. DataError for what is unknown or not supported by the data,
    and for a `file` or `year` that no split uses.
    """
    for name in names:
        if name not in {*ALL, *PROPERTY}:
            raise DataError(f"no split is called {name!r}{plugins.suggestion(name, ALL)}")
    whole = [part for name in names or ALL for part in (PROPERTY if name == "property" else [name])]
    asked = list(dict.fromkeys(whole))
    for given, name, option in ((file, "file", "--split-file"), (year, "time", "--before")):
        if given is not None and name not in asked:
            raise DataError(f"{option} is for the split {name!r}: add it to --splits")
    found: list[Split] = []
    for name in asked:
        try:
            found += [_checked(data, split, told) for split in _splits(data, name, file, year)]
        except DataError as error:
            unasked = not names or (name == "file" and len(names) > 1 and not data.parts)
            if not unasked or (name == "file" and file) or (name == "time" and year is not None):
                raise
            told(f"left out: {error}")
    if not found:
        raise DataError(f"{data.source}: none of the splits has {FEWEST} rows on either side")
    return found


def _checked(data: DataSet, split: Split, told: Callable[[str], None]) -> Split:
    """The same split; DataError where it has no fold that is large enough."""
    every, large = split.every(0), split.folds(0)
    if not large:
        raise DataError(
            f"{data.source}: the split {split.name!r} has no fold with {FEWEST} rows on either side "
            f"({_why(data, split, every)})"
        )
    if left := len(every) - len(large):
        told(
            f"split {split.name!r}: {left} of {len(every)} folds have fewer than {FEWEST} rows on a "
            "side and are left out"
        )
    return split


def _why(data: DataSet, split: Split, every: Sequence[Fold]) -> str:
    if split.name.startswith("file"):
        sizes = ", ".join(f"{len(fold.train)} and {len(fold.test)}" for fold in every[:3])
        return f"training and test rows: {sizes}" + (", ..." if len(every) > 3 else "")
    rows = f"there are {len(data)} rows"
    if data.grouped_by is None or split.name == "random":
        return rows
    if split.name == "formula" and data.formulas is not None:
        groups = int(_formula_groups(data).max()) + 1
        shared = f"of what shares a formula or {data.grouped_by!r}"
        return f"{rows} in {groups} group{'s' if groups > 1 else ''} {shared}; see --group"
    groups = int(data.groups.max()) + 1
    return (
        f"{rows} in {groups} group{'s' if groups > 1 else ''} by {data.grouped_by!r}; see --group"
    )


def _splits(data: DataSet, name: str, file: Path | None, year: float | None) -> list[Split]:
    if name == "file":
        return _from_file(data, file) if file else _from_column(data)
    if name == "time":
        return [_by_time(data, year)]
    if name == "element":
        return [_by_element(data)]
    if name == "formula" and data.formulas is None:
        raise DataError(
            f"{data.source}: the split 'formula' needs formulas; name them by --formula"
        )
    if name == "spacegroup":
        if data.spacegroups is None:
            raise DataError(
                f"{data.source}: the split 'spacegroup' needs structures or a column; name it by "
                "--spacegroup"
            )
        if blank := [
            row + 1 for row, of in zip(data.rows, data.spacegroups, strict=True) if not of
        ]:
            some = ", ".join(map(str, blank[:10])) + (", ..." if len(blank) > 10 else "")
            raise DataError(
                f"{data.source}: the split 'spacegroup' needs one in every row; there is none in "
                f"row{'s' if len(blank) > 1 else ''} {some}"
            )
        of_row = _codes(data.spacegroups)
        if of_row.max() < 1:
            raise DataError(f"{data.source}: all rows have one space group")
        return [Split(name, _named(known.group_folds, data, of_row))]
    kinds: dict[str, tuple[known.Split, Rows | None]] = {
        "random": (known.random_share, None),
        "formula": (known.group_folds, _formula_groups(data)),
        "cluster": (known.clusters, data.groups),
        "property-top": (known.property_top, data.groups),
        "property-bottom": (known.property_bottom, data.groups),
    }
    function, groups = kinds[name]
    return [Split(name, _named(function, data, groups), seeded=not name.startswith("property"))]


def _formula_groups(data: DataSet) -> Rows:
    """The groups, joined where they share a formula: neither is ever on both sides."""
    if data.formulas is None:
        return data.groups
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    groups, formulas = data.groups, _codes(data.formulas)
    nodes = int(groups.max()) + 1 + int(formulas.max()) + 1
    edges = (np.ones(len(data)), (groups, groups.max() + 1 + formulas))
    _, of_node = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return _codes(of_node[groups])


def _codes(labels: Sequence[str] | Rows) -> Rows:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _named(
    function: known.Split, data: DataSet, groups: Rows | None
) -> Callable[[int], list[Fold]]:
    def folds(seed: int) -> list[Fold]:
        pairs = function(data.y, data.x, groups, seed)
        return [Fold(str(i), train, test) for i, (train, test) in enumerate(pairs)]

    return folds


def _by_element(data: DataSet) -> Split:
    """One element after the other is left out: no row that holds it is learned from."""
    if data.elements is None:
        raise DataError(
            f"{data.source}: the split 'element' needs formulas; name them by --formula"
        )
    holds = {
        symbol: np.array([symbol in of_row for of_row in data.elements])
        for symbol in sorted(set().union(*data.elements))
    }
    fewest, most = max(FEWEST, round(0.02 * len(data))), len(data) / 2
    usable = [symbol for symbol, rows in holds.items() if fewest <= rows.sum() <= most]
    if not usable:
        raise DataError(
            f"{data.source}: no element can be left out: each is in fewer than {fewest} rows, or in "
            f"more than half of the {len(data)}"
        )

    def folds(seed: int) -> list[Fold]:
        chosen = np.random.default_rng(seed).permutation(usable)[:ELEMENTS]
        return [Fold(str(s), np.flatnonzero(~holds[s]), np.flatnonzero(holds[s])) for s in chosen]

    return Split("element", folds)


def _by_time(data: DataSet, year: float | None) -> Split:
    if data.years is None:
        raise DataError(
            f"{data.source}: the split 'time' needs a year in every row; name its column "
            "by --year, and rows without one are told"
        )
    border = float(np.quantile(data.years, 1 - known.SHARE)) if year is None else year
    late = data.years > border if year is None else data.years >= year
    if year is None and late.sum() < FEWEST:  # a fifth of the rows share the newest year
        late = data.years >= border
    first = data.years[late].min(initial=np.inf)
    fold = Fold(f"from {first:g}", np.flatnonzero(~late), np.flatnonzero(late))
    split = Split("time", lambda _: [fold], seeded=False)
    if not split.folds(0):
        raise DataError(f"{data.source}: fewer than {FEWEST} rows before, or from, {border:g}")
    return split


def _from_column(data: DataSet) -> list[Split]:
    if data.parts is None:
        raise DataError(
            f"{data.source}: the split 'file' needs --split-file, or a column 'split' with train and test"
        )
    words = np.array([part.lower() for part in data.parts])
    fold = Fold("test", np.flatnonzero(words == "train"), np.flatnonzero(words == "test"))
    if not len(fold.train) or not len(fold.test):
        raise DataError(f"{data.source}: the column 'split' does not say train and test")
    return [Split("file", lambda _: [fold], seeded=False)]


def _from_file(data: DataSet, file: Path) -> list[Split]:
    """The splits in a file, grouped by their name; one that tests nothing is cross-validated."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--split-file {file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"--split-file {file}: is no JSON: {error}") from error
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise DataError(f"{file}: holds no split")
    place = {int(row): i for i, row in enumerate(data.rows)}
    total = len(data) + len(data.dropped)
    folds: dict[str, list[Fold]] = {}
    everything: dict[str, Rows] = {}
    for number, entry in enumerate(entries):
        train, test = (
            _rows(file, number, part, place, total) for part in _sides(file, number, entry)
        )
        if len(both := np.intersect1d(train, test)):
            raise DataError(
                f"{file}: split {number}: row {data.rows[both[0]]} is in both lists; leave it in one"
            )
        name = str(entry.get("extra", entry.get("name", "")))
        scalars = [f"{k}={v}" for k, v in entry.items() if isinstance(v, int | float)]
        if len(test):
            folds.setdefault(name, []).append(Fold(" ".join(scalars) or str(number), train, test))
        else:
            everything[name] = train
    found = [_fixed(name, of_name) for name, of_name in folds.items()]
    return found + [_crossed(data, name, rows) for name, rows in everything.items()]


def _fixed(name: str, folds: list[Fold]) -> Split:
    return Split(_file_name(name), lambda _: folds, seeded=False)


def _crossed(data: DataSet, name: str, rows: Rows) -> Split:
    """Cross-validation inside rows that a file names without any to test."""

    def folds(seed: int) -> list[Fold]:
        pairs = known.group_folds(data.y[rows], data.x[rows], data.groups[rows], seed)
        return [Fold(str(i), rows[a], rows[b]) for i, (a, b) in enumerate(pairs)]

    return Split(_file_name(name), folds)


def _file_name(name: str) -> str:
    return f"file: {name}" if name else "file"


def _sides(file: Path, number: int, entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, dict):
        for train, test in SIDES:
            if train in entry and test in entry:
                return entry[train], entry[test]
    raise DataError(f"{file}: split {number} has no lists 'train' and 'test'")


def _rows(file: Path, number: int, listed: Any, place: dict[int, int], total: int) -> Rows:
    """Rows of the data set; those that were dropped from it are left out."""
    if not isinstance(listed, list) or not all(type(row) is int for row in listed):
        raise DataError(f"{file}: split {number}: rows are whole numbers, counted from 0")
    wrong = [row for row in listed if not 0 <= row < total]
    if wrong:
        raise DataError(f"{file}: split {number}: there is no row {wrong[0]} among {total}")
    return np.array([place[row] for row in dict.fromkeys(listed) if row in place], dtype=np.int64)
