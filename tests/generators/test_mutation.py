import pytest

pytest.importorskip("rdkit")
pytest.importorskip("selfies")

from discover.errors import StructureError
from discover.records import Candidate, Provenance
from discover.structures.molecule import Molecule
from discover.structures.molecule_validity import MoleculeFilters, molecule_problem
from generators import GeneratorContext
from generators.conformance import GeneratorConformance
from generators.mutation import MutationGenerator
from surrogates.conformance import example_candidates


def candidate(smiles):
    return Candidate.of(Molecule.from_smiles(smiles), Provenance(generator="test", operation="x"))


class TestMutation(GeneratorConformance):
    batch = 6
    draws = 2

    @pytest.fixture
    def make_generator(self):
        return MutationGenerator


def test_offspring_of_the_best_names_its_parents_and_passes_the_filters():
    best = (candidate("O=C1OCC(F)O1"), candidate("COC(=O)OCC(F)(F)F"))
    generator = MutationGenerator(parents=2, max_heavy_atoms=10, crossover=0.5)
    context = GeneratorContext(4, 0, frozenset({c.id for c in best}), best)
    offspring = generator.propose(9, context).candidates
    assert offspring == generator.propose(9, context).candidates
    ids = {c.id for c in best}
    assert all(set(c.provenance.parents) <= ids and c.provenance.parents for c in offspring)
    assert {len(c.provenance.parents) for c in offspring} == {1, 2}
    filters = MoleculeFilters(max_sa_score=4.5)
    for child in offspring:
        assert child.id not in ids
        assert 4 <= sum(z > 1 for z in child.molecule.numbers) <= 10
        assert molecule_problem(child.molecule.smiles, filters) is None


def test_other_sorts_of_candidates_are_no_parents():
    context = GeneratorContext(0, 0, frozenset(), tuple(example_candidates()))
    assert MutationGenerator(seeds=("COC",)).propose(1, context).candidates


def test_it_ends_where_nothing_new_can_be_made():
    generator = MutationGenerator(
        seeds=("CO",), elements=("C", "O"), min_heavy_atoms=2, max_heavy_atoms=2
    )
    proposal = generator.propose(6, GeneratorContext(0, 0, frozenset()))
    assert proposal.exhausted
    assert {c.molecule.smiles for c in proposal.candidates} <= {
        "CC",
        "CO",
        "C=O",
        "C=C",
        "C#C",
        "O=O",
    }


def test_bad_options_are_refused():
    with pytest.raises(StructureError, match="C1CC"):
        MutationGenerator(seeds=("C1CC",))
    with pytest.raises(StructureError, match="min_heavy_atoms 9 is more than"):
        MutationGenerator(min_heavy_atoms=9, max_heavy_atoms=8)
