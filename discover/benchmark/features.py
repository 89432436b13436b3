"""Descriptors of rows: of structures, of compositions, of SMILES, or columns as they are."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.benchmark.labels import spacegroup_label
from discover.benchmark.tables import Row, Table, plain
from discover.errors import DataError, MissingDependencyError
from discover.records import Candidate
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule
from discover.structures.structure import sorts_taken

Array = npt.NDArray[np.float64]

Kind = Literal["numbers", "categories"]

COMPOSITION, STRUCTURE, SMILES = "composition", "structure", "smiles"
MOLECULE, MORGAN = "molecule", "morgan"
SPACEGROUP = re.compile(r"(space_?group|sg)(_?(number|num|no|int|symbol))?", re.IGNORECASE)
CELL = re.compile(
    r"(a|b|c|alpha|beta|gamma|volume|volume_per_atom|density)(_(angstrom3?|a3|g_cm3))?",
    re.IGNORECASE,
)
FEW_COLUMNS = 10
"""So many columns, or fewer, describe molecules less well than their SMILES: both are used then."""
MOST_CATEGORIES = 20
"""A column of text with more distinct words than this is a name, not a category."""
HUGE = 1e12
"""A descriptor of RDKit that is as large means nothing; a column that is holds carriers a m³, say."""
BOUND_MARKS = frozenset({"<", ">", "=", "<=", ">=", "==", "≤", "≥", "~"})
"""A column of these says of the target's values which are bounds."""
SAME_ORDER = 0.9999
"""A column that ranks the rows as the target does, by this Spearman coefficient, is the target."""


@dataclass(frozen=True)
class Features:
    """Descriptors (n x d), their names, which of them are codes, and where they come from."""

    x: Array
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    made_of: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Descriptor plug-ins (`composition`, `structure`, ..., or `smiles`), and columns with their kind.

    `unused` are columns that could describe rows as well and were not asked for.
    """

    descriptors: tuple[str, ...]
    columns: dict[str, Kind]
    unused: tuple[str, ...] = ()


def plan_features(
    table: Table,
    wanted: Sequence[str],
    free: Sequence[str],
    *,
    formula: str | None,
    smiles: str | None,
) -> Plan:
    """What the rows are described by.

    `wanted` are plug-ins, columns, and patterns of columns such as `cat_*`. Without any: `composition`
    and `structure` where there are structures; SMILES, with the columns where they are few, where
    there are SMILES and no more than `FEW_COLUMNS`; `composition`, space group and cell where there is
    a formula and no SMILES; and every column of numbers or categories that is `free` otherwise. Raises
    DataError for a name that is neither, and for a descriptor of what is not there.
    """
    kinds = {name: kind for name in free if (kind := _kind(table, name)) is not None}
    if wanted:
        return _asked_for(table, wanted, kinds, smiles)
    cell = [n for n in kinds if CELL.fullmatch(plain(n)) or SPACEGROUP.fullmatch(plain(n))]
    others = tuple(name for name in kinds if name not in cell)
    if table.with_structures:
        return Plan((COMPOSITION, STRUCTURE), {}, others)
    if smiles and len(kinds) <= FEW_COLUMNS:
        return Plan((SMILES,), kinds)
    if formula and not smiles:
        numbers = [n for n in cell if kinds[n] == "numbers"]
        groups = [n for n in numbers if SPACEGROUP.fullmatch(plain(n))]
        twice = sorted(groups, key=lambda name: _in_symbols(table, name))[1:]
        return Plan((COMPOSITION,), {n: kinds[n] for n in numbers if n not in twice}, others)
    if kinds:
        return Plan((), kinds)
    raise DataError(
        f"{table.source}: no structure, no formula, no SMILES and no column of numbers to describe "
        "rows by; name columns by --formula, --smiles or --features"
    )


def _asked_for(
    table: Table, wanted: Sequence[str], kinds: dict[str, Kind], smiles: str | None
) -> Plan:
    descriptors: list[str] = []
    columns: dict[str, Kind] = {}
    plug_ins = {*plugins.available("descriptors"), SMILES}
    for name in wanted:
        whole = _kind(table, name, gaps=True) if name in table.columns else None
        matching = {n: kind for n, kind in kinds.items() if fnmatchcase(n, name)}
        if whole is not None:
            columns[name] = whole
        elif name in plug_ins or (not matching and plugins.is_file_plugin(name)):
            _check_sort(table, name, smiles)
            descriptors.append(name)
        elif matching:
            columns |= matching
        else:
            what = "holds no numbers or categories" if name in table.columns else "is no column"
            raise DataError(
                f"{table.source}: --features {name!r} {what}, and no descriptor is called so"
                f"{plugins.suggestion(name, {*kinds, *plug_ins})}"
            )
    return Plan(tuple(descriptors), columns)


def _check_sort(table: Table, name: str, smiles: str | None) -> None:
    """DataError for a descriptor that is built in and describes what no row has."""
    built_in = name in plugins.BUILT_IN["descriptors"]
    sorts = (Molecule,) if name == SMILES else sorts_taken(plugins.load("descriptors", name))
    if sorts == (Molecule,) and not smiles:
        what = "molecules, and there is no column of SMILES: name it by --smiles"
    elif sorts == (Formulation,):
        what = "formulations, which no file of known data holds"
    elif sorts == (Crystal,) and built_in and not table.with_structures:
        what = "structures, and there are none: give extxyz or CIF by another --data"
    else:
        return
    raise DataError(f"{table.source}: --features {name!r} describes {what}")


class Describer:
    """Describes rows one by one by the descriptors of a plan (not its columns)."""

    def __init__(self, plan: Plan) -> None:
        self._made = [
            (name, SmilesDescriptor() if name in {SMILES, MOLECULE} else _created(name))
            for name in plan.descriptors
        ]

    @property
    def names(self) -> list[str]:
        """Names of the numbers that `row` gives."""
        return [name for _, made in self._made for name in made.names]

    def row(self, row: Row, formula: str, smiles: str) -> Array:
        """The descriptors of one row (d); StructureError where it cannot be described."""
        if not self._made:
            return np.empty(0)
        candidate = as_candidate(row, formula)
        return np.concatenate(
            [self._described(name, made, candidate, smiles) for name, made in self._made]
        )

    def _described(self, name: str, made: Any, candidate: Candidate, smiles: str) -> Array:
        if isinstance(made, SmilesDescriptor):
            return made.row(smiles)
        if Molecule in sorts_taken(made) and smiles:
            # fingerprints need no geometry, which takes most of the time
            flat = name == MORGAN
            known: dict[str, Any] = {"smiles": smiles}
            of = Molecule.model_construct(**known) if flat else Molecule.from_smiles(smiles)
            candidate = candidate.model_copy(update={"structure": of})
        return np.asarray(made.describe([candidate])[0], dtype=np.float64)


def _created(name: str) -> Any:
    return plugins.create("descriptors", name)


class SmilesDescriptor:
    """The descriptor `molecule` of a SMILES; MissingDependencyError where RDKit is not installed."""

    def __init__(self) -> None:
        if importlib.util.find_spec("rdkit") is None:
            raise MissingDependencyError(
                "descriptors of SMILES need RDKit, which is not installed: pip install rdkit, or "
                "name columns of numbers by --features"
            )
        from surrogates.molecule_descriptors import MoleculeDescriptor

        self.names = MoleculeDescriptor().names

    def row(self, smiles: str) -> Array:
        """One row (d); StructureError if it does not parse or RDKit has no value."""
        from surrogates.molecule_descriptors import describe_smiles

        return describe_smiles(smiles)


def assemble(table: Table, plan: Plan, described: Array, names: Sequence[str]) -> Features:
    """What descriptors gave (n x d, with their `names`) and the plan's columns, side by side.

    What does not vary is left out, and a descriptor that is not finite or huge in some row, but from rows
    that are to be read as a whole (`crystal`); a huge column is brought to single digits. DataError if
    nothing varies.
    """
    described = np.where((np.abs(described) < HUGE).all(axis=0), described, 0.0)
    blocks, labels, codes = [described], list(names), [False] * len(names)
    for column, kind in plan.columns.items():
        block, of_column, are_codes = _column(table, column, kind)
        largest = np.abs(block).max()
        if largest >= HUGE:
            block = block / 10.0 ** np.floor(np.log10(largest))
        blocks.append(block)
        labels += of_column
        codes += [are_codes] * len(of_column)
    x = np.hstack(blocks)
    varying = x.std(axis=0) > 1e-12 * np.abs(x).max(axis=0).clip(min=1e-300)
    if not varying.any():
        raise DataError(f"{table.source}: no descriptor varies over the rows")
    whole = any(
        getattr(plugins.load("descriptors", n), "whole", False)
        for n in plan.descriptors
        if n != SMILES
    )
    kept = np.arange(x.shape[1]) if whole else np.flatnonzero(varying)
    return Features(
        x=x[:, kept],
        names=tuple(labels[i] for i in kept),
        categorical=tuple(place for place, i in enumerate(kept) if codes[i]),
        made_of=(*plan.descriptors, *plan.columns),
    )


def give_away(features: Features, y: Array) -> tuple[str, ...]:
    """Columns that rank the rows as the target does: the target by another name."""
    from scipy.stats import spearmanr

    if len(y) < 10:
        return ()
    return tuple(
        name
        for name, column in zip(features.names, features.x.T, strict=True)
        if abs(spearmanr(column, y).statistic) > SAME_ORDER
    )


def number(text: str) -> float:
    """A finite number from a cell, not a number where it holds none; booleans are 0 and 1."""
    if text.lower() in {"true", "false"}:
        return float(text.lower() == "true")
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def number_in(column: str, text: str) -> float:
    """The same of a cell of this column; a space group may be there by its symbol."""
    if SPACEGROUP.fullmatch(plain(column)) and not np.isfinite(number(text)):
        text = spacegroup_label(text)
    return number(text)


def _in_symbols(table: Table, column: str) -> bool:
    return not all(np.isfinite(number(row.cells[column])) for row in table.rows)


def missing_cells(plan: Plan, row: Row) -> list[str]:
    """Columns of the plan in which this row has nothing that can be used."""
    return [
        name
        for name, kind in plan.columns.items()
        if not row.cells[name]
        or (kind == "numbers" and not np.isfinite(number_in(name, row.cells[name])))
    ]


def _kind(table: Table, column: str, *, gaps: bool = False) -> Kind | None:
    """`numbers`, `categories`, or None for a column that describes nothing, as names or gaps do.

    With `gaps`, a column may have any number of them.
    """
    cells = [row.cells[column] for row in table.rows]
    filled = [cell for cell in cells if cell]
    if BOUND_MARKS.issuperset(filled):  # or nothing at all
        return None
    # a column of gaps would cost more rows than it is worth
    if not gaps and len(filled) < 0.9 * len(cells):
        return None
    if np.mean([np.isfinite(number(cell)) for cell in filled]) > 0.9:
        return "numbers"
    if all(np.isfinite(number_in(column, cell)) for cell in filled):
        return "numbers"
    distinct = len(set(filled))
    return "categories" if 1 < distinct <= min(MOST_CATEGORIES, len(cells) // 3) else None


def _column(table: Table, column: str, kind: Kind) -> tuple[Array, list[str], bool]:
    """Values of a column, one-hot where it holds categories; with its labels and whether they are codes.

    A space group gives, beside its number, what its point group is.
    """
    from surrogates.descriptors import point_group

    cells = [row.cells[column] for row in table.rows]
    if kind == "categories":
        words = sorted(set(cells))
        hot = np.array([[float(cell == word) for word in words] for cell in cells])
        return hot, [f"{column}={word}" for word in words], True
    values = np.array([number_in(column, cell) for cell in cells])
    if SPACEGROUP.fullmatch(plain(column)) and all(1 <= v <= 230 and v == int(v) for v in values):
        groups = np.array([point_group(int(v)) for v in values], dtype=float)
        labels = [column, "point_group_order", "inversion_centre"]
        return np.column_stack([values, groups]), labels, False
    return values[:, None], [column], bool(set(values) <= {0.0, 1.0})


def as_candidate(row: Row, formula: str) -> Candidate:
    """A row as descriptors want it; without a structure only the formula is there.

    Raises StructureError for a structure without symmetry.
    """
    from discover.structures.symmetry import spacegroup

    known: dict[str, Any] = {"id": row.place, "formula": formula}
    if row.crystal is not None:
        known |= {"structure": row.crystal, "spacegroup": spacegroup(row.crystal)}
    return Candidate.model_construct(**known)
