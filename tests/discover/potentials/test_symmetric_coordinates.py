"""Symmetric coordinates: how many there are, that they keep symmetry, and that gradients are right."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.errors import StructureError
from discover.potentials.base import Evaluation
from discover.potentials.symmetric_coordinates import SymmetricCoordinates
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup
from generators import GeneratorContext
from generators.prototypes import PrototypeGenerator

# Free parameters of the lattice and of the occupied Wyckoff positions (International Tables, vol. A).
FREE = {
    "rocksalt": (1, 0),
    "zincblende": (1, 0),
    "wurtzite": (2, 1),  # z of one 2b: the other fixes the origin
    "CsCl": (1, 0),
    "NiAs": (2, 0),
    "fluorite": (1, 0),
    "antifluorite": (1, 0),
    "perovskite": (1, 0),
    "double-perovskite": (1, 1),  # x of 24e
    "half-Heusler": (1, 0),
    "chalcopyrite": (2, 1),  # x of 8d
    "spinel": (1, 1),  # u of 32e
}


def prototype(name):
    context = GeneratorContext(seed=0, position=0, known=frozenset())
    return PrototypeGenerator(prototypes=(name,)).propose(1, context).candidates[0].crystal


def triclinic():
    """Copper and gold without any symmetry."""
    atoms = bulk("Cu", "fcc", a=3.7) * (2, 1, 1)
    atoms.symbols[0] = "Au"
    strain = np.array([[0.02, 0.03, 0.0], [0.03, -0.01, 0.04], [0.0, 0.04, 0.03]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms *= (1, 2, 1)
    atoms.rattle(0.1, seed=1)
    return Crystal.from_atoms(atoms)


def evaluated(coordinates, x, numbers):
    geometry = coordinates.geometry(x)
    atoms = Atoms(
        numbers, cell=geometry.cell_angstrom, positions=geometry.positions_angstrom, pbc=True
    )
    atoms.calc = EMT()
    return Evaluation(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress())


@pytest.mark.parametrize("name", FREE)
def test_as_many_as_free_parameters(name):
    coordinates = SymmetricCoordinates(prototype(name))
    assert (coordinates.n_strains, coordinates.n_displacements) == FREE[name]


def test_all_are_free_without_symmetry():
    coordinates = SymmetricCoordinates(triclinic())
    assert (coordinates.n_strains, coordinates.n_displacements) == (6, 3 * 4 - 3)


def test_translations_inside_the_cell_are_symmetry_too():
    supercell = Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.6) * (2, 2, 1))
    coordinates = SymmetricCoordinates(supercell)
    assert coordinates.n_displacements == 0


@pytest.mark.parametrize("name", ["wurtzite", "double-perovskite", "chalcopyrite", "spinel"])
def test_any_coordinates_keep_the_space_group(name):
    crystal = prototype(name)
    coordinates = SymmetricCoordinates(crystal)
    n = coordinates.n_strains + coordinates.n_displacements
    geometry = coordinates.geometry(np.random.default_rng(0).normal(0, 0.1, n))
    moved = Atoms(
        crystal.numbers,
        cell=geometry.cell_angstrom,
        positions=geometry.positions_angstrom,
        pbc=True,
    )
    assert spacegroup(Crystal.from_atoms(moved), symprec=1e-6) == spacegroup(crystal)


def test_the_start_is_the_crystal_itself():
    crystal = prototype("chalcopyrite")
    coordinates = SymmetricCoordinates(crystal)
    start = coordinates.geometry(np.zeros(coordinates.n_strains + coordinates.n_displacements))
    assert np.allclose(start.cell_angstrom, crystal.cell_angstrom, atol=1e-10)
    assert np.allclose(start.positions_angstrom, crystal.to_atoms().get_positions(), atol=1e-6)


def test_a_nearly_symmetric_crystal_is_made_symmetric():
    atoms = prototype("wurtzite").to_atoms()
    group = spacegroup(Crystal.from_atoms(atoms))
    atoms.set_cell(atoms.cell.array + 1e-3 * np.arange(9).reshape(3, 3) / 9, scale_atoms=True)
    atoms.rattle(1e-3, seed=0)
    rough = Crystal.from_atoms(atoms)
    assert spacegroup(rough, symprec=1e-5) == 1
    coordinates = SymmetricCoordinates(rough)
    start = coordinates.geometry(np.zeros(3))
    exact = atoms.copy()
    exact.set_cell(start.cell_angstrom)
    exact.set_positions(start.positions_angstrom)
    assert spacegroup(Crystal.from_atoms(exact), symprec=1e-7) == group
    assert np.abs(exact.positions - atoms.positions).max() < 5e-3


@pytest.mark.parametrize("spread", [0.0, 0.05])
def test_the_gradient_is_the_derivative_of_the_energy(spread):
    crystal = triclinic()
    coordinates = SymmetricCoordinates(crystal)
    x = np.random.default_rng(2).normal(0, spread, 15) if spread else np.zeros(15)
    gradient = coordinates.gradient(x, evaluated(coordinates, x, crystal.numbers))
    step = 1e-4 * np.eye(15)
    numerical = [
        (
            evaluated(coordinates, x + d, crystal.numbers).energy_ev
            - evaluated(coordinates, x - d, crystal.numbers).energy_ev
        )
        / 2e-4
        for d in step
    ]
    assert np.abs(gradient).max() > 0.1
    assert gradient == pytest.approx(np.array(numerical), abs=1e-4)


def test_the_largest_gradient_is_ase_s():
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter

    atoms = bulk("Cu", "hcp", a=2.5, c=4.4) * (2, 1, 1)
    atoms.symbols[0] = "Au"
    crystal = Crystal.from_atoms(atoms)
    coordinates = SymmetricCoordinates(crystal)
    x = np.zeros(coordinates.n_strains + coordinates.n_displacements)
    ours = coordinates.largest_gradient(x, evaluated(coordinates, x, crystal.numbers))
    atoms.calc = EMT()
    atoms.set_constraint(FixSymmetry(atoms))
    theirs = np.linalg.norm(FrechetCellFilter(atoms).get_forces(), axis=1).max()
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_steps_are_limited():
    coordinates = SymmetricCoordinates(triclinic())
    x = np.zeros(15)
    start = coordinates.geometry(x)
    moves = coordinates.limited(x, np.repeat([0.0, 9.0], [6, 9]), displacement=0.2, strain=0.06)
    longest = coordinates.geometry(moves).positions_angstrom - start.positions_angstrom
    assert np.linalg.norm(longest, axis=1).max() == pytest.approx(0.2)
    strains = coordinates.limited(x, 9.0 * np.eye(15)[0], displacement=0.2, strain=0.06)
    stretch = coordinates.geometry(strains).cell_angstrom / start.cell_angstrom
    assert np.allclose(stretch, (1 - 2 * 0.06) ** -0.5)
    small = coordinates.limited(x, np.full(15, 1e-3), displacement=0.2, strain=0.06)
    assert np.array_equal(small, np.full(15, 1e-3))


def test_the_cell_stays_finite_however_long_the_way():
    coordinates = SymmetricCoordinates(triclinic())
    x = np.zeros(15)
    for _ in range(100):
        x = x + coordinates.limited(x, np.eye(15)[0], displacement=0.2, strain=0.06)
    assert np.isfinite(coordinates.geometry(x).cell_angstrom).all()


def test_atoms_on_top_of_one_another():
    overlapping = Atoms("Cu2", positions=[(0, 0, 0), (0, 0, 1e-7)], cell=[3, 3, 3], pbc=True)
    with pytest.raises(StructureError, match="on top of one another"):
        SymmetricCoordinates(Crystal.from_atoms(overlapping))
