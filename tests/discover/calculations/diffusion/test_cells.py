from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from discover.calculations.diffusion.cells import counts, density, packed, supercell
from discover.errors import CalculationError
from discover.structures.crystal import Crystal
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

pytest.importorskip("rdkit")


@pytest.fixture(scope="module")
def electrolyte() -> Formulation:
    parts = [("[Li+]", Role.CATION, 0.1), ("[Cl-]", Role.ANION, 0.1), ("O", Role.SOLVENT, 0.8)]
    return Formulation(
        components=tuple(
            Component(role=role, molecule=Molecule.from_smiles(smiles), mole_fraction=fraction)
            for smiles, role, fraction in parts
        )
    )


def test_a_supercell_is_wide_enough_and_knows_its_ions() -> None:
    crystal = Crystal.from_atoms(bulk("LiF", "rocksalt", a=4.03))
    cell = supercell(crystal, "Li", 1, 9.0, 400)
    heights = 1 / np.linalg.norm(cell.atoms.cell.reciprocal(), axis=1)
    assert heights.min() >= 9
    (carrier,) = cell.carriers
    assert set(np.asarray(cell.atoms.symbols)[carrier.atoms.ravel()]) == {"Li"}
    assert len(carrier.atoms) == len(cell.atoms) // 2
    assert density(cell.atoms) == pytest.approx(2.635, rel=0.01)  # of LiF, CRC Handbook


@pytest.mark.parametrize(
    ("mobile", "max_atoms", "named"), [("Na", 400, "holds no Na"), ("Li", 20, "max_atoms = 20")]
)
def test_what_makes_no_supercell_is_refused(mobile: str, max_atoms: int, named: str) -> None:
    crystal = Crystal.from_atoms(bulk("LiF", "rocksalt", a=4.03))
    with pytest.raises(CalculationError, match=named):
        supercell(crystal, mobile, 1, 9.0, max_atoms)


def test_a_box_is_neutral_and_nothing_overlaps(electrolyte: Formulation) -> None:
    assert counts(electrolyte, 60) == [2, 2, 16]
    cell = packed(electrolyte, 60, seed=1)
    atoms = cell.atoms
    assert [(c.name, c.charge, c.atoms.shape) for c in cell.carriers] == [
        ("[Li+]", 1, (2, 1)),
        ("[Cl-]", -1, (2, 1)),
    ]
    assert len(atoms) == 2 + 2 + 48
    distances = atoms.get_all_distances(mic=True)
    bonded = distances < 1.7
    assert (distances[~bonded] > 1.9).all()
    assert bonded.sum() - len(atoms) == 16 * 6
    assert 0.2 < density(atoms) < 0.6
    same = packed(electrolyte, 60, seed=1).atoms
    assert np.array_equal(same.positions, atoms.positions)


def test_a_formulation_without_ions_or_room_is_refused(electrolyte: Formulation) -> None:
    water = Formulation(
        components=(
            Component(role=Role.SOLVENT, molecule=Molecule.from_smiles("O"), mole_fraction=1.0),
        )
    )
    with pytest.raises(CalculationError, match="no ions"):
        packed(water, 60, seed=0)
    with pytest.raises(CalculationError, match="too few"):
        counts(electrolyte, 4)


def test_density_of_gold() -> None:
    assert density(Atoms(bulk("Au"))) == pytest.approx(19.3, rel=0.02)
