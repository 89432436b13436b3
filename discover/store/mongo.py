"""The store on a MongoDB server, shared by campaigns and by processes on several machines."""

# ruff: noqa: D102 -- the interface documents these methods

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import bson
import pymongo
from bson.errors import BSONError
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    PyMongoError,
    WTimeoutError,
)

from discover.errors import (
    StateConflictError,
    StoreError,
    StoreOutageError,
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
    Record,
)
from discover.store import rules
from discover.store.base import FORMAT_VERSION, Store

R = TypeVar("R", bound=Record)
Document = dict[str, Any]

ANSWER_MILLISECONDS = 10_000
PAGE = 500
DUPLICATE_KEY = 11000
LARGEST_BYTES = 16 * 2**20 - 16 * 2**10
"""What MongoDB takes as one document, less what it may add to an update."""
OUTAGES = (ConnectionFailure, ExecutionTimeout, WTimeoutError)
"""What may be over in a while: no server, none that may write, one that does not answer in time."""
SHUTTING_DOWN = frozenset({11600, 14031, 91})
"""Codes of an interrupted operation, a full disk and a shutdown (MongoDB's error_codes.yml)."""


class MongoStore(Store):
    """A campaign's memory in the collections `discover.<campaign>.<what>` of a database.

    Records are native documents under their own id; `ModelCard.details` and named values are JSON
    text, as BSON refuses some of what JSON allows. Writes are acknowledged by a majority of the
    servers and are in their journal. One document changes atomically; a method that changes several
    (candidates, observations) and is cut short has done the first of them and can be called again. A
    record that is too large for a document is refused with StoreError. Opened `read_only` it changes
    nothing, and its methods that would raise StoreError.
    """

    def __init__(
        self, database: Database[Document], campaign: str, *, read_only: bool = False
    ) -> None:
        self._database = database
        self._campaign = campaign
        self._read_only = read_only
        self._fence: str | None = None
        self._candidates = self._collection("candidates")
        self._calculations = self._collection("calculations")
        self._observations = self._collection("observations")
        self._model_cards = self._collection("model_cards")
        self._passes = self._collection("passes")
        self._values = self._collection("values")
        self._meta = self._collection("meta")
        with self._guard():
            self._prepare()

    @classmethod
    def connect(cls, location: str, campaign: str, *, read_only: bool = False) -> MongoStore:
        """The store of a campaign at `mongodb://host/database`; StoreOutageError where nobody answers."""
        try:
            client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                location,
                serverSelectionTimeoutMS=ANSWER_MILLISECONDS,
                w="majority",
                journal=True,
                readConcernLevel="majority",
            )
            database = client.get_default_database()
        except (PyMongoError, ValueError) as error:
            raise StoreError(f"write the store as mongodb://host/database: {error}") from error
        try:
            return cls(database, campaign, read_only=read_only)
        except BaseException:
            client.close()
            raise

    # --- candidates ---------------------------------------------------------------------------

    def add_candidates(self, candidates: Sequence[Candidate]) -> list[str]:
        if not candidates:
            return []
        first = self._positions(len(candidates))
        documents = [_document(c) | {"position": first + i} for i, c in enumerate(candidates)]
        known: set[int] = set()
        with self._change():
            try:
                self._candidates.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                refused = error.details["writeErrors"]
                if any(one["code"] != DUPLICATE_KEY for one in refused):
                    raise
                known = {one["index"] for one in refused}
        return [c.id for i, c in enumerate(candidates) if i not in known]

    def update_candidates(self, candidates: Sequence[Candidate]) -> None:
        ids = {c.id for c in candidates}
        with self._change():
            cursor = self._candidates.find({"_id": {"$in": sorted(ids)}}, {"_id": True})
            unknown = ids - {document["_id"] for document in cursor}
            if unknown:
                raise self._unknown("candidate", min(unknown))
            for c in candidates:
                self._candidates.update_one({"_id": c.id}, {"$set": _document(c)})

    def candidate(self, candidate_id: str) -> Candidate:
        return self._one(Candidate, self._candidates, candidate_id)

    def candidates(self, state: CandidateState | None = None) -> Iterator[Candidate]:
        wanted = {"state": state.value} if state else {}
        position = -1
        while documents := self._page(wanted | {"position": {"$gt": position}}):
            yield from (self._record(Candidate, document) for document in documents)
            position = documents[-1]["position"]

    def count_candidates(self) -> dict[CandidateState, int]:
        with self._guard():
            return {
                state: self._candidates.count_documents({"state": state.value})
                for state in CandidateState
            }

    def candidate_page(
        self, offset: int, limit: int, state: CandidateState | None = None
    ) -> list[Candidate]:
        wanted = {"state": state.value} if state else {}
        with self._guard():
            found = self._candidates.find(wanted).sort("position", 1).skip(offset)
            documents = list(found.limit(limit)) if limit else []  # MongoDB takes 0 for "all"
        return [self._record(Candidate, document) for document in documents]

    def candidate_sample(self, n: int) -> list[Candidate]:
        with self._guard():
            newest = self._candidates.find_one({}, {"position": True}, sort=[("position", -1)])
        last = newest["position"] if newest else 0
        wanted = {round((i + 0.5) * last / n) for i in range(n)} if last >= n else range(last + 1)
        with self._guard():
            found = self._candidates.find({"position": {"$in": sorted(wanted)}})
            documents = list(found.sort("position", 1))
        return [self._record(Candidate, document) for document in documents]

    # --- calculations -------------------------------------------------------------------------

    def add_calculation(self, calculation: Calculation) -> bool:
        rules.check_proposed(calculation)
        with self._change():
            try:
                self._calculations.insert_one(_document(calculation))
            except DuplicateKeyError:
                return False
        return True

    def calculation(self, calculation_id: str) -> Calculation:
        return self._one(Calculation, self._calculations, calculation_id)

    def calculations(self, states: frozenset[CalculationState] | None = None) -> list[Calculation]:
        wanted = sorted(state.value for state in (CalculationState if states is None else states))
        return self._all(
            Calculation, self._calculations, {"state": {"$in": wanted}}, "order", "_id"
        )

    def count_calculations(self) -> dict[CalculationState, int]:
        with self._guard():
            return {
                state: self._calculations.count_documents({"state": state.value})
                for state in CalculationState
            }

    def transition(
        self,
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        **changes: Any,
    ) -> Calculation:
        moved = rules.advance(self.calculation(calculation_id), expected, new, changes)
        document = _document(moved)
        with self._change():
            found = self._calculations.find_one_and_update(
                {"_id": calculation_id, "state": expected.value},
                {"$set": {key: document[key] for key in ("state", *changes)}},
                return_document=pymongo.ReturnDocument.AFTER,
            )
        if found is None:
            raise StateConflictError(
                f"calculation {calculation_id} has just left {expected}: left as it is"
            )
        return self._record(Calculation, found)

    def finish(
        self,
        calculation_id: str,
        expected: CalculationState,
        observations: Sequence[Observation],
        **changes: Any,
    ) -> Calculation:
        done = CalculationState.DONE
        rules.advance(self.calculation(calculation_id), expected, done, changes)
        self.add_observations(observations)
        return self.transition(calculation_id, expected, done, **changes)

    # --- observations -------------------------------------------------------------------------

    def add_observations(self, observations: Sequence[Observation]) -> None:
        first = self._positions(len(observations))
        with self._change():
            for i, observation in enumerate(observations):
                self._observations.update_one(
                    {"_id": observation.id},
                    {"$set": _document(observation), "$setOnInsert": {"position": first + i}},
                    upsert=True,
                )

    def observations(
        self, property_name: str | None = None, *, quarantined: bool = False
    ) -> list[Observation]:
        wanted: Document = {} if property_name is None else {"property": property_name}
        if not quarantined:
            wanted["quarantined"] = None
        return self._all(Observation, self._observations, wanted, "position")

    def quarantine(self, observation_id: str, reason: str | None) -> None:
        with self._change():
            changed = self._observations.update_one(
                {"_id": observation_id}, {"$set": {"quarantined": reason}}
            )
        if not changed.matched_count:
            raise self._unknown("observation", observation_id)

    # --- models and passes --------------------------------------------------------------------

    def add_model_card(self, card: ModelCard) -> None:
        position = self._positions(1)
        with self._change():
            self._model_cards.update_one(
                {"_id": card.id},
                {"$set": _document(card), "$setOnInsert": {"position": position}},
                upsert=True,
            )

    def model_cards(self) -> list[ModelCard]:
        return self._all(ModelCard, self._model_cards, {}, "created_at", "position")

    def add_pass(self, record: Pass) -> None:
        with self._change():
            self._passes.replace_one(
                {"_id": record.number}, _document(record) | {"_id": record.number}, upsert=True
            )

    def passes(self) -> list[Pass]:
        return self._all(Pass, self._passes, {}, "_id")

    def count_passes(self) -> int:
        with self._guard():
            return int(self._passes.count_documents({}))

    # --- who steers, and what users ask -------------------------------------------------------

    def acquire_lease(self, lease: Lease, *, replacing: str | None = None) -> None:
        taken = False
        while not taken:
            present = self.lease()
            rules.check_lease_free(present, lease, replacing)
            taken = self._replace_lease(present, lease)

    def renew_lease(self, holder: str, now: float) -> None:
        renewed = False
        while not renewed:
            present = rules.check_lease_kept(self.lease(), holder)
            renewed = self._replace_lease(present, present.model_copy(update={"heartbeat_at": now}))

    def release_lease(self, holder: str) -> None:
        with self._change(fenced=False):
            self._meta.delete_one({"_id": "lease", "holder": holder})

    def lease(self) -> Lease | None:
        with self._guard():
            document = self._meta.find_one({"_id": "lease"})
        return self._record(Lease, document) if document else None

    def fence(self, holder: str | None) -> None:
        self._fence = holder

    def set_value(self, key: str, value: Any) -> None:
        content = rules.to_json(value, f"the value {key!r}")
        with self._change():
            if value is None:
                self._values.delete_one({"_id": key})
            else:
                document = _fitting({"content": content}, f"the value {key!r}")
                self._values.replace_one({"_id": key}, document, upsert=True)

    def value(self, key: str) -> Any:
        with self._guard():
            document = self._values.find_one({"_id": key})
        return json.loads(document["content"]) if document else None

    def values(self) -> dict[str, Any]:
        with self._guard():
            documents = list(self._values.find().sort("_id", 1))
        return {document["_id"]: json.loads(document["content"]) for document in documents}

    def close(self) -> None:
        self._database.client.close()

    # --- MongoDB ------------------------------------------------------------------------------

    def _collection(self, what: str) -> Collection[Document]:
        return self._database[f"discover.{self._campaign}.{what}"]

    def _prepare(self) -> None:
        known = self._meta.find_one({"_id": "format"})
        if known:
            rules.check_version(known["version"], str(self))
        if self._read_only:
            return
        for document in (
            {"_id": "format", "version": FORMAT_VERSION},
            {"_id": "next", "position": 0},
        ):
            with suppress(DuplicateKeyError):
                self._meta.insert_one(document)
        self._meta.update_one({"_id": "format"}, {"$max": {"version": FORMAT_VERSION}})
        self._candidates.create_index("position", unique=True)
        self._candidates.create_index([("state", 1), ("position", 1)])
        self._calculations.create_index([("state", 1), ("order", 1)])
        self._observations.create_index([("property", 1), ("position", 1)])

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (PyMongoError, BSONError, OverflowError) as error:
            kind = StoreOutageError if _is_outage(error) else StoreError
            raise kind(f"{self}: {error}") from error

    @contextmanager
    def _change(self, *, fenced: bool = True) -> Iterator[None]:
        """As `_guard`, for what changes something: not where only to be read, or without the lease."""
        if self._read_only:
            raise StoreError(f"{self}: was opened for reading only")
        if fenced and self._fence is not None:
            rules.check_lease_kept(self.lease(), self._fence)
        with self._guard():
            yield

    def __str__(self) -> str:
        return f"MongoDB database {self._database.name!r}, campaign {self._campaign!r}"

    def _positions(self, n: int) -> int:
        """The first of `n` positions that nobody else has or will have."""
        with self._change():
            counter = self._meta.find_one_and_update({"_id": "next"}, {"$inc": {"position": n}})
        if counter is None:
            raise StoreError(f"{self}: has lost its counter of positions; restore it from a copy")
        return int(counter["position"])

    def _page(self, wanted: Document) -> list[Document]:
        with self._guard():
            return list(self._candidates.find(wanted).sort("position", 1).limit(PAGE))

    def _all(
        self, kind: type[R], collection: Collection[Document], wanted: Document, *order: str
    ) -> list[R]:
        with self._guard():
            documents = list(collection.find(wanted).sort([(key, 1) for key in order]))
        return [self._record(kind, document) for document in documents]

    def _one(self, kind: type[R], collection: Collection[Document], record_id: str) -> R:
        with self._guard():
            document = collection.find_one({"_id": record_id})
        if document is None:
            raise self._unknown(kind.__name__.lower(), record_id)
        return self._record(kind, document)

    def _record(self, kind: type[R], document: Document) -> R:
        content = {key: document[key] for key in document.keys() - {"_id", "position"}}
        if "id" in kind.model_fields:
            content["id"] = document["_id"]
        try:
            if "details" in content:
                content["details"] = json.loads(content["details"])
            return kind.model_validate(content)
        except ValueError as error:
            raise StoreError(f"{self}: holds a damaged {kind.__name__}: {error}") from error

    def _unknown(self, what: str, record_id: str) -> UnknownRecordError:
        return UnknownRecordError(f"{self}: has no {what} {record_id!r}")

    def _replace_lease(self, present: Lease | None, new: Lease) -> bool:
        """Put `new` where `present` is; False where somebody else was faster."""
        document = {"_id": "lease"} | _document(new)
        with self._change(fenced=False):
            if present is None:
                try:
                    self._meta.insert_one(document)
                except DuplicateKeyError:
                    return False
                return True
            unchanged = {"_id": "lease"} | _document(present)
            return self._meta.replace_one(unchanged, document).matched_count == 1


def _document(record: Record) -> Document:
    content = record.model_dump(mode="json")
    rules.to_json(content, f"a {type(record).__name__}")  # BSON would take NaN, JSON does not
    if "id" in content:
        content["_id"] = content.pop("id")
    if "details" in content:
        content["details"] = rules.to_json(content["details"], "details")
    return _fitting(content, f"a {type(record).__name__}")


def _fitting(document: Document, what: str) -> Document:
    """The document itself; StoreError where MongoDB would not take it, for its size or what it holds."""
    try:
        size = len(bson.encode(document))
    except (BSONError, OverflowError) as error:
        raise StoreError(f"{what} cannot be kept as a document: {error}") from error
    if size > LARGEST_BYTES:
        raise StoreError(
            f"{what} takes {size / 2**20:.0f} MB, and MongoDB keeps at most 16 MB as one document: large"
            " arrays belong into files of the job's directory"
        )
    return document


def _is_outage(error: Exception) -> bool:
    return isinstance(error, OUTAGES) or getattr(error, "code", None) in SHUTTING_DOWN
