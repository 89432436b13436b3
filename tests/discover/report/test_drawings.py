from xml.etree import ElementTree as ET

import pytest
from ase.build import bulk

pytest.importorskip("rdkit")

from discover.report.drawings import element_colours, structure_svg
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule

SALT = Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.64))
EC = Molecule.from_smiles("O=C1OCCO1")
MIXTURE = Formulation.model_validate(
    {
        "components": [
            {"role": "solvent", "molecule": EC, "mole_fraction": 0.3},
            {"role": "solvent", "molecule": Molecule.from_smiles("CC#N"), "mole_fraction": 0.7},
        ]
    }
)


@pytest.mark.parametrize(("structure", "drawings"), [(SALT, 1), (EC, 1), (MIXTURE, 2)])
def test_every_sort_is_drawn_as_sound_svg(structure, drawings):
    page = ET.fromstring(f"<div>{structure_svg(structure)}</div>")
    assert [child.tag.rpartition("}")[2] for child in page] == ["svg"] * drawings


def test_molecules_follow_the_colours_of_the_page():
    drawn = structure_svg(EC)
    assert "currentColor" in drawn
    assert "#000000" not in drawn
    assert "#FFFFFF" not in drawn.upper()


def test_elements_are_listed_once():
    assert [e.symbol for e in element_colours(EC)] == ["O", "C", "H"]
    assert [e.symbol for e in element_colours(MIXTURE)] == ["O", "C", "H", "N"]
