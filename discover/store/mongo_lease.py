"""Who steers a campaign on MongoDB, and how everything that they write is fenced by it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import bson
import pymongo
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, DuplicateKeyError

from discover.records import Lease
from discover.store import rules
from discover.store.mongo_documents import Document, to_document, to_record

PORTION_BYTES = 2 * 2**20
"""Changes are announced in portions of about this size; one that is larger is a portion of its own."""
DUPLICATE_KEY = 11000
KEY = {"_id": "lease"}


def insertion(collection: str, document: Document) -> Document:
    """A change: this document is there, the one that has been there where there is one."""
    return {"in": collection, "insert": document}


def replacement(collection: str, document: Document, **first: Any) -> Document:
    """A change: these are the document's fields; it gets `first` as well where it is new."""
    return {"in": collection, "id": document["_id"], "set": document, "first": first}


def update(collection: str, record_id: str, fields: Document, **expected: Any) -> Document:
    """A change of some fields, where the document is there and has the `expected` ones."""
    change = {"in": collection, "id": record_id, "set": fields}
    return change | {"expected": expected} if expected else change


class SteeredWrites:
    """The lease's document, and all changes of a campaign's documents.

    A server without transactions changes one document atomically, so that to look at the lease and then
    to write somewhere else would leave a gap: a process frozen in it writes after it has lost the lease.
    Here whoever is fenced announces its changes in the lease's document, in one update that applies only
    while the lease is its own and that counts `serial` up; then it makes them. Whoever takes the lease
    gets the last announcement with it, in one update as well, and makes those changes before it reads
    anything. So every change was announced before the lease was taken, and is made by then, or never is:

    - an announcement that comes too late finds another holder and changes nothing;
    - changes that are made too late, or twice, change nothing: a document keeps the serial of the last
      change made to it, and no change of that serial or an earlier one applies to it any more; where the
      document was not as a change expected, its serial is noted all the same; documents are never
      removed, so that one that was inserted is not inserted again;
    - changes of somebody who is killed, or cut off, before they are made are made by the next holder, or
      by the same one before its next announcement. An announcement stays until the next one, so that
      this may be cut short as well.

    The serial outlives the lease: one that is given back leaves its document. What is written without a
    fence (by a user's command, by an import) is neither announced nor kept from anybody.
    """

    def __init__(self, collections: Mapping[str, Collection[Document]], where: str) -> None:
        self._collections = collections
        self._where = where
        self._holder: str | None = None
        self._settled: int | None = None
        """The last serial whose changes are known to be made, None where that is not known."""
        self._turn = threading.Lock()

    # --- the lease ----------------------------------------------------------------------------

    def lease(self) -> Lease | None:
        """The present lease."""
        return self._lease_in(self._meta.find_one(KEY, {"announced": False}))

    def acquire(self, lease: Lease, replacing: str | None) -> None:
        """As `Store.acquire_lease`; what the holder before announced is made first."""
        fields = to_document(lease)
        taken: Document | None = None
        while taken is None:
            present = self._meta.find_one(KEY, {"announced": False})
            before = self._lease_in(present)
            rules.check_lease_free(before, lease, replacing)
            if present is None:
                taken = self._begin(fields)
            else:
                unchanged = to_document(before) if before else {"holder": None}
                taken = self._meta.find_one_and_update(
                    KEY | unchanged,
                    {"$set": fields, "$max": {"serial": 0}},
                    return_document=pymongo.ReturnDocument.AFTER,
                )
        self._make_announced(taken)

    def renew(self, holder: str, now: float) -> None:
        """As `Store.renew_lease`."""
        mine = KEY | {"holder": holder}
        while not self._meta.update_one(mine, {"$set": {"heartbeat_at": now}}).matched_count:
            rules.check_lease_kept(self.lease(), holder)

    def release(self, holder: str) -> None:
        """As `Store.release_lease`."""
        self._meta.update_one(KEY | {"holder": holder}, {"$set": {"holder": None}})

    def fence(self, holder: str | None) -> None:
        """As `Store.fence`."""
        with self._turn:
            self._holder, self._settled = holder, None

    # --- changes ------------------------------------------------------------------------------

    def write(self, changes: Sequence[Document]) -> set[int]:
        """Make these changes; the indexes of those that did not apply to what was there.

        LeaseHeldError where the store is fenced and the lease is lost.
        """
        with self._turn:
            if self._holder is None:
                return self._make(changes, None)
            refused: set[int] = set()
            done = 0
            for portion in _portions(changes):
                serial = self._announce(portion)
                part = [bson.decode(change) for change in portion]
                refused |= {done + i for i in self._make(part, serial)}
                self._settled = serial
                done += len(portion)
            if refused:  # by what was there, or by a next holder who was here before
                rules.check_lease_kept(self.lease(), self._holder)
            return refused

    def _announce(self, portion: list[bytes]) -> int:
        """The serial under which these changes stand in the lease's document."""
        while True:
            if self._settled is not None:
                serial = self._settled + 1
                announced = self._meta.update_one(
                    KEY | {"holder": self._holder, "serial": self._settled},
                    {"$set": {"serial": serial, "announced": portion}},
                )
                if announced.matched_count:
                    return serial
            present = self._meta.find_one(KEY)
            rules.check_lease_kept(self._lease_in(present), str(self._holder))
            self._settled = self._make_announced(present or {})

    def _make_announced(self, document: Document) -> int:
        """Make what the lease's document announces, as far as it is not made yet; its serial."""
        serial: int = document["serial"]
        self._make([bson.decode(change) for change in document.get("announced", [])], serial)
        return serial

    def _make(self, changes: Sequence[Document], serial: int | None) -> set[int]:
        """Make the changes of a serial; the indexes of those that did not apply.

        Those that expect something come last: a calculation is done once its observations are there.
        """
        alike: dict[str, list[int]] = {}
        expecting: list[int] = []
        for i, change in enumerate(changes):
            (expecting if "expected" in change else alike.setdefault(change["in"], [])).append(i)
        refused: set[int] = set()
        for what, indexes in alike.items():
            requests = [_request(changes[i], serial) for i in indexes]
            refused |= {indexes[at] for at in _write_all(self._collections[what], requests)}
        for i in expecting:
            if not _update_expected(self._collections[changes[i]["in"]], changes[i], serial):
                refused.add(i)
        return refused

    def _begin(self, fields: Document) -> Document | None:
        """The lease's first document; None where somebody else was faster.

        Where it was removed by hand, serials go on after those that the documents keep.
        """
        last = [
            collection.find_one({"serial": {"$gt": 0}}, {"serial": True}, sort=[("serial", -1)])
            for collection in self._collections.values()
        ]
        document = KEY | fields | {"serial": max((one["serial"] for one in last if one), default=0)}
        try:
            self._meta.insert_one(document)
        except DuplicateKeyError:
            return None
        return document

    def _lease_in(self, document: Document | None) -> Lease | None:
        if document is None or document["holder"] is None:
            return None
        fields = {key: document[key] for key in document.keys() - {"announced"}}
        return to_record(Lease, fields, self._where)

    @property
    def _meta(self) -> Collection[Document]:
        return self._collections["meta"]


def _portions(changes: Iterable[Document]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for change in changes:
        encoded = bson.encode(change)
        if portion and size + len(encoded) > PORTION_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(encoded)
        size += len(encoded)
    if portion:
        yield portion


def _before(record_id: Any, serial: int | None) -> Document:
    """Finds a document unless a change of this serial, or a later one, was made to it."""
    return {"_id": record_id} | ({} if serial is None else {"serial": {"$not": {"$gte": serial}}})


def _request(
    change: Document, serial: int | None
) -> pymongo.InsertOne[Document] | pymongo.UpdateOne:
    mark = {} if serial is None else {"serial": serial}
    if "insert" in change:
        return pymongo.InsertOne(change["insert"] | mark)
    modified = {"$set": change["set"] | mark}
    if change.get("first"):
        modified["$setOnInsert"] = change["first"]
    return pymongo.UpdateOne(_before(change["id"], serial), modified, upsert="first" in change)


def _write_all(collection: Collection[Document], requests: Sequence[Any]) -> set[int]:
    """Indexes of those whose document was there already, or was changed later."""
    try:
        collection.bulk_write(requests, ordered=False)
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or {one["code"] for one in refused} != {
            DUPLICATE_KEY
        }:
            raise
        return {one["index"] for one in refused}
    return set()


def _update_expected(
    collection: Collection[Document], change: Document, serial: int | None
) -> bool:
    mark = {} if serial is None else {"serial": serial}
    wanted = _before(change["id"], serial)
    found = collection.update_one(wanted | change["expected"], {"$set": change["set"] | mark})
    if mark and not found.matched_count:
        collection.update_one(wanted, {"$set": mark})
    return bool(found.matched_count)
