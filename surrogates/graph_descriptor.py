"""Descriptor `crystal`: a crystal as a row of numbers, and the graph that is made of such a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import numpy as np
import numpy.typing as npt
from ase.data import chemical_symbols
from pydantic import Field, ValidationError

from discover.errors import StructureError, SurrogateError
from discover.records import Candidate
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized
from surrogates.elemental import elemental_properties
from surrogates.structure_descriptors import REACH, environments

Array = npt.NDArray[np.float64]

_CELL = 9
_PER_ATOM = 4

RADII = np.linspace(0.7, 2.2, 12)
"""Where the radial basis functions of an edge sit, in units of the cube root of the volume per atom."""


class CrystalDescriptor:
    """The primitive cell itself: its vectors in Å, then atomic numbers, then fractional positions.

    For surrogates that see structures, such as `graph-ensemble`; it says little to the others. Rows are
    filled up with zeros to `max_atoms` atoms, so that a row needs no table of structures beside it.
    """

    whole = True
    """A row is read as one thing: columns that do not vary must not be left out."""

    def __init__(self, max_atoms: Annotated[int, Field(ge=1)] = 32) -> None:
        self._max_atoms = max_atoms

    @property
    def names(self) -> tuple[str, ...]:
        """`cell_ax_angstrom` ... `number_0` ... `position_0_x` ...: 9 + 4 max_atoms columns."""
        atoms = range(self._max_atoms)
        return (
            *(f"cell_{vector}{axis}_angstrom" for vector in "abc" for axis in "xyz"),
            *(f"number_{i}" for i in atoms),
            *(f"position_{i}_{axis}" for i in atoms for axis in "xyz"),
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x d).

        StructureError for a primitive cell of more than `max_atoms` atoms, or without symmetry.
        """
        return np.array([self._row(candidate) for candidate in candidates])

    def _row(self, candidate: Candidate) -> Array:
        try:
            crystal = standardized(candidate.crystal, primitive=True)
        except StructureError as error:
            raise StructureError(f"candidate {candidate.id}: {error}") from error
        atoms = len(crystal.numbers)
        if atoms > self._max_atoms:
            raise StructureError(
                f"candidate {candidate.id}: its primitive cell has {atoms} atoms, and the descriptor"
                f" 'crystal' takes {self._max_atoms}"
            )
        row = np.zeros(_CELL + _PER_ATOM * self._max_atoms)
        row[:_CELL] = np.ravel(crystal.cell_angstrom)
        row[_CELL : _CELL + atoms] = crystal.numbers
        start = _CELL + self._max_atoms
        row[start : start + 3 * atoms] = np.ravel(crystal.scaled_positions)
        return row


def crystal_of(row: Array) -> Crystal:
    """The crystal of a row of `CrystalDescriptor`; SurrogateError where it is none."""
    places, rest = divmod(len(row) - _CELL, _PER_ATOM)
    numbers = row[_CELL : _CELL + places].round().astype(int)
    atoms = int((numbers > 0).sum())
    start = _CELL + places
    known = (numbers[:atoms] > 0) & (numbers[:atoms] < len(chemical_symbols))
    if rest or places < 1 or not atoms or not known.all():
        raise SurrogateError(
            "a row is no crystal: this surrogate takes the columns of the descriptor 'crystal' and no"
            " others (descriptors: [crystal] in a campaign, --features crystal in a benchmark)"
        )
    try:
        return Crystal(
            numbers=tuple(numbers[:atoms].tolist()),
            cell_angstrom=row[:_CELL].reshape(3, 3).tolist(),
            scaled_positions=row[start : start + 3 * atoms].reshape(atoms, 3).tolist(),
        )
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise SurrogateError(f"a row is no crystal: {problem}") from error


@dataclass(frozen=True)
class Graph:
    """A crystal of n atoms: `nodes` (n x 13), standardized, and `edges` (n x n x 12).

    Nodes are the elemental properties and the logarithm of the length that distances are measured in;
    edges are the sums of the radial basis functions over all images of the second atom.
    """

    nodes: Array
    edges: Array


NODE_FEATURES, EDGE_FEATURES = 13, len(RADII)


def graph_of(crystal: Crystal) -> Graph:
    """The graph of a crystal; SurrogateError where two atoms are on one site.

    Distances are in units of the cube root of the volume per atom; an edge fades smoothly to nothing at
    REACH. Sums over images do not depend on the choice of cell.
    """
    try:
        around = environments(crystal, "of a row")
    except StructureError as error:
        raise SurrogateError(f"a row is no crystal: {error}") from error
    scaled = around.distances / around.unit
    width = RADII[1] - RADII[0]
    basis = np.exp(-0.5 * ((scaled[:, None] - RADII) / width) ** 2)
    basis *= 0.5 * (1 + np.cos(np.pi * scaled / REACH))[:, None]
    atoms = len(crystal.numbers)
    edges = np.zeros((atoms, atoms, EDGE_FEATURES))
    np.add.at(edges, (around.first, around.second), basis)
    lengths = np.full((atoms, 1), np.log(around.unit / 2.7) / 0.15)  # 2.2 to 3.3 Å in most crystals
    nodes = np.hstack([_standardized_elements()[list(crystal.numbers)], lengths])
    return Graph(nodes, edges)


@lru_cache(maxsize=1)
def _standardized_elements() -> Array:
    """Elemental properties as standard scores over the elements up to uranium."""
    table = elemental_properties()
    common = table[1:93]
    scores: Array = (table - common.mean(axis=0)) / common.std(axis=0)
    return scores
