import tracemalloc
from collections import Counter

import pytest
from pydantic import TypeAdapter

from discover import plugins
from discover.errors import CampaignError, PluginError
from discover.structures.symmetry import spacegroup
from generators import GeneratorContext
from generators.chemistry import known_elements
from generators.conformance import GeneratorConformance
from generators.prototype_library import PROTOTYPES
from generators.prototypes import PrototypeGenerator

START = GeneratorContext(seed=3, position=0, known=frozenset())


def drain(generator, batch=7, seed=3):
    """Every candidate of a generator, asked for in batches."""
    candidates, position = [], 0
    while True:
        proposal = generator.propose(batch, GeneratorContext(seed, position, frozenset()))
        candidates += proposal.candidates
        position = proposal.position
        if proposal.exhausted:
            return candidates


class TestEverything(GeneratorConformance):
    batch = 40

    @pytest.fixture
    def make_generator(self):
        return PrototypeGenerator


class TestASpaceWithAnEnd(GeneratorConformance):
    draws = 20

    @pytest.fixture
    def make_generator(self):
        return lambda: PrototypeGenerator(
            prototypes=("rocksalt", "zincblende", "chalcopyrite", "half-Heusler"),
            elements=("Cu", "Zn", "In", "Li", "Mg", "S", "Se", "As"),
        )


def test_a_small_space_is_exhausted_exactly():
    """Eight elements on rocksalt and CsCl: nine alkali halides and MgO, twice."""
    elements = ("Li", "Na", "K", "F", "Cl", "Br", "Mg", "O")
    candidates = drain(PrototypeGenerator(prototypes=("rocksalt", "CsCl"), elements=elements))
    found = Counter((c.prototype, c.formula) for c in candidates)
    formulas = [a + x for a in ("Li", "Na", "K") for x in ("F", "Cl", "Br")] + ["MgO"]
    assert found == Counter((p, f) for p in ("rocksalt", "CsCl") for f in formulas)


def test_the_order_is_the_seeds_and_the_set_is_not():
    generator = PrototypeGenerator(prototypes=("rocksalt",))
    first, second = drain(generator, seed=1), drain(generator, seed=2)
    assert [c.id for c in first] != [c.id for c in second]
    assert {c.id for c in first} == {c.id for c in second}
    assert len(first) <= generator.size()


def test_the_batch_size_does_not_change_the_stream():
    generator = PrototypeGenerator(
        prototypes=("fluorite", "spinel"), elements=("Mg", "Al", "O", "F")
    )
    assert drain(generator, batch=1) == drain(generator, batch=100)


def test_a_space_of_millions_costs_no_memory():
    generator = PrototypeGenerator(elements=known_elements())
    assert generator.size() > 10**6
    generator.propose(4, START)  # imports and tables
    tracemalloc.start()
    late = GeneratorContext(seed=3, position=generator.size() * 9 // 10, known=frozenset())
    assert len(generator.propose(4, late).candidates) == 4
    assert PrototypeGenerator(elements=known_elements()).size() == generator.size()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6


def test_prototypes_are_drawn_evenly():
    """Every prototype gets near its twelfth, although the space of one is 3000 times another's."""
    counts = Counter(c.prototype for c in PrototypeGenerator().propose(360, START).candidates)
    assert set(counts) == set(PROTOTYPES)
    assert min(counts.values()) >= 15
    assert max(counts.values()) <= 60


def test_provenance():
    generator = PrototypeGenerator(prototypes=("rocksalt",), elements=("Na", "Cl"))
    (candidate,) = generator.propose(5, START).candidates
    assert candidate.provenance.generator == "prototypes"
    assert candidate.provenance.operation == "decorate rocksalt with Na+ Cl-"
    assert candidate.fingerprint == "NaCl-225"
    assert spacegroup(candidate.crystal) == 225


def test_ids_are_stable():
    """Ids are kept in stores: a change here orphans every campaign."""
    generator = PrototypeGenerator(prototypes=("rocksalt", "zincblende"), elements=("Na", "Cl"))
    ids = {c.prototype: c.id for c in generator.propose(5, START).candidates}
    assert ids == {"rocksalt": "a6e35708c782cfba", "zincblende": "b4e78c066c34ee7e"}


def test_draws_are_positions():
    generator = PrototypeGenerator()
    for candidate in generator.propose(10, START).candidates:
        context = GeneratorContext(3, candidate.provenance.draw, frozenset())
        assert generator.propose(1, context).candidates == (candidate,)


def test_elements_are_those_that_can_occur():
    generator = PrototypeGenerator(
        prototypes=("rocksalt",), elements=("Na", "Cl", "Mg", "O"), exclude_elements=("O",)
    )
    assert generator.elements() == {"Na", "Cl"}


def test_position_past_the_end():
    generator = PrototypeGenerator(prototypes=("rocksalt",), elements=("Na", "Cl"))
    proposal = generator.propose(3, GeneratorContext(3, 10**9, frozenset()))
    assert proposal.exhausted
    assert proposal.candidates == ()


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({"prototypes": ["rocksal"]}, "prototypes.0", "did you mean 'rocksalt'?"),
        ({"elements": ["Na", "Clo"]}, "elements.1", "did you mean"),
        ({"elements": ["Na", "He"]}, "elements.1", "no element that a prototype can hold"),
        ({"exclude_elements": ["na"]}, "exclude_elements.0", "did you mean 'Na'?"),
        ({"prototypes": []}, "prototypes", "at least one"),
        ({"element": ["Na"]}, "element", "did you mean 'elements'?"),
    ],
)
def test_wrong_options_are_named(options, key, words):
    ((where, problem),) = plugins.option_problems(PrototypeGenerator, options)
    assert where == key
    assert words in problem


def test_created_by_name():
    generator = plugins.create(
        "generators", "prototypes", {"prototypes": ["CsCl"], "elements": ["Cs", "Cl"]}
    )
    assert [c.fingerprint for c in generator.propose(3, START).candidates] == ["CsCl-221"]
    with pytest.raises(PluginError, match="rocksalt"):
        plugins.create("generators", "prototypes", {"prototypes": ["rocksal"]})


def test_the_schema_lists_the_prototypes():
    schema = TypeAdapter(plugins.options_model(PrototypeGenerator)).json_schema()
    assert schema["properties"]["prototypes"]["items"]["enum"] == list(PROTOTYPES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prototypes": ("perovskit",)}, "did you mean 'perovskite'"),
        ({"prototypes": ()}, "at least one prototype"),
        ({"elements": ("Xx",)}, "no element"),
        ({"elements": ("Na", "K")}, "allow more elements"),
        ({"elements": ("Na", "Cl"), "exclude_elements": ("Cl",)}, "Na cannot be put on"),
    ],
)
def test_python_callers_are_told_too(options, words):
    with pytest.raises(CampaignError, match=words):
        PrototypeGenerator(**options)


def test_every_compound_contains_what_it_must():
    """The same compounds, without those that lack lithium; a prototype without a place for it is left."""
    everything = {
        "prototypes": ("rocksalt", "fluorite", "antifluorite", "chalcopyrite"),
        "elements": ("Li", "Na", "Ca", "Al", "O", "S", "F"),
    }
    found = {c.id for c in drain(PrototypeGenerator(**everything, containing=("Li",)))}
    assert found == {c.id for c in drain(PrototypeGenerator(**everything)) if "Li" in c.formula}
    fluorites = {**everything, "prototypes": ("rocksalt", "fluorite")}
    assert PrototypeGenerator(**fluorites, containing=("Li",)).elements() == {"Li", "Na", "F"}
    with pytest.raises(CampaignError, match="fluorite with valences that add up and contain Li"):
        PrototypeGenerator(prototypes=("fluorite",), containing=("Li",))
