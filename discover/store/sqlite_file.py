"""The file of a store: how it is opened and laid out, its transactions, what its errors mean."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discover.errors import StoreError, StoreOutageError
from discover.store import rules
from discover.store.base import FORMAT_VERSION

BUSY_SECONDS = 60.0

SCHEMA = (
    """CREATE TABLE candidates (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
        record TEXT NOT NULL)""",
    "CREATE INDEX candidates_by_state ON candidates (state, position)",
    """CREATE TABLE calculations (
        id TEXT PRIMARY KEY, candidate TEXT NOT NULL, pick INTEGER NOT NULL, state TEXT NOT NULL,
        record TEXT NOT NULL)""",
    "CREATE INDEX calculations_by_state ON calculations (state, pick)",
    """CREATE TABLE observations (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, candidate TEXT NOT NULL,
        property TEXT NOT NULL, quarantined INTEGER NOT NULL, record TEXT NOT NULL)""",
    "CREATE INDEX observations_by_property ON observations (property, position)",
    """CREATE TABLE model_cards (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created_at REAL NOT NULL,
        record TEXT NOT NULL)""",
    "CREATE TABLE passes (number INTEGER PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE lease (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), record TEXT NOT NULL)",
    "CREATE TABLE named_values (name TEXT PRIMARY KEY, content TEXT NOT NULL)",
)
"""Each record is a JSON column; beside it stand the columns that are searched or sorted by."""

HINTS = {
    "SQLITE_BUSY": "another process has been writing for too long; is one of them stopped?",
    "SQLITE_CANTOPEN": "check that the folder exists and can be written",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a copy",
    "SQLITE_FULL": "the disk is full: make room and start again, nothing is lost",
    "SQLITE_NOTADB": "the file is not a SQLite database: restore it, or move it away",
    "SQLITE_READONLY": "make the file and its folder writable",
}
OUTAGES = frozenset(
    {
        "SQLITE_BUSY",
        "SQLITE_CANTOPEN",
        "SQLITE_FULL",
        "SQLITE_IOERR",
        "SQLITE_LOCKED",
        "SQLITE_PROTOCOL",
    }
)
"""What may be over in a while: a lock that others hold, a full disk, a disk that does not answer."""


class SQLiteFile:
    """A connection to a store's file that threads share behind a lock; processes wait for one another.

    Write-ahead log and `synchronous=FULL`: what was committed survives a kill and a power cut. An empty
    file is laid out. StoreError where it cannot be opened, or is `read_only` and to be changed;
    StoreVersionError where a newer version wrote it.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self._read_only = read_only
        self._lock = threading.RLock()
        with self._guard():
            self._connection = sqlite3.connect(
                _address_for_reading(path) if read_only else path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                uri=read_only,
            )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection with the write lock taken: committed at the end, rolled back on an error."""
        if self._read_only:
            raise StoreError(f"{self.path}: was opened for reading only")
        with self._lock, self._guard():
            connection = self._connection
            try:  # a signal that comes while this waits is raised when the transaction has begun
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def select(self, statement: str, *parameters: Any) -> list[Any]:
        """All rows that the statement gives."""
        with self._lock, self._guard():
            return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self._lock, self._guard():
            self._connection.close()

    def _prepare(self) -> None:
        if self._version() == 0:
            self._create()
        rules.check_version(self._version(), str(self.path))
        if self._read_only:
            return
        self._use_write_ahead_log()
        self.select("PRAGMA synchronous = FULL")
        with self.transaction() as connection:  # a file that cannot be written is found here
            if (
                self._version() < FORMAT_VERSION
            ):  # earlier records are read, later ones not by others
                connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    def _version(self) -> int:
        return int(self.select("PRAGMA user_version")[0][0])

    def _create(self) -> None:
        """Lay out an empty file; of several processes that find it empty, one does."""
        if self.select("SELECT 1 FROM sqlite_master LIMIT 1") and self._version() == 0:
            raise StoreError(
                f"{self.path}: is a database of something else, not a campaign's store"
            )
        with self.transaction() as connection:
            if self._version() != 0:
                return
            for statement in SCHEMA:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")

    def _use_write_ahead_log(self) -> None:
        """Turn it on; SQLite does not wait by itself for others who do the same on a new file."""
        deadline = time.monotonic() + BUSY_SECONDS
        with self._lock, self._guard():
            while True:
                try:
                    self._connection.execute("PRAGMA journal_mode = WAL")
                    break
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # Extended codes such as SQLITE_READONLY_DIRECTORY refine the ones that have a hint.
            code = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
            hint = f": {HINTS[code]}" if code in HINTS else ""
            kind = StoreOutageError if code in OUTAGES else StoreError
            raise kind(f"{self.path}: {error}{hint}") from error


def _address_for_reading(path: Path) -> str:
    """SQLite's URI of a file that must exist and may be write-protected.

    The write-ahead log lies in files beside it. Where they are not there and cannot be made, SQLite is
    told to look at the file alone. With `mode=ro` it would make them and leave them behind; `mode=rw`
    reads what cannot be written as well.
    """
    alone = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    return f"{path.absolute().as_uri()}?mode=rw{'&immutable=1' if alone else ''}"
