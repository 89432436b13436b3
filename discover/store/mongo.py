"""The store on a MongoDB server, shared by campaigns and by processes on several machines."""

# ruff: noqa: D102 -- the interface documents these methods

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pymongo.database import Database

from discover.errors import StateConflictError, StoreError, UnknownRecordError
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
from discover.store import mongo_server, rules
from discover.store.base import Store
from discover.store.mongo_documents import Document, fitting, to_document, to_record
from discover.store.mongo_lease import SteeredWrites, insertion, replacement, update

R = TypeVar("R", bound=Record)

PAGE = 500


class MongoStore(Store):
    """A campaign's memory in the collections `discover.<campaign>.<what>` of a database.

    Records are native documents under their own id; `ModelCard.details` and named values are JSON
    text. One document changes atomically, and no transactions are needed: a method that changes several
    (candidates, observations) and is cut short has changed some of them. Whoever steers changes the rest
    before anything else (`mongo_lease`); without the lease the method is called again. A record that is
    too large for a document is refused with StoreError. Opened `read_only` it changes nothing, and its
    methods that would raise StoreError.
    """

    def __init__(
        self, database: Database[Document], campaign: str, *, read_only: bool = False
    ) -> None:
        self._database = database
        self._campaign = campaign
        self._read_only = read_only
        self._collections = mongo_server.collections_of(database, campaign)
        self._steered = SteeredWrites(self._collections, str(self))
        with mongo_server.guard(str(self)):
            mongo_server.lay_out(self._collections, str(self), read_only=read_only)

    @classmethod
    def connect(cls, location: str, campaign: str, *, read_only: bool = False) -> MongoStore:
        """The store of a campaign at `mongodb://host/database`; StoreOutageError where nobody answers."""
        database = mongo_server.connect(location)
        try:
            return cls(database, campaign, read_only=read_only)
        except BaseException:
            database.client.close()
            raise

    def __str__(self) -> str:
        return f"MongoDB database {self._database.name!r}, campaign {self._campaign!r}"

    # --- candidates ---------------------------------------------------------------------------

    def add_candidates(self, candidates: Sequence[Candidate]) -> list[str]:
        if not candidates:
            return []
        documents = [to_document(c) for c in candidates]
        first = self._positions(len(candidates))
        known = self._write(
            [insertion("candidates", d | {"position": first + i}) for i, d in enumerate(documents)]
        )
        return [c.id for i, c in enumerate(candidates) if i not in known]

    def update_candidates(self, candidates: Sequence[Candidate]) -> None:
        ids = {c.id for c in candidates}
        found = self._find("candidates", {"_id": {"$in": sorted(ids)}}, {"_id": True})
        unknown = ids - {document["_id"] for document in found}
        if unknown:
            raise self._unknown("candidate", min(unknown))
        last = {c.id: to_document(c) for c in candidates}
        self._write([update("candidates", known, document) for known, document in last.items()])

    def candidate(self, candidate_id: str) -> Candidate:
        return self._one(Candidate, "candidates", candidate_id)

    def candidates(self, state: CandidateState | None = None) -> Iterator[Candidate]:
        wanted = {"state": state.value} if state else {}
        position = -1
        while documents := self._find(
            "candidates",
            wanted | {"position": {"$gt": position}},
            order=("position",),
            limit=PAGE,
        ):
            yield from (to_record(Candidate, document, str(self)) for document in documents)
            position = documents[-1]["position"]

    def count_candidates(self) -> dict[CandidateState, int]:
        return {s: self._count("candidates", {"state": s.value}) for s in CandidateState}

    def candidate_page(
        self, offset: int, limit: int, state: CandidateState | None = None
    ) -> list[Candidate]:
        if not limit:  # MongoDB takes 0 for "all"
            return []
        wanted = {"state": state.value} if state else {}
        return self._all(Candidate, "candidates", wanted, "position", skip=offset, limit=limit)

    def candidate_sample(self, n: int) -> list[Candidate]:
        with mongo_server.guard(str(self)):
            newest = self._collections["candidates"].find_one(
                {}, {"position": True}, sort=[("position", -1)]
            )
        last = newest["position"] if newest else 0
        wanted = {round((i + 0.5) * last / n) for i in range(n)} if last >= n else range(last + 1)
        return self._all(Candidate, "candidates", {"position": {"$in": sorted(wanted)}}, "position")

    # --- calculations -------------------------------------------------------------------------

    def add_calculation(self, calculation: Calculation) -> bool:
        rules.check_proposed(calculation)
        return not self._write([insertion("calculations", to_document(calculation))])

    def calculation(self, calculation_id: str) -> Calculation:
        return self._one(Calculation, "calculations", calculation_id)

    def calculations(self, states: frozenset[CalculationState] | None = None) -> list[Calculation]:
        wanted = sorted(state.value for state in (CalculationState if states is None else states))
        return self._all(Calculation, "calculations", {"state": {"$in": wanted}}, "order", "_id")

    def count_calculations(self) -> dict[CalculationState, int]:
        return {s: self._count("calculations", {"state": s.value}) for s in CalculationState}

    def transition(
        self,
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        **changes: Any,
    ) -> Calculation:
        return self._move([], calculation_id, expected, new, changes)

    def finish(
        self,
        calculation_id: str,
        expected: CalculationState,
        observations: Sequence[Observation],
        **changes: Any,
    ) -> Calculation:
        done = CalculationState.DONE
        return self._move(observations, calculation_id, expected, done, changes)

    # --- observations -------------------------------------------------------------------------

    def add_observations(self, observations: Sequence[Observation]) -> None:
        self._write(self._to_keep(observations))

    def observations(
        self, property_name: str | None = None, *, quarantined: bool = False
    ) -> list[Observation]:
        wanted: Document = {} if property_name is None else {"property": property_name}
        if not quarantined:
            wanted["quarantined"] = None
        return self._all(Observation, "observations", wanted, "position")

    def quarantine(self, observation_id: str, reason: str | None) -> None:
        if not self._find("observations", {"_id": observation_id}, {"_id": True}):
            raise self._unknown("observation", observation_id)
        self._write([update("observations", observation_id, {"quarantined": reason})])

    # --- models and passes --------------------------------------------------------------------

    def add_model_card(self, card: ModelCard) -> None:
        document = to_document(card)
        self._write([replacement("model_cards", document, position=self._positions(1))])

    def model_cards(self) -> list[ModelCard]:
        return self._all(ModelCard, "model_cards", {}, "created_at", "position")

    def add_pass(self, record: Pass) -> None:
        self._write([replacement("passes", to_document(record) | {"_id": record.number})])

    def passes(self) -> list[Pass]:
        return self._all(Pass, "passes", {}, "_id")

    def count_passes(self) -> int:
        return self._count("passes", {})

    # --- who steers, and what users ask -------------------------------------------------------

    def acquire_lease(self, lease: Lease, *, replacing: str | None = None) -> None:
        self._check_writable()
        with mongo_server.guard(str(self)):
            self._steered.acquire(lease, replacing)

    def renew_lease(self, holder: str, now: float) -> None:
        self._check_writable()
        with mongo_server.guard(str(self)):
            self._steered.renew(holder, now)

    def release_lease(self, holder: str) -> None:
        self._check_writable()
        with mongo_server.guard(str(self)):
            self._steered.release(holder)

    def lease(self) -> Lease | None:
        with mongo_server.guard(str(self)):
            return self._steered.lease()

    def fence(self, holder: str | None) -> None:
        self._steered.fence(holder)

    def set_value(self, key: str, value: Any) -> None:
        what = f"the value {key!r}"
        # What is deleted stays as null: a late write of another holder must find its serial.
        document = fitting({"_id": key, "content": rules.to_json(value, what)}, what)
        self._write([replacement("values", document)])

    def value(self, key: str) -> Any:
        found = self._find("values", {"_id": key})
        return json.loads(found[0]["content"]) if found else None

    def values(self) -> dict[str, Any]:
        found = self._find("values", {"content": {"$ne": "null"}}, order=("_id",))
        return {document["_id"]: json.loads(document["content"]) for document in found}

    def close(self) -> None:
        self._database.client.close()

    # --- MongoDB ------------------------------------------------------------------------------

    def _check_writable(self) -> None:
        if self._read_only:
            raise StoreError(f"{self}: was opened for reading only")

    def _write(self, changes: Sequence[Document]) -> set[int]:
        self._check_writable()
        with mongo_server.guard(str(self)):
            return self._steered.write(changes)

    def _positions(self, n: int) -> int:
        """The first of `n` positions that nobody else has or will have."""
        self._check_writable()
        with mongo_server.guard(str(self)):
            counter = self._collections["meta"].find_one_and_update(
                {"_id": "next"}, {"$inc": {"position": n}}
            )
        if counter is None:
            raise StoreError(f"{self}: has lost its counter of positions; restore it from a copy")
        return int(counter["position"])

    def _to_keep(self, observations: Sequence[Observation]) -> list[Document]:
        documents = {one.id: to_document(one) for one in observations}  # the last of each id
        first = self._positions(len(documents))
        return [
            replacement("observations", document, position=first + i)
            for i, document in enumerate(documents.values())
        ]

    def _move(
        self,
        observations: Sequence[Observation],
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        changes: dict[str, Any],
    ) -> Calculation:
        moved = rules.advance(self.calculation(calculation_id), expected, new, changes)
        document = to_document(moved)
        fields = {key: document[key] for key in ("state", *changes)}
        to_make = self._to_keep(observations) if observations else []
        to_make.append(update("calculations", calculation_id, fields, state=expected.value))
        if len(to_make) - 1 in self._write(to_make):
            raise StateConflictError(
                f"calculation {calculation_id} has just left {expected}: left as it is"
            )
        return moved

    def _find(
        self,
        what: str,
        wanted: Document,
        fields: Document | None = None,
        *,
        order: Sequence[str] = (),
        skip: int = 0,
        limit: int = 0,
    ) -> list[Document]:
        with mongo_server.guard(str(self)):
            found = self._collections[what].find(wanted, fields, skip=skip, limit=limit)
            return list(found.sort([(key, 1) for key in order]) if order else found)

    def _count(self, what: str, wanted: Document) -> int:
        with mongo_server.guard(str(self)):
            return int(self._collections[what].count_documents(wanted))

    def _all(
        self,
        kind: type[R],
        what: str,
        wanted: Document,
        *order: str,
        skip: int = 0,
        limit: int = 0,
    ) -> list[R]:
        found = self._find(what, wanted, order=order, skip=skip, limit=limit)
        return [to_record(kind, document, str(self)) for document in found]

    def _one(self, kind: type[R], what: str, record_id: str) -> R:
        found = self._find(what, {"_id": record_id})
        if not found:
            raise self._unknown(kind.__name__.lower(), record_id)
        return to_record(kind, found[0], str(self))

    def _unknown(self, what: str, record_id: str) -> UnknownRecordError:
        return UnknownRecordError(f"{self}: has no {what} {record_id!r}")
