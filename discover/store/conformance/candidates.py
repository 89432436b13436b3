"""What a store must do with candidates."""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

from itertools import pairwise

import pytest

from discover.errors import StoreError, UnknownRecordError
from discover.records import CandidateState
from discover.store.base import Store
from discover.store.conformance.examples import (
    PROPOSED,
    RUNNING,
    SUBMITTED,
    candidate,
    lease,
    observation,
)


class CandidateClauses:
    """How candidates are added, found, changed and counted."""

    def test_a_new_store_is_empty(self, store: Store) -> None:
        assert list(store.candidates()) == []
        assert store.count_candidates() == dict.fromkeys(CandidateState, 0)
        assert store.calculations() == []
        assert store.observations(quarantined=True) == []
        assert store.model_cards() == []
        assert store.passes() == []
        assert store.count_passes() == 0
        assert store.lease() is None
        assert store.value("anything") is None
        assert store.values() == {}

    def test_candidates_come_in_the_order_they_were_added(self, store: Store) -> None:
        numbers = [5, 3, 9, 1]
        store.add_candidates([candidate(n) for n in numbers[:2]])
        store.add_candidates([candidate(n) for n in numbers[2:]])
        assert list(store.candidates()) == [candidate(n) for n in numbers]

    def test_many_candidates_keep_their_order(self, store: Store) -> None:
        added = [candidate(n) for n in range(1500)]
        assert store.add_candidates(added) == [c.id for c in added]
        assert list(store.candidates()) == added

    def test_candidates_come_in_pages(self, store: Store) -> None:
        assert store.candidate_page(0, 10) == []
        states = [CandidateState.READY, CandidateState.REJECTED, CandidateState.READY] * 3
        added = [candidate(n, state) for n, state in enumerate(states)]
        store.add_candidates(added)
        assert store.candidate_page(0, 4) == added[:4]
        assert store.candidate_page(7, 4) == added[7:]
        assert store.candidate_page(9, 4) == store.candidate_page(0, 0) == []
        ready = [c for c in added if c.state is CandidateState.READY]
        assert store.candidate_page(1, 3, CandidateState.READY) == ready[1:4]

    def test_a_sample_of_candidates_is_spread_evenly(self, store: Store) -> None:
        assert store.candidate_sample(3) == []
        added = [candidate(n) for n in range(1000)]
        store.add_candidates(added[:5])
        assert store.candidate_sample(50) == added[:5]
        store.add_candidates(added[5:])
        drawn = [int(c.id.rpartition("-")[2]) for c in store.candidate_sample(100)]
        assert 95 <= len(drawn) <= 100
        assert all(0 < b - a <= 25 for a, b in pairwise([-1, *drawn, 1000]))
        assert store.candidate_sample(100) == store.candidate_sample(100)

    def test_known_candidates_are_left_as_they_are(self, store: Store) -> None:
        first = candidate(1, CandidateState.READY)
        assert store.add_candidates([first]) == [first.id]
        again = [candidate(2), candidate(1), candidate(3), candidate(2)]
        assert store.add_candidates(again) == ["candidate-2", "candidate-3"]
        assert list(store.candidates()) == [first, candidate(2), candidate(3)]
        assert store.add_candidates([]) == []

    def test_updated_candidates_keep_their_place(self, store: Store) -> None:
        store.add_candidates([candidate(n) for n in range(3)])
        ready = candidate(1, CandidateState.READY)
        store.update_candidates([ready])
        assert list(store.candidates()) == [candidate(0), ready, candidate(2)]
        assert store.candidate("candidate-1") == ready

    def test_of_several_with_one_id_the_last_is_kept(self, store: Store) -> None:
        store.add_candidates([candidate(1)])
        states = (CandidateState.READY, CandidateState.REJECTED)
        values = [observation(1).model_copy(update={"value": v}) for v in (1.0, 2.0)]
        store.acquire_lease(lease("first", 100.0))
        for holder in (None, "first"):
            store.fence(holder)
            store.update_candidates([candidate(1, state) for state in states])
            store.add_observations(values)
            assert list(store.candidates()) == [candidate(1, states[-1])]
            assert store.observations() == values[-1:]

    def test_candidates_are_found_and_counted_by_state(self, store: Store) -> None:
        states = [CandidateState.READY, CandidateState.REJECTED, CandidateState.READY]
        store.add_candidates([candidate(n, state) for n, state in enumerate(states)])
        ready = [c.id for c in store.candidates(CandidateState.READY)]
        assert ready == ["candidate-0", "candidate-2"]
        assert list(store.candidates(CandidateState.PROPOSED)) == []
        assert store.count_candidates() == {
            CandidateState.PROPOSED: 0,
            CandidateState.READY: 2,
            CandidateState.REJECTED: 1,
        }

    def test_an_update_with_an_unknown_candidate_changes_nothing(self, store: Store) -> None:
        store.add_candidates([candidate(1)])
        with pytest.raises(StoreError, match="candidate-2"):
            store.update_candidates([candidate(1, CandidateState.READY), candidate(2)])
        assert list(store.candidates()) == [candidate(1)]

    def test_candidates_may_be_updated_while_they_are_read(self, store: Store) -> None:
        store.add_candidates([candidate(n) for n in range(1200)])
        for one in store.candidates(CandidateState.PROPOSED):
            if one.provenance.draw % 100 == 0:
                store.update_candidates([one.model_copy(update={"state": CandidateState.READY})])
        assert store.count_candidates()[CandidateState.READY] == 12

    def test_unknown_ids_are_errors_that_name_them(self, store: Store) -> None:
        with pytest.raises(UnknownRecordError, match="missing-1"):
            store.candidate("missing-1")
        with pytest.raises(StoreError, match="missing-2"):
            store.calculation("missing-2")
        with pytest.raises(StoreError, match="missing-3"):
            store.quarantine("missing-3", "why")
        with pytest.raises(StoreError, match="missing-4"):
            store.transition("missing-4", PROPOSED, SUBMITTED)
        with pytest.raises(StoreError, match="missing-5"):
            store.finish("missing-5", RUNNING, [observation(1)])
        assert store.observations() == []
