"""Supercells by length and number of atoms, meshes by density."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.lattice.supercells import (
    as_matrix,
    atoms_in,
    choose_mesh,
    choose_supercell,
    image_distance,
)
from discover.errors import CalculationError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized


def primitive(atoms):
    return standardized(Crystal.from_atoms(atoms), primitive=True).to_atoms()


def bismuth_telluride():
    """A long, flat rhombohedral cell, whose primitive multiples are poor supercells."""
    a, c, u, v = 4.39, 30.5, 0.4, 0.21
    conventional = Atoms(
        "Bi2Te3" * 3,
        cell=[[a, 0, 0], [-a / 2, a * 3**0.5 / 2, 0], [0, 0, c]],
        scaled_positions=[
            np.add(shift, (0, 0, z)) % 1
            for shift in ([0, 0, 0], [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3])
            for z in (u, -u, v, -v, 0)
        ],
        pbc=True,
    )
    return primitive(conventional)


CRYSTALS = {
    "rocksalt": primitive(bulk("NaCl", "rocksalt", a=5.64)),
    "diamond": primitive(bulk("C", "diamond", a=3.57)),
    "wurtzite": primitive(bulk("GaN", "wurtzite", a=3.19, c=5.19)),
    "CsCl": primitive(bulk("CsCl", "cesiumchloride", a=4.12)),
    "fcc": primitive(bulk("Al", "fcc", a=4.05)),
    "bct": primitive(bulk("Sn", "bct", a=3.2, c=5.9)),
    "rhombohedral": bismuth_telluride(),
}


def choose(cell, *, min_length_angstrom=7.5, min_atoms=48, max_atoms=1000):
    return choose_supercell(
        cell,
        min_length_angstrom=min_length_angstrom,
        min_atoms=min_atoms,
        max_atoms=max_atoms,
    )


@pytest.mark.parametrize(
    ("name", "multiples"),
    [("rocksalt", (3, 3, 3)), ("diamond", (3, 3, 3)), ("wurtzite", (3, 3, 2)), ("CsCl", (3, 3, 3))],
)
def test_small_prototypes_get_the_supercells_that_are_known_to_be_honest(name, multiples):
    """54 atoms of two (72 of wurtzite's four), as the phonondb reference or better."""
    assert choose(CRYSTALS[name]) == as_matrix(multiples)


def test_a_conventional_cell_is_taken_where_it_is_the_rounder_one():
    cell = CRYSTALS["rhombohedral"]
    assert len(cell) == 5
    matrix = choose(cell)
    assert atoms_in(cell, matrix) == 60
    assert image_distance(cell, matrix) == pytest.approx(2 * 4.39, abs=1e-3)


@given(
    name=st.sampled_from(sorted(CRYSTALS)),
    length=st.floats(3.0, 12.0),
    atoms=st.integers(1, 120),
)
def test_length_and_atoms_are_had_and_symmetry_is_kept(name, length, atoms):
    cell = CRYSTALS[name]
    matrix = choose(cell, min_length_angstrom=length, min_atoms=atoms, max_atoms=100000)
    assert image_distance(cell, matrix) >= length - 1e-3
    assert atoms_in(cell, matrix) >= atoms
    assert invariant(cell, matrix)


def invariant(cell, matrix):
    """Whether every rotation of the crystal maps the supercell's lattice onto itself."""
    import spglib

    found = spglib.get_symmetry((cell.cell.array, cell.get_scaled_positions(), cell.numbers))
    vectors = np.asarray(matrix)
    for rotation in found["rotations"]:
        images = vectors @ np.asarray(rotation).T @ np.linalg.inv(vectors)
        if not np.allclose(images, np.rint(images), atol=1e-6):
            return False
    return True


def test_what_takes_too_many_atoms_is_refused():
    with pytest.raises(CalculationError, match="54 atoms, more than max_atoms = 50"):
        choose(CRYSTALS["rocksalt"], max_atoms=50)


@given(name=st.sampled_from(sorted(CRYSTALS)), length=st.floats(1.0, 100.0))
def test_meshes_hold_the_length_along_every_axis(name, length):
    cell = CRYSTALS[name]
    mesh = np.array(choose_mesh(cell, length))
    reciprocal = cell.cell.reciprocal().lengths()
    assert (mesh >= length * reciprocal - 1e-5).all()
    assert (mesh < length * reciprocal + 1).all()


def test_a_mesh_of_a_cubic_crystal_is_even():
    assert choose_mesh(CRYSTALS["rocksalt"], 40.0) == (13, 13, 13)
