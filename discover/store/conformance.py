"""What every store must do, as tests that the author of an adapter runs.

Subclass `StoreConformance` in a test module and give it two fixtures:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "store")

        @pytest.fixture
        def make_newer(self, tmp_path):
            return lambda: write_format_version(tmp_path / "store", FORMAT_VERSION + 1)

Needs pytest and hypothesis. Concurrency between processes is the adapter's own to test.
"""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discover.errors import (
    LeaseHeldError,
    StateConflictError,
    StoreError,
    StoreVersionError,
    UnknownRecordError,
)
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Lease,
    ModelCard,
    Observation,
    Pass,
    Provenance,
)
from discover.store import strategies
from discover.store.base import TRANSITIONS, Store
from discover.structures.crystal import Crystal

PROPOSED, SUBMITTED, RUNNING, DONE, FAILED, CANCELLED, UNKNOWN = CalculationState

OpenStore = Callable[[], Store]

one_store_for_all_examples = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,  # each adapter's class runs them
    ],
)


def candidate(number: int, state: CandidateState = CandidateState.PROPOSED) -> Candidate:
    """Caesium chloride under the id `candidate-<number>`."""
    return Candidate(
        id=f"candidate-{number}",
        formula="CsCl",
        spacegroup=221,
        prototype="cscl",
        structure=Crystal(
            numbers=(55, 17),
            cell_angstrom=((4.12, 0.0, 0.0), (0.0, 4.12, 0.0), (0.0, 0.0, 4.12)),
            scaled_positions=((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
        ),
        provenance=Provenance(generator="conformance", operation="decorate", draw=number),
        state=state,
    )


def calculation(number: int) -> Calculation:
    """A proposed calculation, the `number`-th pick, under the id `calculation-<number>`."""
    return Calculation(
        id=f"calculation-{number}",
        candidate=f"candidate-{number}",
        order=number,
        kind="agl",
        engine="emt",
        fidelity="agl/emt",
        picked_by="initial",
    )


def observation(number: int, property_name: str = "bulk_modulus") -> Observation:
    """A value of `number` GPa for the candidate of that number."""
    return Observation(
        id=f"observation-{number}",
        candidate=f"candidate-{number}",
        calculation=f"calculation-{number}",
        property=property_name,
        value=float(number),
        unit="GPa",
        fidelity="agl/emt",
        source="conformance",
    )


def lease(holder: str, at: float, ttl_seconds: float = 60.0) -> Lease:
    """A lease that is taken at this time."""
    return Lease(
        holder=holder,
        host="localhost",
        pid=1,
        acquired_at=at,
        heartbeat_at=at,
        ttl_seconds=ttl_seconds,
    )


class StoreConformance:
    """The contract of `discover.store.base.Store`, clause by clause."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store of this test; every call opens the same one."""
        raise NotImplementedError("give a fixture that opens the store")

    @pytest.fixture
    def make_newer(self) -> Callable[[], None]:
        """Marks the store of this test, while nobody has it open, as written by a newer version."""
        raise NotImplementedError("give a fixture that raises the format version of the store")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        """An empty store."""
        store = open_store()
        yield store
        store.close()

    # --- candidates ---------------------------------------------------------------------------

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

    # --- calculations -------------------------------------------------------------------------

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
        self._run(store, 1)
        done = store.finish("calculation-1", RUNNING, [observation(1)], seconds=3.5)
        assert (done.state, done.seconds) == (DONE, 3.5)
        assert store.calculation("calculation-1") == done
        assert store.observations() == [observation(1)]

    def test_finish_again_changes_nothing(self, store: Store) -> None:
        self._run(store, 1)
        done = store.finish("calculation-1", RUNNING, [observation(1)], seconds=3.5)
        store.quarantine("observation-1", "looks wrong")
        with pytest.raises(StateConflictError):
            store.finish("calculation-1", RUNNING, [observation(1)], seconds=9.0)
        assert store.calculation("calculation-1") == done
        assert store.observations() == []
        assert len(store.observations(quarantined=True)) == 1

    def test_finish_after_a_kill_in_its_middle(self, store: Store) -> None:
        self._run(store, 1)
        store.add_observations([observation(1)])  # as far as the killed one came
        assert store.finish("calculation-1", RUNNING, [observation(1)]).state == DONE
        assert store.observations() == [observation(1)]

    def test_finish_in_another_state_keeps_no_observation(self, store: Store) -> None:
        self._run(store, 1)
        store.transition("calculation-1", RUNNING, CANCELLED)
        with pytest.raises(StateConflictError):
            store.finish("calculation-1", RUNNING, [observation(1)])
        assert store.observations(quarantined=True) == []
        assert store.calculation("calculation-1").state == CANCELLED

    # --- observations -------------------------------------------------------------------------

    def test_observations_keep_the_order_they_first_came_in(self, store: Store) -> None:
        store.add_observations([observation(2), observation(1)])
        store.add_observations([])
        corrected = observation(2).model_copy(update={"value": 99.0})
        store.add_observations([observation(3), corrected])
        assert store.observations() == [corrected, observation(1), observation(3)]

    def test_observations_are_found_by_property(self, store: Store) -> None:
        store.add_observations([observation(1), observation(2, "debye_temperature")])
        assert store.observations("debye_temperature") == [observation(2, "debye_temperature")]
        assert store.observations("thermal_conductivity") == []

    def test_quarantine_hides_an_observation_until_it_is_released(self, store: Store) -> None:
        store.add_observations([observation(1), observation(2)])
        store.quarantine("observation-1", "not converged")
        hidden = observation(1).model_copy(update={"quarantined": "not converged"})
        assert store.observations() == [observation(2)]
        assert store.observations(quarantined=True) == [hidden, observation(2)]
        assert store.observations("bulk_modulus", quarantined=True) == [hidden, observation(2)]
        store.quarantine("observation-1", None)
        assert store.observations() == [observation(1), observation(2)]

    # --- models, passes, values ---------------------------------------------------------------

    def test_model_cards_come_oldest_first(self, store: Store) -> None:
        cards = [self._card(f"card-{at}", at) for at in (30.0, 10.0, 20.0)]
        for card in cards:
            store.add_model_card(card)
        newer = cards[0].model_copy(update={"fit_seconds": 7.0})
        store.add_model_card(newer)
        assert store.model_cards() == [cards[1], cards[2], newer]

    def test_passes_come_by_number(self, store: Store) -> None:
        passes = [
            Pass(number=n, started_at=0.0, finished_at=1.0, actions=("train",)) for n in (10, 2, 1)
        ]
        for one in passes:
            store.add_pass(one)
        changed = passes[0].model_copy(update={"picked": ("calculation-1",)})
        store.add_pass(changed)
        assert store.passes() == [passes[2], passes[1], changed]
        assert store.count_passes() == 3

    def test_values_are_set_replaced_and_deleted(self, store: Store) -> None:
        store.set_value("stop", {"by": "user", "at": [1, 2.5, None]})
        assert store.value("stop") == {"by": "user", "at": [1, 2.5, None]}
        store.set_value("stop", False)
        store.set_value("other", 1)
        assert store.value("stop") is False
        store.set_value("stop", None)
        store.set_value("never there", None)
        assert store.value("stop") is None
        assert store.value("other") == 1
        store.set_value("more", [None])
        assert list(store.values().items()) == [("more", [None]), ("other", 1)]

    @pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}, {1, 2}, b"bytes"])
    def test_a_value_that_is_not_json_is_refused(self, store: Store, value: object) -> None:
        store.set_value("key", "before")
        with pytest.raises(StoreError, match="key"):
            store.set_value("key", value)
        assert store.value("key") == "before"

    def test_a_record_that_is_not_json_is_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="ModelCard"):
            store.add_model_card(
                self._card("card", 1.0).model_copy(update={"metrics": {"mae": float("nan")}})
            )
        assert store.model_cards() == []

    # --- lease --------------------------------------------------------------------------------

    def test_one_holder_has_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        with pytest.raises(LeaseHeldError, match="localhost"):
            store.acquire_lease(lease("second", 160.0))
        assert store.lease() == lease("first", 100.0)

    def test_the_holder_may_take_its_lease_again(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.acquire_lease(lease("first", 120.0))
        assert store.lease() == lease("first", 120.0)

    def test_an_expired_lease_is_taken_over(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.acquire_lease(lease("second", 160.5))
        assert store.lease() == lease("second", 160.5)
        with pytest.raises(LeaseHeldError, match="first"):
            store.renew_lease("first", 161.0)
        assert store.lease() == lease("second", 160.5)

    def test_a_heartbeat_keeps_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.renew_lease("first", 150.0)
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("second", 205.0))
        assert store.lease() == lease("first", 100.0).model_copy(update={"heartbeat_at": 150.0})

    def test_expiry_is_measured_by_the_lease_that_is_held(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0, ttl_seconds=10.0))
        store.acquire_lease(lease("second", 111.0, ttl_seconds=1000.0))
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("third", 500.0, ttl_seconds=1.0))

    def test_of_two_that_replace_a_dead_holder_the_second_is_refused(self, store: Store) -> None:
        store.acquire_lease(lease("dead", 100.0))
        store.acquire_lease(lease("second", 101.0), replacing="dead")
        assert store.lease() == lease("second", 101.0)
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("third", 101.5), replacing="dead")
        with pytest.raises(LeaseHeldError):
            store.renew_lease("dead", 102.0)
        assert store.lease() == lease("second", 101.0)

    def test_a_lease_is_free_when_the_dead_holder_is_gone_or_expired(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0), replacing="dead")
        store.acquire_lease(lease("second", 160.5), replacing="dead")
        assert store.lease() == lease("second", 160.5)

    def test_a_fenced_store_changes_nothing_without_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.fence("first")
        store.add_candidates([candidate(1)])
        store.renew_lease("first", 101.0)
        store.acquire_lease(lease("second", 102.0), replacing="first")
        for change in (
            lambda: store.add_candidates([candidate(2)]),
            lambda: store.update_candidates([candidate(1)]),
            lambda: store.add_calculation(calculation(1)),
            lambda: store.add_observations([observation(1)]),
            lambda: store.set_value("stopped", "now"),
            lambda: store.renew_lease("first", 103.0),
        ):
            with pytest.raises(LeaseHeldError):
                change()
        assert list(store.candidates()) == [candidate(1)]
        assert not store.calculations()
        assert not store.observations()
        store.fence(None)
        store.set_value("stopped", "now")
        assert store.value("stopped") == "now"

    def test_only_the_holder_releases_the_lease(self, store: Store) -> None:
        store.release_lease("nobody")
        store.acquire_lease(lease("first", 100.0))
        store.release_lease("second")
        assert store.lease() == lease("first", 100.0)
        store.release_lease("first")
        assert store.lease() is None
        with pytest.raises(LeaseHeldError):
            store.renew_lease("first", 101.0)
        store.acquire_lease(lease("second", 102.0))

    # --- any record, and what lasts -----------------------------------------------------------

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
        self._run(store, 1)
        store.finish("calculation-1", RUNNING, [observation(1)])
        store.quarantine("observation-1", "odd")
        store.add_model_card(self._card("card", 1.0))
        store.add_pass(Pass(number=1, started_at=0.0, finished_at=1.0, actions=()))
        store.acquire_lease(lease("first", 100.0))
        store.set_value("position", 17)
        before = self._content(store)
        store.close()
        store = open_store()
        assert self._content(store) == before
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

    def _run(self, store: Store, number: int) -> None:
        store.add_calculation(calculation(number))
        store.transition(f"calculation-{number}", PROPOSED, SUBMITTED)
        store.transition(f"calculation-{number}", SUBMITTED, RUNNING)

    def _card(self, identity: str, created_at: float) -> ModelCard:
        return ModelCard(
            id=identity,
            surrogate="gp",
            created_at=created_at,
            data_hash="hash",
            n_observations=1,
            fit_seconds=0.5,
            metrics={"mae": 0.25, "spearman": None},
            details={"kernel": {"name": "rbf", "state": 2**100}},
        )

    def _content(self, store: Store) -> list[Any]:
        return [
            list(store.candidates()),
            store.calculations(),
            store.observations(quarantined=True),
            store.model_cards(),
            store.passes(),
            store.lease(),
            store.value("position"),
        ]
