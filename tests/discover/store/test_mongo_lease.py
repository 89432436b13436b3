"""What a process writes on MongoDB that was frozen, cut off or killed, before each of its requests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import mongomock
import pymongo.errors
import pytest

from discover.errors import LeaseHeldError, StateConflictError, StoreOutageError
from discover.records import CalculationState, CandidateState, ModelCard, Pass
from discover.store.conformance import calculation, candidate, lease, observation
from discover.store.mongo import MongoStore

PROPOSED, SUBMITTED, RUNNING, DONE, FAILED, CANCELLED, UNKNOWN = CalculationState
READY, REJECTED = CandidateState.READY, CandidateState.REJECTED

Change = Callable[[MongoStore], object]
ThreeProcesses = Callable[[], list[MongoStore]]


def card(identity: str, surrogate: str) -> ModelCard:
    return ModelCard(
        id=identity,
        surrogate=surrogate,
        created_at=1.0,
        data_hash="hash",
        n_observations=1,
        fit_seconds=0.5,
        metrics={},
        details={},
    )


def turn(number: int, at: float) -> Pass:
    return Pass(number=number, started_at=at, finished_at=at + 1, actions=())


CHANGES: dict[str, Change] = {
    "add_candidates": lambda s: s.add_candidates([candidate(1), candidate(3), candidate(4)]),
    "update_candidates": lambda s: s.update_candidates([candidate(n, READY) for n in (1, 2)]),
    "add_calculation": lambda s: s.add_calculation(calculation(3)),
    "transition": lambda s: s.transition("calculation-2", PROPOSED, SUBMITTED, native_id="first"),
    "finish": lambda s: s.finish(
        "calculation-1", RUNNING, [observation(1), observation(1, "density")], seconds=1.0
    ),
    "add_observations": lambda s: s.add_observations([observation(2), observation(3)]),
    "quarantine": lambda s: s.quarantine("observation-2", "first"),
    "add_model_card": lambda s: s.add_model_card(card("card", "first")),
    "replace_model_card": lambda s: s.add_model_card(card("known card", "first")),
    "add_pass": lambda s: s.add_pass(turn(2, 20.0)),
    "replace_pass": lambda s: s.add_pass(turn(1, 20.0)),
    "set_value": lambda s: s.set_value("position", 1),
    "replace_value": lambda s: s.set_value("known", 1),
    "delete_value": lambda s: s.set_value("known", None),
}
"""What the first holder was about to do."""


def begin(store: MongoStore) -> None:
    store.add_candidates([candidate(1), candidate(2)])
    for number in (1, 2):
        store.add_calculation(calculation(number))
    store.transition("calculation-1", PROPOSED, SUBMITTED)
    store.transition("calculation-1", SUBMITTED, RUNNING)
    store.add_observations([observation(2).model_copy(update={"value": 0.5})])
    store.add_model_card(card("known card", "gp"))
    store.add_pass(turn(1, 10.0))
    store.set_value("known", 0)
    store.acquire_lease(lease("first", 100.0))
    store.fence("first")


def act(store: MongoStore) -> None:
    """What the next holder does: something else with all that the first one touches."""
    store.add_candidates([candidate(4, REJECTED), candidate(5)])
    store.update_candidates([candidate(n, REJECTED) for n in (1, 2)])
    store.add_calculation(calculation(3))
    for one in store.calculations(frozenset({PROPOSED, SUBMITTED, RUNNING})):
        store.transition(one.id, one.state, CANCELLED)
    store.add_observations([observation(2).model_copy(update={"value": 7.0})])
    store.quarantine("observation-2", None)
    store.add_model_card(card("card", "second"))
    store.add_model_card(card("known card", "second"))
    store.add_pass(turn(1, 30.0))
    store.add_pass(turn(2, 30.0))
    store.set_value("position", None)
    store.set_value("known", 2)


def contents(store: MongoStore) -> list[Any]:
    return [
        list(store.candidates()),
        store.calculations(),
        store.observations(quarantined=True),
        store.model_cards(),
        store.passes(),
        store.values(),
    ]


class Killed(BaseException):
    """SIGKILL."""


class Requests:
    """Calls `happen` right before the request of this number that a store sends, or right after it."""

    def __init__(
        self, store: MongoStore, number: int, happen: Callable[[], None], *, after: bool = False
    ) -> None:
        self._left, self._happen, self._after = number, happen, after
        self.happened = False
        for what, collection in store._collections.items():
            store._collections[what] = Watched(collection, self)  # type: ignore[assignment]

    def send(self, request: Callable[[], Any]) -> Any:
        """The answer to a request."""
        due, self._left = self._left == 0, self._left - 1
        if due and not self._after:
            self._now()
        answer = request()
        if due and self._after:
            self._now()
        return answer

    def _now(self) -> None:
        self.happened = True
        self._happen()


class Watched:
    """A collection whose requests are watched."""

    def __init__(self, collection: Any, requests: Requests) -> None:
        self._collection, self._requests = collection, requests

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._collection, name)
        return lambda *args, **options: self._requests.send(lambda: call(*args, **options))


def announce_and_die(store: MongoStore, change: Change) -> None:
    """The first holder is killed once it has announced a change."""
    store.set_value("known", 0)  # and has nothing else to make
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store._steered, "_make", lambda *_: killed())
        with pytest.raises(Killed):
            change(store)


def killed() -> None:
    raise Killed


def cut_off() -> None:
    raise pymongo.errors.AutoReconnect("connection closed")


@pytest.fixture(scope="module")
def opened(mongodb: str | None) -> Iterator[list[MongoStore]]:
    """One campaign, opened by three processes."""
    database: Any = mongomock.MongoClient().get_database("discover")
    name = f"test-{uuid.uuid4().hex[:8]}"
    three = [
        MongoStore(database, name) if mongodb is None else MongoStore.connect(mongodb, name)
        for _ in range(3)
    ]
    yield three
    for collection in three[0]._collections.values():
        collection.drop()
    for store in three:
        store.close()


@pytest.fixture
def processes(opened: list[MongoStore]) -> Iterator[ThreeProcesses]:
    """Empties the campaign and gives its three processes; the first one has the lease and is fenced."""
    collections = [dict(store._collections) for store in opened]

    def stop_watching() -> None:
        for store, its_own in zip(opened, collections, strict=True):
            store.fence(None)
            store._collections.update(its_own)

    def begin_anew() -> list[MongoStore]:
        stop_watching()
        for collection in opened[0]._collections.values():
            collection.delete_many({"_id": {"$nin": ["format", "next"]}})
        begin(opened[0])
        return opened

    yield begin_anew
    stop_watching()


@pytest.fixture
def outcomes(processes: ThreeProcesses) -> Callable[[Change], tuple[list[Any], list[Any]]]:
    """What a store holds before a change and after it."""

    def both(change: Change) -> tuple[list[Any], list[Any]]:
        store = processes()[0]
        before = contents(store)
        change(store)
        return before, contents(store)

    return both


@pytest.mark.parametrize(
    ("name", "acts"),
    [*((name, True) for name in CHANGES), ("add_candidates", False), ("set_value", False)],
)
def test_who_was_frozen_before_a_request_changes_nothing_after_it(
    processes: ThreeProcesses, outcomes: Callable[..., Any], name: str, acts: bool
) -> None:
    """And the next holder finds the change made, or not made, and never half of it."""
    whole = outcomes(CHANGES[name])
    found = []
    for number in count():
        first, second, _ = processes()
        seen: list[Any] = []

        def take_over(second: MongoStore = second, seen: list[Any] = seen) -> None:
            second.acquire_lease(lease("second", 101.0), replacing="first")
            second.fence("second")
            seen.append(contents(second))
            if acts:
                act(second)
            seen.append(contents(second))

        requests = Requests(first, number, take_over)
        try:
            CHANGES[name](first)
        except (LeaseHeldError, StateConflictError):
            assert requests.happened
        if not requests.happened:
            break
        assert seen[0] in whole
        found.append(whole.index(seen[0]))
        assert contents(second) == seen[1]
        with pytest.raises(LeaseHeldError):
            first.set_value("late", True)
        assert contents(second) == seen[1]
    assert found == sorted(found)
    assert set(found) == {0, 1}, "it was frozen before it announced its change, and after"


@pytest.mark.parametrize("name", ["add_candidates", "finish"])
def test_who_takes_over_and_is_killed_at_it_leaves_it_to_the_next(
    processes: ThreeProcesses, outcomes: Callable[..., Any], name: str
) -> None:
    whole = outcomes(CHANGES[name])
    for number in count():
        first, second, third = processes()
        announce_and_die(first, CHANGES[name])
        requests = Requests(second, number, killed)
        try:
            second.acquire_lease(lease("second", 101.0), replacing="first")
        except Killed:
            third.acquire_lease(lease("third", 102.0), replacing=third.lease().holder)  # type: ignore[union-attr]
        assert contents(third) == whole[1]
        if not requests.happened:
            break
    assert number >= 3


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_who_was_cut_off_finishes_before_it_goes_on(
    processes: ThreeProcesses, outcomes: Callable[..., Any], name: str, after: bool
) -> None:
    """The connection drops before a request arrives, or before its answer does."""
    whole = outcomes(CHANGES[name])
    for number in count():
        store = processes()[0]
        requests = Requests(store, number, cut_off, after=after)
        try:
            CHANGES[name](store)
        except StoreOutageError:
            store.set_value("next", True)
            store.set_value("next", None)
            assert contents(store) in whole
        else:
            break
    assert requests.happened is False


def test_what_did_not_apply_in_its_time_does_not_apply_later(processes: ThreeProcesses) -> None:
    """A user's command moves a calculation between its move's announcement and its move."""
    first, second, user = processes()

    def take_over() -> None:
        user.transition("calculation-1", RUNNING, UNKNOWN)
        second.acquire_lease(lease("second", 101.0), replacing="first")
        second.fence("second")
        assert second.calculation("calculation-1").state == UNKNOWN
        user.transition("calculation-1", UNKNOWN, RUNNING)

    first.set_value("known", 0)
    requests = Requests(first, 2, take_over)  # read it, announce, move it
    with pytest.raises(LeaseHeldError):
        first.transition("calculation-1", RUNNING, FAILED, reason="late")
    assert requests.happened
    assert second.calculation("calculation-1").state == RUNNING


def test_a_lease_that_was_given_back_leaves_what_was_announced(processes: ThreeProcesses) -> None:
    first, second, _ = processes()
    announce_and_die(first, CHANGES["finish"])
    first.release_lease("first")
    assert second.lease() is None
    assert second.calculation("calculation-1").state == RUNNING
    second.acquire_lease(lease("second", 101.0))
    assert second.calculation("calculation-1").state == DONE
    assert [o.id for o in second.observations()] == ["observation-2", "observation-1"]


def test_a_lease_whose_document_was_removed_by_hand_goes_on_after_its_serials(
    processes: ThreeProcesses,
) -> None:
    store = processes()[0]
    for number in range(5):
        store.set_value("known", number)
    store._collections["meta"].delete_one({"_id": "lease"})
    store.acquire_lease(lease("second", 101.0))
    store.fence("second")
    store.set_value("known", "changed")
    assert store.value("known") == "changed"


def test_changes_of_any_size_are_announced(processes: ThreeProcesses) -> None:
    """Many are announced in portions, and one that fills a document is."""
    first, second, _ = processes()
    many = [candidate(n).model_copy(update={"formula": "x" * 5000}) for n in range(10, 1010)]
    assert len(first.add_candidates(many)) == 1000
    assert first.add_candidates([*many[-1:], candidate(1010)]) == ["candidate-1010"]
    first.set_value("large", "x" * (15 * 2**20))
    second.acquire_lease(lease("second", 101.0), replacing="first")
    assert second.count_candidates()[CandidateState.PROPOSED] == 2 + 1001
    assert len(second.value("large")) == 15 * 2**20
