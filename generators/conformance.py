"""What every generator must do, as tests that the author of one runs.

Subclass `GeneratorConformance` in a test module and give it one fixture:

    class TestMyGenerator(GeneratorConformance):
        @pytest.fixture
        def make_generator(self):
            return lambda: MyGenerator(...)

It is called several times and must give equal, independent generators. A generator with few candidates
tests its end as well; set `draws` and `batch` to fit it.
"""

from __future__ import annotations

from collections.abc import Callable

from ase.data import chemical_symbols

from discover.records import Candidate, CandidateState
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import find_duplicate, reduced_formula
from discover.structures.structure import atomic_numbers, sort_made
from discover.structures.symmetry import spacegroup
from generators.base import Generator, GeneratorContext, Proposal

NewGenerator = Callable[[], Generator]


class GeneratorConformance:
    """The contract of `generators.base.Generator`; subclass it and give it `make_generator`."""

    seed = 11
    batch = 5
    draws = 3

    def _propose(
        self, generator: Generator, position: int = 0, known: frozenset[str] = frozenset()
    ) -> Proposal:
        return generator.propose(self.batch, GeneratorContext(self.seed, position, known))

    def _stream(self, generator: Generator) -> list[Proposal]:
        """Proposals in a row, each told what came before, up to `draws` or the end."""
        proposals: list[Proposal] = []
        known: set[str] = set()
        position = 0
        while len(proposals) < self.draws and not (proposals and proposals[-1].exhausted):
            proposals.append(self._propose(generator, position, frozenset(known)))
            position = proposals[-1].position
            known |= {candidate.id for candidate in proposals[-1].candidates}
        return proposals

    def _candidates(self, generator: Generator) -> list[Candidate]:
        return [c for proposal in self._stream(generator) for c in proposal.candidates]

    def test_it_proposes_something(self, make_generator: NewGenerator) -> None:
        """A fresh stream gives candidates, never more than asked for."""
        proposal = self._propose(make_generator())
        assert 0 < len(proposal.candidates) <= self.batch

    def test_nothing_is_asked_for(self, make_generator: NewGenerator) -> None:
        """Asked for none, it gives none and stays where it is."""
        proposal = make_generator().propose(0, GeneratorContext(self.seed, 0, frozenset()))
        assert proposal.candidates == ()
        assert proposal.position == 0

    def test_deterministic(self, make_generator: NewGenerator) -> None:
        """Equal generators give equal streams."""
        assert self._stream(make_generator()) == self._stream(make_generator())

    def test_a_restart_resumes_exactly(self, make_generator: NewGenerator) -> None:
        """A generator made anew for each proposal gives what one that lived all along gives."""
        position, known = 0, frozenset[str]()
        for proposal in self._stream(make_generator()):
            assert self._propose(make_generator(), position, known) == proposal
            position = proposal.position
            known |= {candidate.id for candidate in proposal.candidates}

    def test_known_candidates_are_not_repeated(self, make_generator: NewGenerator) -> None:
        """From the start of the stream too, what is known does not come again."""
        known = frozenset(c.id for c in self._propose(make_generator()).candidates)
        again = self._propose(make_generator(), 0, known)
        assert known.isdisjoint(candidate.id for candidate in again.candidates)

    def test_no_duplicates(self, make_generator: NewGenerator) -> None:
        """Neither ids nor structures come twice."""
        by_fingerprint: dict[str, dict[str, Candidate]] = {}
        for candidate in self._candidates(make_generator()):
            others = by_fingerprint.setdefault(candidate.fingerprint, {})
            assert candidate.id not in others, f"{candidate.id} was proposed twice"
            if isinstance(candidate.structure, Crystal):
                crystals = {other: known.crystal for other, known in others.items()}
                twin = find_duplicate(candidate.crystal, crystals)
            else:
                twin = next(iter(others), None)
            assert twin is None, f"{candidate.id} and {twin} are the same structure"
            others[candidate.id] = candidate

    def test_the_end_is_honest(self, make_generator: NewGenerator) -> None:
        """Only an exhausted generator gives fewer than asked for, and after that it gives none."""
        known: set[str] = set()
        for proposal in self._stream(make_generator()):
            assert proposal.exhausted or len(proposal.candidates) == self.batch
            known |= {candidate.id for candidate in proposal.candidates}
            if proposal.exhausted:
                after = self._propose(make_generator(), proposal.position, frozenset(known))
                assert after.exhausted
                assert after.candidates == ()

    def test_candidates_are_what_they_say(self, make_generator: NewGenerator) -> None:
        """Sort, formula, space group, state, elements and provenance fit structure and generator."""
        generator = make_generator()
        for candidate in self._candidates(generator):
            structure = candidate.structure
            assert isinstance(structure, sort_made(generator))
            if isinstance(structure, Crystal):
                assert candidate.formula == reduced_formula(structure)
                assert candidate.spacegroup == spacegroup(structure)
            else:
                assert candidate.formula == structure.formula
                assert candidate.id == Candidate.of(structure, candidate.provenance).id
            assert candidate.state is CandidateState.PROPOSED
            assert candidate.provenance.generator
            assert candidate.provenance.operation
            symbols = {chemical_symbols[number] for number in atomic_numbers(structure)}
            assert symbols <= generator.elements()
            assert Candidate.model_validate_json(candidate.model_dump_json()) == candidate
