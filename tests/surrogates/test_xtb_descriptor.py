import pytest

pytest.importorskip("rdkit")
pytest.importorskip("tblite")

from discover.errors import StructureError
from discover.records import Candidate, Provenance
from discover.structures.molecule import Molecule
from surrogates.conformance import MoleculeDescriptorConformance
from surrogates.xtb_descriptor import XTBDescriptor


class TestXTB(MoleculeDescriptorConformance):
    @pytest.fixture
    def make_descriptor(self):
        return XTBDescriptor

    def test_how_a_structure_is_given_does_not_matter(self, make_descriptor):
        """The geometry, which it describes, follows from the canonical SMILES."""
        super().test_how_a_structure_is_given_does_not_matter(make_descriptor)


def described(smiles):
    one = Candidate.of(Molecule.from_smiles(smiles), Provenance(generator="test", operation="x"))
    descriptor = XTBDescriptor()
    return dict(zip(descriptor.names, descriptor.describe([one])[0], strict=True))


def test_physics_has_the_right_signs_and_order():
    """Experiment: dipoles of EC 4.9, DMC 0.9, acetonitrile 3.9 D; ethers lose electrons most easily."""
    ec, dmc, an, dme = map(described, ("O=C1OCCO1", "COC(=O)OC", "CC#N", "COCCOC"))
    assert ec["xtb_dipole_debye"] > an["xtb_dipole_debye"] > dmc["xtb_dipole_debye"]
    assert an["xtb_dipole_debye"] == pytest.approx(3.9, abs=0.3)
    assert min((ec, dmc, an, dme), key=lambda m: m["xtb_ionization_energy_ev"]) is dme
    assert all(m["xtb_homo_ev"] < m["xtb_lumo_ev"] for m in (ec, dmc, an, dme))


def test_a_bare_cation_is_refused():
    with pytest.raises(StructureError, match="no frontier orbitals"):
        described("[Li+]")
