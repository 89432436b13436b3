"""Symmetry of crystals, by spglib."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from discover.errors import StructureError
from discover.structures.crystal import Crystal

SYMPREC_ANGSTROM = 0.01


def spacegroup(crystal: Crystal, symprec: float = SYMPREC_ANGSTROM) -> int:
    """International number of the space group within `symprec` (Å).

    Raises StructureError where spglib finds none, as for atoms on top of one another.
    """
    return int(_dataset(crystal, symprec).number)


def operations(
    crystal: Crystal, symprec: float = SYMPREC_ANGSTROM
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.float64]]:
    """Rotations W (m, 3, 3) and translations w (m, 3) of fractional coordinates, s' = W s + w.

    Those of the given cell, so that translations inside a cell that is not primitive are among them.
    Raises StructureError where spglib finds none.
    """
    dataset = _dataset(crystal, symprec)
    return np.asarray(dataset.rotations, dtype=int), np.asarray(dataset.translations)


def standardized(
    crystal: Crystal, *, primitive: bool, symprec: float = SYMPREC_ANGSTROM
) -> Crystal:
    """The standard primitive or conventional cell, idealized within `symprec` (Å).

    Raises StructureError where spglib finds none.
    """
    import spglib

    try:
        found = spglib.standardize_cell(_cell(crystal), to_primitive=primitive, symprec=symprec)
    except spglib.SpglibError:
        found = None
    if found is None:
        raise StructureError(
            f"no symmetry found within {symprec} Å; are atoms on top of one another?"
        )
    vectors, positions, numbers = found
    return Crystal(
        numbers=tuple(int(z) for z in numbers),
        cell_angstrom=vectors.tolist(),
        scaled_positions=positions.tolist(),
    )


def _dataset(crystal: Crystal, symprec: float) -> Any:
    import spglib

    try:
        dataset = spglib.get_symmetry_dataset(_cell(crystal), symprec=symprec)
    except spglib.SpglibError:  # raised instead of None, once anything in the process chose so
        dataset = None
    if dataset is None:
        raise StructureError(
            f"no space group found within {symprec} Å; are atoms on top of one another?"
        )
    return dataset


def _cell(crystal: Crystal) -> tuple[object, object, object]:
    return crystal.cell_angstrom, crystal.scaled_positions, crystal.numbers
