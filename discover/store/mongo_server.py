"""The server of a store: how it is reached, what is laid out there, what its errors mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

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

from discover.errors import StoreError, StoreOutageError
from discover.store import rules
from discover.store.base import FORMAT_VERSION
from discover.store.mongo_documents import Document

ANSWER_MILLISECONDS = 10_000
"""How long a server that can be written to is looked for."""
WORK_MILLISECONDS = 60_000
"""How long a server that was found may take for one request; one that is frozen answers never."""
OUTAGES = (ConnectionFailure, ExecutionTimeout, WTimeoutError)
"""What may be over in a while: no server, none that may write, one that does not answer in time."""
PASSING = frozenset({50, 64, 91, 189, 10107, 11600, 11602, 13435, 14031})
"""Codes of an operation that took too long or was interrupted, of a server that shuts down, steps down or
is not the primary, of a full disk (MongoDB's error_codes.yml)."""
COLLECTIONS = (
    "candidates",
    "calculations",
    "observations",
    "model_cards",
    "passes",
    "values",
    "meta",
)


def connect(location: str) -> Database[Document]:
    """The database at `mongodb://host/database`; StoreError where the address cannot be used.

    Writes are acknowledged by a majority of the servers, from their journal; reads see all of them.
    """
    try:
        client: pymongo.MongoClient[Document] = pymongo.MongoClient(
            location,
            serverSelectionTimeoutMS=ANSWER_MILLISECONDS,
            socketTimeoutMS=WORK_MILLISECONDS,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            readPreference="primary",
        )
        return client.get_default_database()
    except (PyMongoError, ValueError) as error:
        raise StoreError(f"write the store as mongodb://host/database: {error}") from error


def collections_of(database: Database[Document], campaign: str) -> dict[str, Collection[Document]]:
    """A campaign's collections `discover.<campaign>.<what>` by what they hold."""
    return {what: database[f"discover.{campaign}.{what}"] for what in COLLECTIONS}


def lay_out(
    collections: Mapping[str, Collection[Document]], where: str, *, read_only: bool
) -> None:
    """Make indexes and the counter of positions, once; nothing where the store is only read.

    The format is noted last, so that a layout that was cut short is made again. StoreVersionError where a
    newer version wrote the store.
    """
    meta = collections["meta"]
    known = meta.find_one({"_id": "format"})
    if known:
        rules.check_version(known["version"], where)
    if read_only or (known and known["version"] == FORMAT_VERSION):
        return
    with suppress(DuplicateKeyError):
        meta.insert_one({"_id": "next", "position": 0})
    collections["candidates"].create_index("position", unique=True)
    collections["candidates"].create_index([("state", 1), ("position", 1)])
    collections["calculations"].create_index([("state", 1), ("order", 1)])
    collections["observations"].create_index([("property", 1), ("position", 1)])
    with suppress(DuplicateKeyError):
        meta.insert_one({"_id": "format", "version": FORMAT_VERSION})
    meta.update_one({"_id": "format"}, {"$max": {"version": FORMAT_VERSION}})


@contextmanager
def guard(where: str) -> Iterator[None]:
    """Errors of the driver as StoreError, StoreOutageError where it may be over in a while."""
    try:
        yield
    except (PyMongoError, BSONError, OverflowError) as error:
        kind = StoreOutageError if _passes(error) else StoreError
        # After these words the driver describes itself; all of it stands in the error's cause.
        told = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
        raise kind(f"{where}: {told}") from error


def _passes(error: Exception) -> bool:
    if isinstance(error, BulkWriteError):
        of_writes = {one["code"] for one in error.details["writeErrors"]}
        return bool(error.details["writeConcernErrors"]) or not PASSING.isdisjoint(of_writes)
    return isinstance(error, OUTAGES) or getattr(error, "code", None) in PASSING
