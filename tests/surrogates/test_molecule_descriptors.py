import numpy as np
import pytest

pytest.importorskip("rdkit")

from discover.errors import StructureError
from discover.records import Candidate, Provenance
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule
from surrogates.conformance import MoleculeDescriptorConformance, example_candidates
from surrogates.formulation_descriptor import FormulationDescriptor
from surrogates.molecule_descriptors import MoleculeDescriptor, MorganDescriptor

IONS = ("[Li+]", "[Na+]", "F[P-](F)(F)(F)(F)F", "O=C1O[B-]2(OC1=O)OC(=O)C(=O)O2")


class TestMolecule(MoleculeDescriptorConformance):
    @pytest.fixture
    def make_descriptor(self):
        return MoleculeDescriptor


class TestMorgan(MoleculeDescriptorConformance):
    @pytest.fixture
    def make_descriptor(self):
        return MorganDescriptor


class TestFormulation(MoleculeDescriptorConformance):
    sort = Formulation

    @pytest.fixture
    def make_descriptor(self):
        return FormulationDescriptor


def described(smiles):
    one = Candidate.of(Molecule.from_smiles(smiles), Provenance(generator="test", operation="x"))
    descriptor = MoleculeDescriptor()
    return dict(zip(descriptor.names, descriptor.describe([one])[0], strict=True))


def test_groups_and_elements_are_counted():
    carbonate = described("COC(=O)OCC(F)(F)F")
    assert carbonate["MolWt"] == pytest.approx(158.07, abs=0.05)
    counted = {
        "count_C": 4,
        "count_F": 3,
        "groups_carbonate": 1,
        "groups_fluoromethyl": 1,
        "groups_ether": 0,
        "charge": 0,
    }
    assert {name: carbonate[name] for name in counted} == counted
    assert described("COCCOC")["groups_ether"] == 2
    assert described("N#CCCC#N")["groups_nitrile"] == 2


@pytest.mark.parametrize("smiles", IONS)
def test_ions_are_described(smiles):
    assert np.isfinite(list(described(smiles).values())).all()


def test_formulations_are_weighted_by_role():
    provenance = Provenance(generator="test", operation="x")

    def mixture(*parts):
        content = [
            {"role": role, "molecule": Molecule.from_smiles(smiles), "mole_fraction": x}
            for role, smiles, x in parts
        ]
        return Candidate.of(Formulation.model_validate({"components": content}), provenance)

    salt = [("cation", "[Li+]", 0.1), ("anion", "F[B-](F)(F)F", 0.1)]
    one = mixture(*salt, ("solvent", "CC#N", 0.2), ("solvent", "COCCOC", 0.6))
    descriptor = FormulationDescriptor()
    row = dict(zip(descriptor.names, descriptor.describe([one])[0], strict=True))
    masses = [described(smiles)["MolWt"] for smiles in ("CC#N", "COCCOC")]
    mean = 0.25 * masses[0] + 0.75 * masses[1]
    assert row["solvent_MolWt"] == pytest.approx(mean)
    assert row["solvent_spread_MolWt"] == pytest.approx(
        np.sqrt(0.25 * (masses[0] - mean) ** 2 + 0.75 * (masses[1] - mean) ** 2)
    )
    assert row["salt_per_solvent"] == pytest.approx(0.125)
    assert row["cation_charge"] == 1
    assert row["additive_MolWt"] == row["fraction_additive"] == 0


def test_another_sort_is_refused():
    with pytest.raises(StructureError, match="is a crystal, not a molecule"):
        MoleculeDescriptor().describe(example_candidates())
    with pytest.raises(StructureError, match="is a crystal, not a formulation"):
        FormulationDescriptor().describe(example_candidates())
