"""What a store must give back as it was, also to those that open it later or elsewhere."""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import StateConflictError, StoreVersionError
from discover.records import (
    Calculation,
    Candidate,
    CandidateState,
    Lease,
    ModelCard,
    Observation,
    Pass,
)
from discover.store import strategies
from discover.store.base import Store
from discover.store.conformance.examples import (
    PROPOSED,
    RUNNING,
    SUBMITTED,
    OpenStore,
    calculation,
    candidate,
    card,
    lease,
    observation,
    one_store_for_all_examples,
    start,
)


def content(store: Store) -> list[Any]:
    """What is to be the same after opening again."""
    return [
        list(store.candidates()),
        store.calculations(),
        store.observations(quarantined=True),
        store.model_cards(),
        store.passes(),
        store.lease(),
        store.value("position"),
    ]


class DurabilityClauses:
    """That any record comes back as it was, from this opening and from others."""

    @given(one=strategies.CANDIDATES)
    @one_store_for_all_examples
    def test_any_candidate_comes_back_as_it_was(self, store: Store, one: Candidate) -> None:
        store.add_candidates([one])
        store.update_candidates([one])
        assert store.candidate(one.id) == one

    @given(one=strategies.calculations(st.just(PROPOSED)))
    @one_store_for_all_examples
    def test_any_calculation_comes_back_as_it_was(self, store: Store, one: Calculation) -> None:
        if store.add_calculation(one):
            assert store.calculation(one.id) == one

    @given(one=strategies.OBSERVATIONS)
    @one_store_for_all_examples
    def test_any_observation_comes_back_as_it_was(self, store: Store, one: Observation) -> None:
        store.add_observations([one])
        assert one in store.observations(one.property, quarantined=True)

    @given(card=strategies.MODEL_CARDS, turn=strategies.PASSES)
    @one_store_for_all_examples
    def test_any_model_card_and_pass_come_back_as_they_were(
        self, store: Store, card: ModelCard, turn: Pass
    ) -> None:
        store.add_model_card(card)
        store.add_pass(turn)
        assert card in store.model_cards()
        assert turn in store.passes()

    @given(held=strategies.LEASES, value=strategies.JSON)
    @one_store_for_all_examples
    def test_any_lease_and_value_come_back_as_they_were(
        self, store: Store, held: Lease, value: Any
    ) -> None:
        before = store.lease()
        store.acquire_lease(held, replacing=before.holder if before else None)
        store.set_value("name", value)
        assert store.lease() == held
        assert store.value("name") == value

    @given(after=strategies.calculations(strategies.STATES))
    @one_store_for_all_examples
    def test_any_change_comes_back_as_it_was(self, store: Store, after: Calculation) -> None:
        number = len(store.calculations())
        store.add_calculation(calculation(number))
        identity = f"calculation-{number}"
        changes = {key: getattr(after, key) for key in after.model_fields_set - {"id", "state"}}
        store.transition(identity, PROPOSED, SUBMITTED, **changes)
        expected = after.model_copy(update={"id": identity, "state": SUBMITTED})
        assert store.calculation(identity) == expected

    def test_everything_is_there_after_opening_again(self, open_store: OpenStore) -> None:
        store = open_store()
        store.add_candidates([candidate(1), candidate(2, CandidateState.READY)])
        start(store, 1)
        store.finish("calculation-1", RUNNING, [observation(1)])
        store.quarantine("observation-1", "odd")
        store.add_model_card(card("card", 1.0))
        store.add_pass(Pass(number=1, started_at=0.0, finished_at=1.0, actions=()))
        store.acquire_lease(lease("first", 100.0))
        store.set_value("position", 17)
        before = content(store)
        store.close()
        store = open_store()
        assert content(store) == before
        store.add_candidates([candidate(3)])
        assert [c.id for c in store.candidates()][-1] == "candidate-3"
        store.close()

    def test_two_openings_see_the_same(self, open_store: OpenStore) -> None:
        first, second = open_store(), open_store()
        first.add_calculation(calculation(1))
        second.transition("calculation-1", PROPOSED, SUBMITTED, native_id="second")
        with pytest.raises(StateConflictError):
            first.transition("calculation-1", PROPOSED, SUBMITTED, native_id="first")
        assert first.calculation("calculation-1").native_id == "second"
        first.close()
        second.close()

    def test_a_newer_store_is_refused(
        self, open_store: OpenStore, make_newer: Callable[[], None]
    ) -> None:
        open_store().close()
        make_newer()
        with pytest.raises(StoreVersionError, match="update discover"):
            open_store()
