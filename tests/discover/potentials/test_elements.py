"""Elemental structures: every element has one or a reason, and none is absurd."""

import numpy as np
import pytest
from ase.data import chemical_symbols, covalent_radii

from discover.errors import PotentialError
from discover.potentials.elements import elemental_crystal
from discover.structures.symmetry import spacegroup

NOBLE = {"He", "Ne", "Ar", "Kr", "Xe"}
NONE = {"Po", "At", "Rn", "Fr", "Ra", "Np", "Pu", "Am"}


@pytest.mark.parametrize("symbol", [s for s in chemical_symbols[1:93] if s not in NONE])
def test_neighbours_are_at_bonding_distance(symbol):
    atoms = elemental_crystal(symbol).to_atoms() * (2, 2, 2)
    assert set(atoms.symbols) == {symbol}
    assert len(atoms) // 8 <= 12
    distances = atoms.get_all_distances(mic=True)
    shortest = distances[~np.eye(len(atoms), dtype=bool)].min()
    ratio = shortest / (2 * covalent_radii[atoms.numbers[0]])
    assert ratio > 0.65
    assert ratio < 1.3 or symbol in NOBLE


@pytest.mark.parametrize("symbol", sorted(NONE))
def test_those_without_one_say_so(symbol):
    with pytest.raises(PotentialError, match=f"no reference structure of elemental {symbol}"):
        elemental_crystal(symbol)


# Space groups of the phases: Donohue, The Structures of the Elements (1974).
@pytest.mark.parametrize(
    ("symbol", "group"),
    [("N", 205), ("O", 12), ("I", 64), ("Se", 152), ("P", 64), ("C", 194), ("B", 166), ("Ga", 64)],
)
def test_space_groups(symbol, group):
    assert spacegroup(elemental_crystal(symbol)) == group
