"""Compounds of a conductivity benchmark: structures, reference values, and reference modes."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.calculations.lattice.supercells import Matrix, as_matrix
from discover.errors import StructureError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

ID = "mp_id"
"""Key that names a compound in the structures and in the reference modes."""

_MODES, _TEMPERATURES = "mode_kappa_TOT_ave", "temperatures"
_MODE_COLUMNS = (ID, _TEMPERATURES, _MODES, "qpoints", "weights", "q_mesh")


@dataclass(frozen=True)
class ReferenceModes:
    """What each mode conducts in the reference, at one temperature.

    `modes` (Q, B) in W/m/K, averaged over directions, with the multiplicity `weights` (Q,) of the
    irreducible `qpoints` (Q, 3) in them; `mesh` is Γ-centred.
    """

    mesh: tuple[int, int, int]
    qpoints: NDArray[np.float64]
    weights: NDArray[np.int64]
    modes: NDArray[np.float64]

    @property
    def kappa_w_mk(self) -> float:
        """A third of the trace of the conductivity."""
        return float(self.modes.sum() / self.weights.sum())


@dataclass(frozen=True)
class Conditions:
    """Supercells and mesh that a structure's file asks for; None: to be chosen.

    The supercells are in multiples of the vectors of the cell in the file, as in the files of
    Póta et al., arXiv:2408.00755.
    """

    supercell: Matrix | None = None
    second_order_supercell: Matrix | None = None
    mesh: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Compound:
    """A crystal with what is known of its conductivity (W/m/K; None: nothing)."""

    id: str
    formula: str
    prototype: str
    spacegroup: int
    crystal: Crystal
    conditions: Conditions
    reference: float | None
    modes: ReferenceModes | None


def read_compounds(
    file: Path,
    *,
    reference: str | None = None,
    modes_file: Path | None = None,
    temperature_k: float = 300.0,
) -> list[Compound]:
    """The compounds of a file that ASE reads, with the reference values in its column `reference`.

    Without a column the values are those of `modes_file` (see `read_modes`). `info` may name
    `prototype`, `fc3_supercell`, `fc2_supercell` (three or nine numbers, or `2x2x2`) and `q_mesh`.
    Raises StructureError, naming file, structure and key.
    """
    from ase.io import read

    try:
        frames = read(file, ":")
    except Exception as error:  # ASE's readers raise anything
        raise StructureError(f"{file} cannot be read as structures: {error}") from error
    if not frames:
        raise StructureError(f"{file} holds no structure")
    modes = read_modes(modes_file, temperature_k) if modes_file else {}
    compounds = [
        _compound(frame, f"{file}, structure {number}", number, reference, modes, modes_file)
        for number, frame in enumerate(frames, start=1)
    ]
    seen: set[str] = set()
    for number, compound in enumerate(compounds, start=1):
        if compound.id in seen:
            raise StructureError(f"{file}, structure {number}: {ID} = {compound.id} is there twice")
        seen.add(compound.id)
    return compounds


def read_modes(file: Path, temperature_k: float) -> dict[str, ReferenceModes]:
    """Mode-resolved conductivities by compound, from the JSON (or .json.gz) that pandas writes.

    The columns are those of Póta et al.: `mp_id`, `temperatures`, `mode_kappa_TOT_ave` (T, Q, B),
    `qpoints`, `weights`, `q_mesh`. A compound without modes (null) is left out. Raises StructureError,
    naming file, compound and key.
    """
    try:
        content = file.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        table = json.loads(content)
    except (OSError, EOFError, ValueError) as error:
        raise StructureError(f"{file} cannot be read as reference modes: {error}") from error
    for column in _MODE_COLUMNS:
        if not isinstance(table, dict) or not isinstance(table.get(column), dict):
            there = f"; it has {', '.join(map(str, table))}" if isinstance(table, dict) else ""
            raise StructureError(
                f"{file}: there is no column {column!r}, which mode-resolved reference values "
                f"have (a table as pandas writes it to JSON){there}"
            )
    found = {}
    for index, name in table[ID].items():
        row = {column: table[column].get(index) for column in _MODE_COLUMNS}
        if row[_MODES] is not None:
            found[str(name)] = _modes(row, f"{file}, {name}", temperature_k)
    return found


def choose(compounds: Sequence[Compound], limit: int | None) -> list[Compound]:
    """`limit` of the compounds, as many of each prototype as of another, always the same ones.

    Of a prototype, those at even distances in the order of their reference values (without them, in
    the order of the file).
    """
    if limit is None or limit >= len(compounds):
        return list(compounds)
    groups: dict[str, list[int]] = {}
    for index in sorted(range(len(compounds)), key=lambda i: compounds[i].reference or 0.0):
        groups.setdefault(compounds[index].prototype, []).append(index)
    quotas = dict.fromkeys(groups, 0)
    while sum(quotas.values()) < limit:
        open_groups = [name for name in groups if quotas[name] < len(groups[name])]
        quotas[min(open_groups, key=lambda name: (quotas[name], name))] += 1
    chosen = [
        groups[name][int((place + 0.5) * len(groups[name]) / quota)]
        for name, quota in quotas.items()
        for place in range(quota)
    ]
    return [compounds[index] for index in sorted(chosen)]


def _compound(
    frame: Atoms,
    where: str,
    number: int,
    reference: str | None,
    modes: dict[str, ReferenceModes],
    modes_file: Path | None,
) -> Compound:
    if modes_file and ID not in frame.info:
        raise StructureError(
            f"{where}: there is no {ID!r} by which {modes_file} names it; "
            f"its keys are {_listed(frame.info)}"
        )
    try:
        crystal = Crystal.from_atoms(frame)
        group = spacegroup(crystal)
    except ValueError as error:
        raise StructureError(f"{where} is no crystal: {error}") from error
    name = str(frame.info.get(ID, f"{number}-{frame.get_chemical_formula()}"))
    known = modes.get(name)
    value = known.kappa_w_mk if known else None
    if reference is not None:
        value = _reference(frame.info, reference, where)
    return Compound(
        id=name,
        formula=str(frame.symbols.formula.reduce()[0].format("metal")),
        prototype=str(frame.info.get("prototype", f"space group {group}")),
        spacegroup=group,
        crystal=crystal,
        conditions=_conditions(frame.info, where),
        reference=value,
        modes=known,
    )


def _reference(info: dict[str, Any], key: str, where: str) -> float | None:
    """A positive number, or None for NaN, which says that it is not known."""
    if key not in info:
        raise StructureError(
            f"{where}: there is no reference value {key!r}; its keys are {_listed(info)}"
        )
    try:
        value = float(info[key])
    except (TypeError, ValueError):
        value = -math.inf
    if math.isnan(value):
        return None
    if not 0 < value < math.inf:
        raise StructureError(
            f"{where}: {key} = {info[key]!r} is no conductivity: a positive number in W/m/K"
        )
    return value


def _conditions(info: dict[str, Any], where: str) -> Conditions:
    mesh = _integers(info, "q_mesh", (3,), where)
    second, third = (
        _integers(info, key, (3, 9), where) for key in ("fc2_supercell", "fc3_supercell")
    )
    if second is not None and third is None:
        raise StructureError(f"{where}: it has an fc2_supercell and no fc3_supercell: give both")
    return Conditions(
        supercell=None if third is None else _matrix(third),
        second_order_supercell=None if second is None else _matrix(second),
        mesh=None if mesh is None else (mesh[0], mesh[1], mesh[2]),
    )


def _integers(
    info: dict[str, Any], key: str, sizes: tuple[int, ...], where: str
) -> list[int] | None:
    if key not in info:
        return None
    given = info[key]
    try:
        numbers = np.asarray(given.split("x") if isinstance(given, str) else given, dtype=float)
    except ValueError:
        numbers = np.empty(0)
    if numbers.size not in sizes or not np.array_equal(numbers, np.rint(numbers)):
        wanted = " or ".join(map(str, sizes))
        raise StructureError(f"{where}: {key} = {given!r} is not {wanted} whole numbers")
    return [int(n) for n in numbers.ravel()]


def _matrix(numbers: list[int]) -> Matrix:
    return as_matrix(numbers if len(numbers) == 3 else np.reshape(numbers, (3, 3)))


def _modes(row: dict[str, Any], where: str, temperature_k: float) -> ReferenceModes:
    try:
        temperatures = [float(t) for t in row[_TEMPERATURES]]
        modes = np.asarray(row[_MODES], dtype=float)
        qpoints = np.asarray(row["qpoints"], dtype=float)
        weights = np.asarray(row["weights"], dtype=np.int64)
        one, two, three = (int(n) for n in row["q_mesh"])
    except (TypeError, ValueError) as error:
        raise StructureError(f"{where}: its numbers cannot be read: {error}") from error
    expected = (len(temperatures), len(weights))
    if modes.ndim != 3 or modes.shape[:2] != expected or qpoints.shape != (len(weights), 3):
        raise StructureError(
            f"{where}: {_MODES} has the shape {modes.shape} and qpoints {qpoints.shape}, for "
            f"{expected[0]} temperatures and {expected[1]} weights"
        )
    if not (np.isfinite(modes).all() and modes.sum() > 0):
        raise StructureError(f"{where}: {_MODES} does not add up to a positive number")
    near = [i for i, t in enumerate(temperatures) if math.isclose(t, temperature_k, abs_tol=0.01)]
    if not near:
        raise StructureError(
            f"{where}: there are no modes at {temperature_k:g} K, but at "
            f"{', '.join(f'{t:g} K' for t in temperatures)}"
        )
    return ReferenceModes((one, two, three), qpoints, weights, modes[near[0]])


def _listed(info: dict[str, Any]) -> str:
    return ", ".join(map(str, info)) or "none"
