import pytest
from pydantic import ValidationError

pytest.importorskip("rdkit")

from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule


def component(role, smiles, fraction):
    return Component(role=role, molecule=Molecule.from_smiles(smiles), mole_fraction=fraction)


def test_salt_in_solvent():
    mixture = Formulation(
        components=(
            component(Role.CATION, "[Li+]", 0.1),
            component(Role.ANION, "F[P-](F)(F)(F)(F)F", 0.1),
            component(Role.SOLVENT, "CC#N", 0.8),
        )
    )
    assert mixture.formula == "C2H3N:0.8 F6P-:0.1 Li+:0.1"
    assert Formulation.model_validate_json(mixture.model_dump_json()) == mixture


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([(Role.SOLVENT, "CC#N", 0.9)], "sum to 0.9"),
        ([(Role.CATION, "[Li+]", 0.5), (Role.SOLVENT, "CC#N", 0.5)], "charges sum to 0.5"),
        ([(Role.SOLVENT, "CC#N", 0.5), (Role.ADDITIVE, "N#CC", 0.5)], "stands twice"),
    ],
)
def test_impossible_mixtures_are_refused(parts, says):
    with pytest.raises(ValidationError, match=says):
        Formulation(components=tuple(component(*part) for part in parts))
