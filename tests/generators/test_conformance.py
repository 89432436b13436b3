"""The conformance suite can fail: each broken generator is caught by the test that is meant for it."""

import pytest

from generators import Proposal
from generators.conformance import GeneratorConformance
from generators.prototypes import PrototypeGenerator


class Broken(PrototypeGenerator):
    def __init__(self):
        super().__init__(prototypes=("rocksalt",), elements=("Li", "Na", "K", "F", "Cl", "Br"))
        self.calls = 0

    def propose(self, n, context):
        self.calls += 1
        return self.spoil(super().propose(n, context), n, context)


class Repeats(Broken):
    def spoil(self, proposal, n, context):
        return super(Broken, self).propose(n, type(context)(context.seed, 0, frozenset()))


class Doubles(Broken):
    def spoil(self, proposal, n, context):
        twins = [c.model_copy(update={"id": c.id + "x"}) for c in proposal.candidates[:1]]
        return proposal.model_copy(update={"candidates": (*proposal.candidates[:-1], *twins)})


class StopsEarly(Broken):
    def spoil(self, proposal, n, context):
        return proposal.model_copy(update={"candidates": proposal.candidates[:-1]})


class GoesOn(Broken):
    def spoil(self, proposal, n, context):
        return proposal.model_copy(update={"exhausted": False})


class Remembers(Broken):
    def spoil(self, proposal, n, context):
        keep = proposal.candidates if self.calls == 1 else proposal.candidates[1:]
        return proposal.model_copy(update={"candidates": keep})


class Misnames(Broken):
    def spoil(self, proposal, n, context):
        wrong = [c.model_copy(update={"formula": "XyZ"}) for c in proposal.candidates]
        return proposal.model_copy(update={"candidates": tuple(wrong)})


class Silent(Broken):
    def spoil(self, proposal, n, context):
        return Proposal(candidates=(), position=context.position, exhausted=True)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Repeats, "test_known_candidates_are_not_repeated"),
        (Repeats, "test_no_duplicates"),
        (Doubles, "test_no_duplicates"),
        (StopsEarly, "test_the_end_is_honest"),
        (GoesOn, "test_the_end_is_honest"),
        (Remembers, "test_a_restart_resumes_exactly"),
        (Misnames, "test_candidates_are_what_they_say"),
        (Silent, "test_it_proposes_something"),
    ],
)
def test_a_broken_generator_is_caught(broken, test):
    with pytest.raises(AssertionError):
        getattr(GeneratorConformance(), test)(broken)
