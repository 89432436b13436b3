"""The MongoDB store on a server; where there is none, on mongomock (its logic)."""

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pymongo
import pymongo.errors
import pytest

from discover.errors import (
    LeaseHeldError,
    MissingDependencyError,
    StateConflictError,
    StoreError,
    StoreOutageError,
)
from discover.records import CalculationState, ModelCard
from discover.store import FORMAT_VERSION, open_store
from discover.store.conformance import StoreConformance, calculation, candidate, lease
from discover.store.mongo import MongoStore


class TestMongoStore(StoreConformance):
    @pytest.fixture
    def open_store(self, open_campaign):
        return open_campaign

    @pytest.fixture
    def make_newer(self, database, campaign):
        return lambda: database[f"discover.{campaign}.meta"].update_one(
            {"_id": "format"}, {"$set": {"version": FORMAT_VERSION + 1}}
        )


def test_campaigns_share_a_database_and_nothing_else(open_campaign):
    first, second = open_campaign(), open_campaign(".candidates")
    first.add_candidates([candidate(1), candidate(2)])
    first.set_value("stop", True)
    first.acquire_lease(lease("first", 1.0))
    assert list(second.candidates()) == []
    assert second.value("stop") is None
    second.acquire_lease(lease("second", 1.0))
    assert second.add_candidates([candidate(2)]) == ["candidate-2"]
    assert first.lease().holder == "first"


def test_a_transition_that_somebody_overtakes_conflicts(open_campaign, monkeypatch):
    """Between reading the calculation and writing it another process moves it."""
    store, other = open_campaign(), open_campaign()
    store.add_calculation(calculation(1))
    stale = store.calculation("calculation-1")
    proposed, submitted = CalculationState.PROPOSED, CalculationState.SUBMITTED
    other.transition("calculation-1", proposed, submitted, native_id="other")
    monkeypatch.setattr(store, "calculation", lambda _: stale)
    with pytest.raises(StateConflictError, match="just left"):
        store.transition("calculation-1", proposed, submitted, native_id="late")
    assert other.calculation("calculation-1").native_id == "other"


@pytest.mark.parametrize("before", [None, lease("dead", 1.0)])
def test_a_lease_that_somebody_overtakes_is_held(open_campaign, monkeypatch, before):
    """Two processes find the lease free (or expired) at the same moment."""
    store, other = open_campaign(), open_campaign()
    if before:
        other.acquire_lease(before)
    other.acquire_lease(lease("other", 500.0))
    fresh = store.lease
    answers = iter([before])
    monkeypatch.setattr(store, "lease", lambda: next(answers, None) or fresh())
    with pytest.raises(LeaseHeldError):
        store.acquire_lease(lease("late", 501.0), replacing="dead")
    assert other.lease() == lease("other", 500.0)


def test_records_are_native_documents(database, open_campaign, campaign):
    open_campaign().add_calculation(calculation(3))
    found = database[f"discover.{campaign}.calculations"].find_one({"state": "proposed"})
    assert (found["_id"], found["order"], found["engine"]) == ("calculation-3", 3, "emt")


def test_a_damaged_document_is_an_error(database, open_campaign, campaign):
    store = open_campaign()
    store.add_calculation(calculation(1))
    database[f"discover.{campaign}.calculations"].update_one({}, {"$unset": {"engine": ""}})
    with pytest.raises(StoreError, match="damaged Calculation"):
        store.calculation("calculation-1")


def test_what_bson_cannot_hold_is_an_error(open_campaign):
    store = open_campaign()
    with pytest.raises(StoreError, match="8-byte ints"):
        store.add_calculation(calculation(1).model_copy(update={"attempts": 2**70}))


@pytest.mark.parametrize(
    "location", ["mongodb://localhost", "mongodb://localhost:port/x", "mongodb://"]
)
def test_an_address_that_cannot_be_used(location):
    with pytest.raises(StoreError, match="mongodb://host/database"):
        open_store(location, "campaign")


def test_indexes_are_made_once(database, open_campaign, campaign, monkeypatch):
    """And again where the first opening was cut short."""
    candidates = database[f"discover.{campaign}.candidates"]

    def indexed():
        keys = [index["key"] for index in candidates.index_information().values()]
        return [("position", 1)] in keys and [("state", 1), ("position", 1)] in keys

    open_campaign()
    assert indexed()
    with monkeypatch.context() as patched:
        patched.setattr(type(candidates), "create_index", None)
        open_campaign()
    database[f"discover.{campaign}.meta"].delete_one({"_id": "format"})
    candidates.drop_indexes()
    open_campaign()
    assert indexed()


def test_a_store_that_is_read_lays_nothing_out(database, campaign, open_campaign):
    read = MongoStore(database, campaign, read_only=True)
    assert list(read.candidates()) == read.calculations() == []
    assert not [name for name in database.list_collection_names() if campaign in name]
    open_campaign().add_candidates([candidate(1)])
    assert list(read.candidates()) == [candidate(1)]
    for write in (
        lambda: read.add_candidates([candidate(2)]),
        lambda: read.acquire_lease(lease("holder", 0.0)),
        lambda: read.release_lease("holder"),
        lambda: read.set_value("stop", True),
    ):
        with pytest.raises(StoreError, match="for reading only"):
            write()


def test_what_is_too_large_for_a_document_is_refused(open_campaign):
    store = open_campaign()
    store.set_value("large", "x" * (15 * 2**20))
    with pytest.raises(StoreError, match=r"the value 'larger' takes 17 MB.*files of the job"):
        store.set_value("larger", "x" * (17 * 2**20))
    card = ModelCard(
        id="card",
        surrogate="gp",
        created_at=1.0,
        data_hash="",
        n_observations=0,
        observations=(),
        fit_seconds=1.0,
        metrics={},
        details={"held_out": "x" * (17 * 2**20)},
    )
    with pytest.raises(StoreError, match="a ModelCard takes 17 MB"):
        store.add_model_card(card)
    assert store.value("larger") is None
    assert store.model_cards() == []


def bulk_error(of_writes, of_concerns):
    """What a bulk raises some of whose writes failed, or were not acknowledged by a majority."""
    return pymongo.errors.BulkWriteError(
        {
            "writeErrors": [{"index": i, "code": code} for i, code in enumerate(of_writes)],
            "writeConcernErrors": [{"code": code} for code in of_concerns],
        }
    )


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (pymongo.errors.AutoReconnect("connection closed"), True),
        (pymongo.errors.NetworkTimeout("timed out"), True),
        (pymongo.errors.NotPrimaryError("not primary"), True),
        (pymongo.errors.ServerSelectionTimeoutError("no primary"), True),
        (pymongo.errors.WTimeoutError("waiting for replication timed out"), True),
        (pymongo.errors.OperationFailure("out of disk space", 14031), True),
        (bulk_error([11600], []), True),
        (bulk_error([], [64]), True),
        (bulk_error([11000, 121], []), False),
        (pymongo.errors.OperationFailure("not authorized", 13), False),
    ],
)
def test_what_may_be_over_in_a_while_is_an_outage(open_campaign, error, passes):
    store = open_campaign()

    def fail(*_, **__):
        raise error

    store._collections["values"] = SimpleNamespace(find=fail, bulk_write=fail)
    for ask in (lambda: store.value("stop"), lambda: store.set_value("stop", True)):
        with pytest.raises(StoreError) as told:
            ask()
        assert isinstance(told.value, StoreOutageError) is passes


def test_a_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr("discover.store.mongo_server.ANSWER_MILLISECONDS", 50)
    with pytest.raises(StoreOutageError, match="MongoDB database 'x', campaign 'mine'"):
        open_store("mongodb://127.0.0.1:9/x", "mine")


def test_a_missing_driver_names_the_extra(monkeypatch):
    for module in [name for name in sys.modules if name.startswith("discover.store.mongo")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(MissingDependencyError, match=r"discover-materials\[mongo\]"):
        open_store("mongodb://localhost/x", "campaign")


def test_of_many_threads_one_makes_the_transition(mongodb, campaign):
    if mongodb is None:
        pytest.skip("no MongoDB server: mongomock hands one document to several threads")
    stores = [open_store(mongodb, campaign) for _ in range(4)]
    stores[0].add_calculation(calculation(1))

    def submit(number):
        try:
            stores[number % 4].transition(
                "calculation-1",
                CalculationState.PROPOSED,
                CalculationState.SUBMITTED,
                native_id=str(number),
            )
        except StateConflictError:
            return None
        return str(number)

    with ThreadPoolExecutor(8) as pool:
        winners = [w for w in pool.map(submit, range(16)) if w]
    assert winners == [stores[0].calculation("calculation-1").native_id]
