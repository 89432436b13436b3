"""Structures and what a model says of them, as arrays: of a whole batch at once.

A batch of N structures with M atoms in all is five arrays: numbers of atoms (N,), atomic numbers (M,),
positions in Å (M, 3), cells in Å (N, 3, 3), and periodic directions (N, 3). Its answer is three arrays:
energies in eV (N,), forces in eV/Å (M, 3) and stresses in eV/Å³ (N, 6), as ASE orders and signs them,
and a list with what is wrong with each structure, or None; numbers of such a structure say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .framing import FramingError

if TYPE_CHECKING:
    from ase import Atoms


class Answer(NamedTuple):
    """What a model says of one structure of n atoms: energy, forces (n, 3) and stress (6,)."""

    energy_ev: float
    forces_ev_per_angstrom: np.ndarray
    stress_ev_per_angstrom3: np.ndarray


def pack(structures: Sequence[Atoms]) -> list[np.ndarray]:
    """The arrays of a batch."""
    return [
        np.array([len(atoms) for atoms in structures], dtype=np.int64),
        np.concatenate([np.zeros(0, np.int64), *(a.numbers for a in structures)]),
        np.concatenate([np.zeros((0, 3)), *(a.positions for a in structures)]),
        np.array([a.cell.array for a in structures], dtype=np.float64).reshape(-1, 3, 3),
        np.array([a.pbc for a in structures], dtype=np.bool_).reshape(-1, 3),
    ]


def unpack(arrays: Sequence[np.ndarray]) -> list[Atoms]:
    """The structures of a batch; FramingError where the arrays are none."""
    from ase import Atoms

    counts = _counts(arrays, 5)
    n, m = len(counts), int(counts.sum())
    _check_shapes(arrays, ((n,), (m,), (m, 3), (n, 3, 3), (n, 3)))
    _, numbers, positions, cells, pbc = arrays
    parts = zip(_split(numbers, counts), _split(positions, counts), cells, pbc, strict=True)
    return [Atoms(numbers=z, positions=x, cell=cell, pbc=p) for z, x, cell, p in parts]


def pack_answers(
    answers: Sequence[Answer | str], structures: Sequence[Atoms]
) -> tuple[list[str | None], list[np.ndarray]]:
    """What is wrong with each structure, and the arrays of the answer."""
    energies, forces, stresses = [], [np.zeros((0, 3))], []
    problems: list[str | None] = []
    for answer, atoms in zip(answers, structures, strict=True):
        if isinstance(answer, str):
            problems.append(answer)
            answer = Answer(np.nan, np.full((len(atoms), 3), np.nan), np.full(6, np.nan))
        else:
            problems.append(None)
        energies.append(answer.energy_ev)
        forces.append(answer.forces_ev_per_angstrom)
        stresses.append(answer.stress_ev_per_angstrom3)
    return problems, [
        np.array(energies, dtype=np.float64),
        np.concatenate(forces),
        np.array(stresses, dtype=np.float64).reshape(-1, 6),
    ]


def unpack_answers(
    problems: Any, arrays: Sequence[np.ndarray], counts: Sequence[int]
) -> list[Answer | str]:
    """Answers about structures with these numbers of atoms; FramingError where they are none."""
    n, m = len(counts), sum(counts)
    if len(arrays) != 3:
        raise FramingError(f"an answer has 3 arrays, not {len(arrays)}")
    _check_shapes(arrays, ((n,), (m, 3), (n, 6)))
    if not isinstance(problems, list) or len(problems) != n:
        raise FramingError(f"an answer about {n} structures must have as many problems")
    energies, forces, stresses = arrays
    parts = zip(problems, energies, _split(forces, counts), stresses, strict=True)
    return [
        Answer(float(energy), force, stress) if problem is None else str(problem)
        for problem, energy, force, stress in parts
    ]


def _counts(arrays: Sequence[np.ndarray], expected: int) -> np.ndarray:
    if len(arrays) != expected:
        raise FramingError(f"a batch has {expected} arrays, not {len(arrays)}")
    counts = arrays[0]
    if counts.ndim != 1 or counts.dtype.kind != "i" or (counts < 0).any():
        raise FramingError("the numbers of atoms of a batch must be a row of whole numbers")
    return counts


def _check_shapes(arrays: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> None:
    found = [array.shape for array in arrays]
    if found != list(shapes):
        raise FramingError(f"arrays of shapes {found}, where {list(shapes)} are expected")


def _split(array: np.ndarray, counts: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Rows of the atoms of each structure."""
    ends = np.cumsum(np.asarray(counts, dtype=np.int64))
    return [array[end - count : end] for end, count in zip(ends, counts, strict=True)]
