"""Crystals: to ASE, pymatgen and JSON and back, and malformed ones refused."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from hypothesis import given, settings
from pydantic import ValidationError

from discover.errors import StructureError
from discover.store.strategies import crystals
from discover.structures.crystal import Crystal

CELL = ((4.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 4.0))
ORIGIN = (0.0, 0.0, 0.0)
PEROVSKITE = Atoms(
    "SrTiO3",
    scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)],
    cell=[3.905] * 3,
    pbc=True,
)


@given(crystals())
@settings(deadline=None)
def test_json_and_back(crystal):
    assert Crystal.model_validate_json(crystal.model_dump_json()) == crystal


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("NaCl", "rocksalt", a=5.64),
        bulk("ZnO", "wurtzite", a=3.25, c=5.2),
        PEROVSKITE,
    ],
    ids=["rocksalt", "wurtzite", "perovskite"],
)
def test_ase_and_pymatgen(atoms):
    crystal = Crystal.from_atoms(atoms)
    assert crystal.volume_angstrom3 == pytest.approx(atoms.get_volume(), rel=1e-12)
    there = crystal.to_atoms()
    assert there.pbc.all()
    assert there.get_chemical_symbols() == atoms.get_chemical_symbols()
    np.testing.assert_allclose(there.cell.array, atoms.cell.array, atol=1e-12)
    distances = [a.get_all_distances(mic=True) for a in (there, atoms)]
    np.testing.assert_allclose(*distances, atol=1e-9)

    structure = crystal.to_pymatgen()
    assert [site.specie.symbol for site in structure] == atoms.get_chemical_symbols()
    np.testing.assert_allclose(structure.lattice.matrix, crystal.cell_angstrom, atol=1e-12)
    np.testing.assert_allclose(structure.frac_coords, crystal.scaled_positions, atol=1e-12)


def test_symmetry_survives():
    """SrTiO3 above 105 K is cubic, space group 221 (Pm-3m)."""
    assert Crystal.from_atoms(PEROVSKITE).to_pymatgen().get_space_group_info() == ("Pm-3m", 221)


def test_a_left_handed_cell_has_a_positive_volume():
    left_handed = (CELL[1], CELL[0], CELL[2])
    assert Crystal(
        numbers=(11,), cell_angstrom=left_handed, scaled_positions=(ORIGIN,)
    ).volume_angstrom3 == pytest.approx(64.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": ()}, "numbers"),
        ({"numbers": (0,)}, "numbers"),
        ({"numbers": (119,)}, "numbers"),
        ({"numbers": (11, 17)}, "2 atomic numbers but 1 positions"),
        ({"cell_angstrom": (CELL[0], CELL[0], CELL[2])}, "no volume"),
        ({"cell_angstrom": ((np.inf, 0.0, 0.0), *CELL[1:])}, "finite"),
        ({"scaled_positions": ((np.nan, 0.0, 0.0),)}, "finite"),
        ({"scaled_positions": ((0.0, 0.0),)}, "scaled_positions"),
        ({"charge": 1}, "charge"),
    ],
)
def test_malformed_crystals_are_refused(change, message):
    good = {"numbers": (11,), "cell_angstrom": CELL, "scaled_positions": (ORIGIN,)}
    Crystal.model_validate(good)
    with pytest.raises(ValidationError, match=message):
        Crystal.model_validate(good | change)


def test_a_molecule_is_no_crystal():
    with pytest.raises(StructureError, match="no cell with a volume"):
        Crystal.from_atoms(molecule("H2O"))
