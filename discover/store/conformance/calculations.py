"""What a store must do with calculations."""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import StateConflictError, StoreError
from discover.records import CalculationState
from discover.store.base import TRANSITIONS, Store
from discover.store.conformance.examples import (
    CANCELLED,
    DONE,
    PROPOSED,
    RUNNING,
    SUBMITTED,
    calculation,
    observation,
    one_store_for_all_examples,
    start,
)


class CalculationClauses:
    """How calculations are added, moved from state to state, and finished."""

    def test_a_known_calculation_is_not_added_again(self, store: Store) -> None:
        assert store.add_calculation(calculation(1))
        store.transition("calculation-1", PROPOSED, SUBMITTED, native_id="7")
        assert not store.add_calculation(calculation(1))
        assert store.calculation("calculation-1").native_id == "7"

    def test_a_calculation_begins_as_proposed(self, store: Store) -> None:
        with pytest.raises(StoreError, match="running"):
            store.add_calculation(calculation(1).model_copy(update={"state": RUNNING}))
        assert store.calculations() == []

    def test_calculations_come_by_order_and_state(self, store: Store) -> None:
        for number in (10, 2, 1, 30):
            store.add_calculation(calculation(number))
        store.transition("calculation-2", PROPOSED, SUBMITTED)
        store.transition("calculation-30", PROPOSED, CANCELLED)
        assert [c.order for c in store.calculations()] == [1, 2, 10, 30]
        assert [c.order for c in store.calculations(frozenset({PROPOSED, CANCELLED}))] == [
            1,
            10,
            30,
        ]
        assert store.calculations(frozenset()) == []
        counted = {PROPOSED: 2, SUBMITTED: 1, CANCELLED: 1}
        assert store.count_calculations() == dict.fromkeys(CalculationState, 0) | counted

    def test_a_transition_changes_state_and_fields_together(self, store: Store) -> None:
        store.add_calculation(calculation(1))
        moved = store.transition(
            "calculation-1", PROPOSED, SUBMITTED, native_id="7", submitted_at=12.5
        )
        expected = calculation(1).model_copy(
            update={"state": SUBMITTED, "native_id": "7", "submitted_at": 12.5}
        )
        assert moved == expected
        assert store.calculation("calculation-1") == expected

    def test_a_transition_from_another_state_conflicts(self, store: Store) -> None:
        store.add_calculation(calculation(1))
        store.transition("calculation-1", PROPOSED, SUBMITTED, native_id="first")
        with pytest.raises(StateConflictError, match="submitted"):
            store.transition("calculation-1", PROPOSED, SUBMITTED, native_id="second")
        assert store.calculation("calculation-1").native_id == "first"

    @pytest.mark.parametrize(
        "changes", [{"no_such_field": 1}, {"attempts": "many"}, {"state": DONE}, {"id": "other"}]
    )
    def test_changes_that_do_not_fit_change_nothing(
        self, store: Store, changes: dict[str, Any]
    ) -> None:
        store.add_calculation(calculation(1))
        with pytest.raises((StoreError, TypeError)):
            store.transition("calculation-1", PROPOSED, SUBMITTED, **changes)
        assert store.calculations() == [calculation(1)]

    @given(path=st.lists(st.sampled_from(CalculationState), min_size=1, max_size=8))
    @one_store_for_all_examples
    def test_only_the_transitions_of_the_table_happen(
        self, store: Store, path: list[CalculationState]
    ) -> None:
        number = len(store.calculations())
        store.add_calculation(calculation(number))
        identity = f"calculation-{number}"
        for expected, new in pairwise([PROPOSED, *path]):
            actual = store.calculation(identity).state
            if actual == expected and new in TRANSITIONS[expected]:
                assert store.transition(identity, expected, new).state == new
            else:
                with pytest.raises(StateConflictError):
                    store.transition(identity, expected, new)
                assert store.calculation(identity).state == actual

    def test_finish_keeps_observations_and_moves_to_done(self, store: Store) -> None:
        start(store, 1)
        done = store.finish("calculation-1", RUNNING, [observation(1)], seconds=3.5)
        assert (done.state, done.seconds) == (DONE, 3.5)
        assert store.calculation("calculation-1") == done
        assert store.observations() == [observation(1)]

    def test_finish_again_changes_nothing(self, store: Store) -> None:
        start(store, 1)
        done = store.finish("calculation-1", RUNNING, [observation(1)], seconds=3.5)
        store.quarantine("observation-1", "looks wrong")
        with pytest.raises(StateConflictError):
            store.finish("calculation-1", RUNNING, [observation(1)], seconds=9.0)
        assert store.calculation("calculation-1") == done
        assert store.observations() == []
        assert len(store.observations(quarantined=True)) == 1

    def test_finish_after_a_kill_in_its_middle(self, store: Store) -> None:
        start(store, 1)
        store.add_observations([observation(1)])  # as far as the killed one came
        assert store.finish("calculation-1", RUNNING, [observation(1)]).state == DONE
        assert store.observations() == [observation(1)]

    def test_finish_in_another_state_keeps_no_observation(self, store: Store) -> None:
        start(store, 1)
        store.transition("calculation-1", RUNNING, CANCELLED)
        with pytest.raises(StateConflictError):
            store.finish("calculation-1", RUNNING, [observation(1)])
        assert store.observations(quarantined=True) == []
        assert store.calculation("calculation-1").state == CANCELLED
