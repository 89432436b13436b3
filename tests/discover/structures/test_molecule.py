import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

pytest.importorskip("rdkit")

from discover.errors import StructureError
from discover.structures.molecule import Molecule

ETHYLENE_CARBONATE = "O=C1OCCO1"


def test_same_molecule_same_smiles_and_inchikey():
    a, b = Molecule.from_smiles(ETHYLENE_CARBONATE), Molecule.from_smiles("C1COC(=O)O1")
    assert a == b
    assert a.inchikey == "KMTRUDSVKNLOMY-UHFFFAOYSA-N"  # PubChem CID 7303
    assert a.formula == "C3H4O3"


def test_ions_have_their_charge():
    assert Molecule.from_smiles("[Li+]").formula == "Li+"
    assert Molecule.from_smiles("F[P-](F)(F)(F)(F)F").formula == "F6P-"


@pytest.mark.parametrize(
    ("smiles", "says"),
    [
        ("C(C", "cannot be read"),
        ("", "cannot be read"),
        ("CC.CC", "several molecules"),
        ("[CH3]", "radical"),
        ("C(C)(C)(C)(C)C", "valence"),
    ],
)
def test_bad_smiles_are_refused_with_the_reason(smiles, says):
    with pytest.raises(StructureError, match=f"(can be|{says})"):
        Molecule.from_smiles(smiles)


def test_charge_and_multiplicity_must_fit_the_electrons():
    with pytest.raises(ValidationError, match="cannot have the multiplicity 1"):
        Molecule(smiles="[H]", numbers=(1,), positions_angstrom=((0, 0, 0),))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["CC#N", "COC(=O)OC", "COCCOC", "[Li+]", "O=S(=O)([N-]S(=O)(=O)F)F"]))
def test_json_and_atoms_round_trip(smiles):
    molecule = Molecule.from_smiles(smiles)
    assert Molecule.model_validate_json(molecule.model_dump_json()) == molecule
    assert molecule.moved(molecule.to_atoms()) == molecule
