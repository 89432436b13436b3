"""Structures for the viewer, and as files."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from discover.errors import NotServedError
from discover.page.viewer import shape, structure_text
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

MADE = Provenance(generator="test", operation="none")


def candidate(structure: Crystal | Molecule | Formulation) -> Candidate:
    return Candidate.of(structure, MADE)


@pytest.fixture(scope="module")
def salt() -> Candidate:
    return candidate(Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.6)))


@pytest.fixture(scope="module")
def ethanol() -> Candidate:
    pytest.importorskip("rdkit")
    return candidate(Molecule.from_smiles("CCO"))


def test_a_crystal_is_its_conventional_cell_with_its_faces_completed(salt: Candidate) -> None:
    told = shape(salt)
    assert len(told.atoms) == 27
    assert {atom.symbol for atom in told.atoms} == {"Na", "Cl"}
    assert np.linalg.norm(told.cell, axis=1) == pytest.approx([5.6] * 3)
    middle = max(told.atoms, key=lambda atom: len(atom.bonds))
    assert len(middle.bonds) == 6
    assert {told.atoms[i].symbol for i in middle.bonds} == {"Na", "Cl"} - {middle.symbol}
    assert all(i in told.atoms[j].bonds for i, atom in enumerate(told.atoms) for j in atom.bonds)


def test_more_cells(salt: Candidate) -> None:
    told = shape(salt, (2, 2, 2))
    assert len(told.atoms) == 5**3
    assert told.repeats == (2, 2, 2)
    assert max(atom.x for atom in told.atoms) == pytest.approx(11.2)
    with pytest.raises(NotServedError, match="too many"):
        shape(salt, (9, 9, 9))


def test_one_atom_far_from_its_images_has_no_bonds() -> None:
    lonely = candidate(Crystal.from_atoms(bulk("Ar", "sc", a=9.0)))
    assert all(atom.bonds == () for atom in shape(lonely).atoms)


def test_a_molecule_has_the_bonds_of_its_smiles(ethanol: Candidate) -> None:
    told = shape(ethanol)
    assert [atom.symbol for atom in told.atoms][:3] == ["C", "C", "O"]
    assert [len(atom.bonds) for atom in told.atoms] == [4, 4, 2, *[1] * 6]
    assert told.cell == ()


def test_a_formulation_is_set_out_side_by_side(ethanol: Candidate) -> None:
    water = Molecule.from_smiles("O")
    mixed = candidate(
        Formulation(
            components=tuple(
                Component(role=Role.SOLVENT, molecule=molecule, mole_fraction=0.5)
                for molecule in (water, ethanol.molecule)
            )
        )
    )
    told = shape(mixed)
    assert [atom.symbol for atom in told.atoms][:4] == ["O", "H", "H", "C"]
    assert told.atoms[3].bonds[0] >= 3
    assert min(atom.x for atom in told.atoms[3:]) - max(atom.x for atom in told.atoms[:3]) > 2.5
    with pytest.raises(NotServedError, match="formulation"):
        structure_text(mixed, "xyz")


def test_files_that_others_can_read(salt: Candidate, ethanol: Candidate) -> None:
    cif = read(io.StringIO(structure_text(salt, "cif")), format="cif")
    assert cif.get_chemical_formula() == "Cl4Na4"
    xyz = read(io.StringIO(structure_text(salt, "xyz")), format="extxyz")
    assert xyz.get_volume() == pytest.approx(5.6**3)
    assert len(read(io.StringIO(structure_text(ethanol, "xyz")), format="extxyz")) == 9
    with pytest.raises(NotServedError, match="no cell"):
        structure_text(ethanol, "cif")
