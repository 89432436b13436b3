"""Potentials side by side on crystals of known geometry, apart for formulas that one never saw."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from discover.campaign import RelaxationSettings
from discover.errors import PotentialError, StructureError
from discover.potentials.base import Potential
from discover.potentials.batches import evaluator
from discover.potentials.relaxation import relax_many
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula

if TYPE_CHECKING:
    from ase import Atoms

_SETTINGS = RelaxationSettings(fmax_ev_per_angstrom=0.01, max_steps=200, max_volume_change=0.5)
_TIMED_ATOMS = 54
"""Cells are repeated to about as many atoms: what forces of a displaced supercell take."""
_TIMED_CALLS = 3
_DISPLACED_ATOMS = 16


@dataclass(frozen=True)
class Comparison:
    """One potential on one group of crystals.

    Errors of relaxed cells against the given ones, in %, over `crystals` less `failures`: lattice
    constants are the lengths of the cell vectors; `bias` keeps the sign. `energy_mae_ev_per_atom` is
    that of the given, unrelaxed crystals against the teacher, each set of energies less its own best
    fit of one energy an element; `forces_mae_ev_per_angstrom` is that in supercells of at least 16 atoms
    that are all displaced by 0.03 Å. Both are None without a teacher.
    """

    potential: str
    group: str
    crystals: int
    failures: tuple[str, ...]
    lattice_mae_percent: float | None
    lattice_bias_percent: float | None
    volume_mae_percent: float | None
    energy_mae_ev_per_atom: float | None
    forces_mae_ev_per_angstrom: float | None
    milliseconds_per_call: float


def compare(
    potentials: Sequence[Potential],
    structures: Sequence[Atoms],
    held_out: frozenset[str],
    teacher: Potential | None = None,
) -> list[Comparison]:
    """Each potential on the crystals with a formula in `held_out`, and on the others.

    The cells of `structures` (reduced to primitive ones) are the truth that lattice constants are
    compared with. Timed is a call of the calculator on a supercell of about 54 atoms. PotentialError
    where a potential or the teacher lacks an element of `structures`, StructureError where there is
    none.
    """
    if not structures:
        raise StructureError("no structure to compare on")
    given = [_primitive(atoms) for atoms in structures]
    crystals = [Crystal.from_atoms(atoms) for atoms in given]
    symbols = {symbol for atoms in given for symbol in atoms.get_chemical_symbols()}
    for potential in (*potentials, *([teacher] if teacher else [])):
        if missing := sorted(symbols - potential.elements()):
            raise PotentialError(f"{potential.name} does not know {', '.join(missing)}")
    groups = _groups([reduced_formula(crystal) for crystal in crystals], held_out)
    displaced = [_displaced(atoms, seed) for seed, atoms in enumerate(given)]
    taught = _answers(teacher, given, displaced) if teacher else None
    rows = []
    for potential in potentials:
        lengths, failures = _relaxed_lengths(potential, crystals)
        own = _answers(potential, given, displaced) if taught else None
        milliseconds = _milliseconds(potential, given[0])
        for name, members in groups.items():
            changes = [lengths[i] for i in members if i in lengths]
            rows.append(
                Comparison(
                    potential=potential.name,
                    group=name,
                    crystals=len(members),
                    failures=tuple(failures[i] for i in members if i in failures),
                    **_cell_errors(changes),
                    energy_mae_ev_per_atom=_energy_mae(own, taught, given, members),
                    forces_mae_ev_per_angstrom=_forces_mae(own, taught, members),
                    milliseconds_per_call=milliseconds,
                )
            )
    return rows


def read_structures(file: Path) -> list[Atoms]:
    """All crystals of a file that ASE can read; StructureError where it cannot, or it holds none."""
    from ase.io import read

    try:
        atoms = list(read(file, index=":"))
    except Exception as error:  # ASE's readers raise anything
        raise StructureError(f"{file} cannot be read as structures: {error}") from error
    if not atoms:
        raise StructureError(f"{file} holds no structure")
    return atoms


def _groups(formulas: Sequence[str], held_out: frozenset[str]) -> dict[str, list[int]]:
    groups = {
        "trained on": [i for i, formula in enumerate(formulas) if formula not in held_out],
        "kept out": [i for i, formula in enumerate(formulas) if formula in held_out],
    }
    return {name: members for name, members in groups.items() if members}


def _primitive(atoms: Atoms) -> Atoms:
    import spglib
    from ase import Atoms

    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True)
    if found is None:
        raise StructureError(f"spglib finds no primitive cell of {atoms.symbols}")
    lattice, positions, numbers = found
    return Atoms(cell=lattice, scaled_positions=positions, numbers=numbers, pbc=True)


def _displaced(atoms: Atoms, seed: int) -> Atoms:
    random = np.random.default_rng(seed)
    moved = atoms.repeat(math.ceil((_DISPLACED_ATOMS / len(atoms)) ** (1 / 3)))
    directions = random.normal(size=moved.positions.shape)
    moved.positions += 0.03 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return moved


@dataclass(frozen=True)
class _Answers:
    """Energies in eV/atom with the matrix of element fractions, and forces of displaced crystals."""

    energies: NDArray[np.float64]
    forces: list[NDArray[np.float64]]


def _answers(
    potential: Potential, structures: Sequence[Atoms], displaced: Sequence[Atoms]
) -> _Answers:
    energies, forces = [], []
    evaluations = evaluator(potential)([*structures, *displaced])
    for atoms, answer in zip([*structures, *displaced], evaluations, strict=True):
        if isinstance(answer, str):
            raise PotentialError(f"{potential.name} on {atoms.symbols}: {answer}")
        energies.append(answer.energy_ev / len(atoms))
        forces.append(answer.forces_ev_per_angstrom)
    return _Answers(np.array(energies[: len(structures)]), forces[len(structures) :])


def _relaxed_lengths(
    potential: Potential, crystals: Sequence[Crystal]
) -> tuple[dict[int, NDArray[np.float64]], dict[int, str]]:
    """Relative changes of the three cell lengths and the volume, and what failed, by index."""
    changes: dict[int, NDArray[np.float64]] = {}
    failures: dict[int, str] = {}
    for index, relaxed in enumerate(relax_many(crystals, potential, _SETTINGS)):
        crystal = crystals[index]
        if relaxed.problem is not None:
            failures[index] = f"{reduced_formula(crystal)}: {relaxed.problem}"
            continue
        given, found = (
            np.array([*np.linalg.norm(np.asarray(c.cell_angstrom), axis=1), c.volume_angstrom3])
            for c in (crystal, relaxed.crystal)
        )
        changes[index] = found / given - 1
    return changes, failures


def _cell_errors(changes: Sequence[NDArray[np.float64]]) -> dict[str, float | None]:
    if not changes:
        return dict.fromkeys(("lattice_mae_percent", "lattice_bias_percent", "volume_mae_percent"))
    table = 100 * np.array(changes)
    return {
        "lattice_mae_percent": float(np.abs(table[:, :3]).mean()),
        "lattice_bias_percent": float(table[:, :3].mean()),
        "volume_mae_percent": float(np.abs(table[:, 3]).mean()),
    }


def _energy_mae(
    own: _Answers | None,
    taught: _Answers | None,
    structures: Sequence[Atoms],
    members: Sequence[int],
) -> float | None:
    if own is None or taught is None:
        return None
    numbers = sorted({int(z) for atoms in structures for z in atoms.numbers})
    fractions = np.array([[np.mean(a.numbers == z) for z in numbers] for a in structures])
    difference = own.energies - taught.energies
    shift = np.linalg.lstsq(fractions, difference, rcond=None)[0]
    return float(np.abs(difference - fractions @ shift)[list(members)].mean())


def _forces_mae(
    own: _Answers | None, taught: _Answers | None, members: Sequence[int]
) -> float | None:
    if own is None or taught is None:
        return None
    return float(np.mean([np.abs(own.forces[i] - taught.forces[i]).mean() for i in members]))


def _milliseconds(potential: Potential, atoms: Atoms) -> float:
    repeats = max(1, round((_TIMED_ATOMS / len(atoms)) ** (1 / 3)))
    supercell = atoms.repeat(repeats)
    supercell.calc = potential.calculator()
    supercell.get_forces()
    started = time.perf_counter()
    for call in range(_TIMED_CALLS):
        supercell.rattle(0.001, seed=call)
        supercell.get_forces()
    return 1000 * (time.perf_counter() - started) / _TIMED_CALLS
