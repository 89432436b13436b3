import pytest

pytest.importorskip("rdkit")

from discover.errors import PluginError, StructureError
from discover.plugins import create
from discover.structures.molecule import Molecule
from generators import GeneratorContext
from generators.conformance import GeneratorConformance
from generators.functionalization import EnumerationGenerator
from generators.scaffolds import SCAFFOLDS, SUBSTITUENTS, substituted


class TestEnumeration(GeneratorConformance):
    batch = 8
    draws = 2

    @pytest.fixture
    def make_generator(self):
        return lambda: EnumerationGenerator(families=("carbonates", "nitriles"))


class TestASpaceWithAnEnd(GeneratorConformance):
    batch = 4
    draws = 9

    @pytest.fixture
    def make_generator(self):
        return lambda: EnumerationGenerator(
            families=(), scaffolds=("O=C1OCCO1",), substituents=("F",), max_substituents=4
        )


def space(**options):
    return {p.smiles for lane in EnumerationGenerator(**options).space.values() for p in lane}


def test_fluorinated_ethylene_carbonates():
    """EC itself; 4-F; 4,4-, and 4,5-F2; F3; F4: every product once."""
    only = {"families": (), "scaffolds": ("O=C1OCCO1",), "substituents": ("F",)}
    assert space(**only, max_substituents=4) == {
        "O=C1OCCO1",
        "O=C1OCC(F)O1",
        "O=C1OCC(F)(F)O1",
        "O=C1OC(F)C(F)O1",
        "O=C1OC(F)C(F)(F)O1",
        "O=C1OC(F)(F)C(F)(F)O1",
    }
    assert space(**only, max_substituents=0) == {"O=C1OCCO1"}


def test_substituents_join_by_their_first_atom():
    assert substituted("C", ["CN", "OMe", "CF3"]) == {
        "CC#N": "CN",
        "COC": "OMe",
        "CC(F)(F)F": "CF3",
    }
    assert substituted("C(F)(F)(F)F", SUBSTITUENTS) == {}


def test_simple_molecules_come_early():
    drawn = EnumerationGenerator().propose(6, GeneratorContext(1, 0, frozenset())).candidates
    assert {c.provenance.operation.split()[1] for c in drawn} == {"nothing"}
    families = {c.provenance.operation.rpartition("(")[2].rstrip(")") for c in drawn}
    assert families == set(SCAFFOLDS)


def test_every_scaffold_and_group_is_a_sound_molecule():
    for smiles in (s for family in SCAFFOLDS.values() for s in family):
        assert Molecule.from_smiles(smiles).charge == 0
    assert all(substituted("CC", [name]) for name in SUBSTITUENTS)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"substituents": ["Fl"]}, "no group is called 'Fl'; did you mean 'F'"),
        ({"families": ["alkanes"]}, "carbonates"),
        ({"max_substituents": 9}, "less than or equal to 4"),
    ],
)
def test_bad_options_are_refused(options, says):
    with pytest.raises(PluginError, match=says):
        create("generators", "enumerate", options)


def test_a_scaffold_that_cannot_be_read_is_refused():
    with pytest.raises(StructureError, match="C1CC"):
        EnumerationGenerator(scaffolds=("C1CC",))
