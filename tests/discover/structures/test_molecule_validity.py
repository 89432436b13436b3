import pytest
from pydantic import ValidationError

pytest.importorskip("rdkit")

from discover.errors import StructureError
from discover.structures.molecule_validity import MoleculeFilters, molecule_problem, pattern

LIMITS = MoleculeFilters(max_molar_mass_g_mol=130.0)


@pytest.mark.parametrize(
    "smiles",
    [
        "O=C1OCCO1",
        "O=C1OC=CO1",
        "COC(=O)OC",
        "CC#N",
        "CS(C)(=O)=O",
        "C1=CC2CCC1C2",
        "C=C=C",
        "C1COC1",
    ],
)
def test_solvents_pass(smiles):
    assert molecule_problem(smiles, LIMITS) is None


@pytest.mark.parametrize(
    ("smiles", "says"),
    [
        ("C(C", "not a SMILES"),
        ("[CH3]", "radical"),
        ("C[N+](C)(C)C", "charge: +1 e"),
        ("CBr", "elements: Br"),
        ("FC(F)(F)COCC(F)(F)F", "molar mass: 182.1 g/mol (limit 130)"),
        ("COOC", "unstable group"),
        ("CN(C)F", "unstable group"),
        ("CC(O)O", "unstable group"),
        ("C1CO1", "a ring of 3 atoms"),
        ("C1CC2(C1)CCC2", "share an atom"),
        ("C1CCC#CC1", "triple bond"),
        ("C1=C=CCC1", "cumulated"),
        ("C1=C2CCC(C2)C1", "bridgehead"),
        ("C1CC2CC1C1CC21", "a ring of 3 atoms"),
        ("C1C2CC3OC1CC3O2", "synthetic accessibility: 5"),
    ],
)
def test_what_does_not_last_is_refused_with_the_reason(smiles, says):
    assert says in molecule_problem(smiles, LIMITS)


def test_limits_can_be_lifted():
    open_to_all = MoleculeFilters(
        elements=("H", "C", "N", "O", "Br"),
        charges=(0, 1),
        max_molar_mass_g_mol=None,
        min_ring_atoms=3,
        max_sa_score=None,
        forbidden_groups=(),
    )
    for smiles in ("C[N+](C)(C)C", "CBr", "COOC", "C1CO1"):
        assert molecule_problem(smiles, open_to_all) is None


def test_bad_limits_are_refused():
    with pytest.raises(ValidationError, match="no chemical symbols: Q, X"):
        MoleculeFilters(elements=("C", "X", "Q"))
    with pytest.raises(StructureError, match="not a SMARTS"):
        pattern("[C")
