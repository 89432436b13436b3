from __future__ import annotations

import itertools

import numpy as np
import pytest
from ase.build import molecule as ase_molecule

from discover.calculations.molecules.conformers import bonds, conformers, with_lithium
from discover.structures.molecule import Molecule

pytest.importorskip("rdkit")


def test_conformers_of_a_chain_differ_and_start_with_the_given_one() -> None:
    glyme = Molecule.from_smiles("COCCOC")
    found = conformers(glyme, 4, seed=0)
    assert len(found) == 4
    assert found[0].positions.tolist() == [list(row) for row in glyme.positions_angstrom]
    for one, other in itertools.combinations(found, 2):
        assert np.abs(one.get_all_distances() - other.get_all_distances()).max() > 0.25
    assert [a.positions.tolist() for a in conformers(glyme, 4, seed=0)] == [
        a.positions.tolist() for a in found
    ]


def test_a_rigid_molecule_has_one_conformer() -> None:
    assert len(conformers(Molecule.from_smiles("CC#N"), 5, seed=0)) == 1


def test_lithium_stands_before_each_donor() -> None:
    water = Molecule.from_smiles("O").to_atoms()
    (complexed,) = with_lithium(water)
    assert complexed.symbols[-1] == "Li"
    assert complexed.info == {"charge": 1, "spin": 1}
    assert complexed.get_distance(0, 3) == pytest.approx(1.9)
    assert complexed.get_angle(1, 0, 3) > 100
    assert len(with_lithium(Molecule.from_smiles("O=C1OCCO1").to_atoms())) == 3
    assert len(with_lithium(Molecule.from_smiles("CC").to_atoms())) == 2


def test_bonds_and_what_breaks_them() -> None:
    water = ase_molecule("H2O")
    assert bonds(water) == {(0, 1), (0, 2)}
    water.positions[2] *= 3
    assert bonds(water) == {(0, 1)}
