"""The embedded store: one SQLite file, safe with several threads and several processes."""

# ruff: noqa: D102 -- the interface documents these methods

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from discover.errors import StoreError, UnknownRecordError
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
from discover.store.base import Store
from discover.store.sqlite_file import SQLiteFile

R = TypeVar("R", bound=Record)

PAGE = 500


class SQLiteStore(Store):
    """A campaign's memory in one file (with `-wal` and `-shm` beside it while it is open).

    Write-ahead log and `synchronous=FULL`: what a method acknowledged survives a kill and a power
    cut. Threads share one connection behind a lock; processes wait for one another. The file must
    lie on a local disk, as the write-ahead log needs memory that its users share. Opened `read_only`
    it needs no permission to write and its methods that change something raise StoreError.
    StoreError where it cannot be opened, StoreVersionError where a newer version wrote it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = SQLiteFile(path, read_only=read_only)
        self._fence: str | None = None

    # --- candidates ---------------------------------------------------------------------------

    def add_candidates(self, candidates: Sequence[Candidate]) -> list[str]:
        rows = [(c.id, c.state, _text(c)) for c in candidates]
        with self._transaction() as connection:
            return [
                row[0]
                for row in rows
                if connection.execute(
                    "INSERT INTO candidates (id, state, record) VALUES (?, ?, ?)"
                    " ON CONFLICT (id) DO NOTHING",
                    row,
                ).rowcount
            ]

    def update_candidates(self, candidates: Sequence[Candidate]) -> None:
        rows = [(c.state, _text(c), c.id) for c in candidates]
        with self._transaction() as connection:
            for row in rows:
                changed = connection.execute(
                    "UPDATE candidates SET state = ?, record = ? WHERE id = ?", row
                ).rowcount
                if not changed:
                    raise self._unknown("candidate", row[2])

    def candidate(self, candidate_id: str) -> Candidate:
        rows = self._file.select("SELECT record FROM candidates WHERE id = ?", candidate_id)
        if not rows:
            raise self._unknown("candidate", candidate_id)
        return self._record(Candidate, rows[0][0])

    def candidates(self, state: CandidateState | None = None) -> Iterator[Candidate]:
        position = 0
        while rows := self._file.select(
            "SELECT position, record FROM candidates WHERE position > ?1 AND state = ?2"
            " ORDER BY position LIMIT ?3"
            if state
            else "SELECT position, record FROM candidates WHERE position > ?1"
            " ORDER BY position LIMIT ?3",
            position,
            state,
            PAGE,
        ):
            yield from (self._record(Candidate, record) for _, record in rows)
            position = rows[-1][0]

    def count_candidates(self) -> dict[CandidateState, int]:
        counted = dict(self._file.select("SELECT state, count(*) FROM candidates GROUP BY state"))
        return {state: counted.get(state, 0) for state in CandidateState}

    def candidate_page(
        self, offset: int, limit: int, state: CandidateState | None = None
    ) -> list[Candidate]:
        rows = self._file.select(
            "SELECT record FROM candidates WHERE position IN (SELECT position FROM candidates"
            " WHERE state = ?3 ORDER BY position LIMIT ?2 OFFSET ?1) ORDER BY position"
            if state
            else "SELECT record FROM candidates WHERE position IN (SELECT position FROM candidates"
            " ORDER BY position LIMIT ?2 OFFSET ?1) ORDER BY position",
            offset,
            limit,
            *([state] if state else []),
        )
        return [self._record(Candidate, record) for (record,) in rows]

    def candidate_sample(self, n: int) -> list[Candidate]:
        last = self._file.select("SELECT max(position) FROM candidates")[0][0] or 0
        wanted = (
            {round((i + 0.5) * last / n + 0.5) for i in range(n)}
            if last > n
            else set(range(1, last + 1))
        )
        rows = self._file.select(
            "SELECT record FROM candidates WHERE position IN (SELECT value FROM json_each(?))"
            " ORDER BY position",
            json.dumps(sorted(wanted)),
        )
        return [self._record(Candidate, record) for (record,) in rows]

    # --- calculations -------------------------------------------------------------------------

    def add_calculation(self, calculation: Calculation) -> bool:
        rules.check_proposed(calculation)
        row = (
            calculation.id,
            calculation.candidate,
            calculation.order,
            calculation.state,
            _text(calculation),
        )
        with self._transaction() as connection:
            return bool(
                connection.execute(
                    "INSERT INTO calculations (id, candidate, pick, state, record)"
                    " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                    row,
                ).rowcount
            )

    def calculation(self, calculation_id: str) -> Calculation:
        rows = self._file.select("SELECT record FROM calculations WHERE id = ?", calculation_id)
        if not rows:
            raise self._unknown("calculation", calculation_id)
        return self._record(Calculation, rows[0][0])

    def calculations(self, states: frozenset[CalculationState] | None = None) -> list[Calculation]:
        wanted = sorted(CalculationState if states is None else states)
        marks = ", ".join("?" * len(wanted))
        rows = self._file.select(
            f"SELECT record FROM calculations WHERE state IN ({marks}) ORDER BY pick, id",  # noqa: S608
            *wanted,
        )
        return [self._record(Calculation, record) for (record,) in rows]

    def count_calculations(self) -> dict[CalculationState, int]:
        counted = dict(self._file.select("SELECT state, count(*) FROM calculations GROUP BY state"))
        return {state: counted.get(state, 0) for state in CalculationState}

    def transition(
        self,
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        **changes: Any,
    ) -> Calculation:
        with self._transaction() as connection:
            return self._move(connection, calculation_id, expected, new, changes)

    def finish(
        self,
        calculation_id: str,
        expected: CalculationState,
        observations: Sequence[Observation],
        **changes: Any,
    ) -> Calculation:
        with self._transaction() as connection:
            _keep_observations(connection, observations)
            return self._move(connection, calculation_id, expected, CalculationState.DONE, changes)

    # --- observations -------------------------------------------------------------------------

    def add_observations(self, observations: Sequence[Observation]) -> None:
        with self._transaction() as connection:
            _keep_observations(connection, observations)

    def observations(
        self, property_name: str | None = None, *, quarantined: bool = False
    ) -> list[Observation]:
        rows = self._file.select(
            "SELECT record FROM observations"
            " WHERE (?1 IS NULL OR property = ?1) AND quarantined <= ?2 ORDER BY position",
            property_name,
            int(quarantined),
        )
        return [self._record(Observation, record) for (record,) in rows]

    def quarantine(self, observation_id: str, reason: str | None) -> None:
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT record FROM observations WHERE id = ?", (observation_id,)
            ).fetchone()
            if row is None:
                raise self._unknown("observation", observation_id)
            observation = self._record(Observation, row[0])
            _keep_observations(connection, [observation.model_copy(update={"quarantined": reason})])

    # --- models and passes --------------------------------------------------------------------

    def add_model_card(self, card: ModelCard) -> None:
        row = (card.id, card.created_at, _text(card))
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO model_cards (id, created_at, record) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE"
                " SET created_at = excluded.created_at, record = excluded.record",
                row,
            )

    def model_cards(self) -> list[ModelCard]:
        rows = self._file.select("SELECT record FROM model_cards ORDER BY created_at, position")
        return [self._record(ModelCard, record) for (record,) in rows]

    def add_pass(self, record: Pass) -> None:
        row = (record.number, _text(record))
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO passes (number, record) VALUES (?, ?)", row)

    def passes(self) -> list[Pass]:
        rows = self._file.select("SELECT record FROM passes ORDER BY number")
        return [self._record(Pass, record) for (record,) in rows]

    def count_passes(self) -> int:
        return int(self._file.select("SELECT count(*) FROM passes")[0][0])

    # --- who steers, and what users ask -------------------------------------------------------

    def acquire_lease(self, lease: Lease, *, replacing: str | None = None) -> None:
        with self._transaction(fenced=False) as connection:
            rules.check_lease_free(self._lease(connection), lease, replacing)
            _keep_lease(connection, lease)

    def renew_lease(self, holder: str, now: float) -> None:
        with self._transaction() as connection:
            present = rules.check_lease_kept(self._lease(connection), holder)
            _keep_lease(connection, present.model_copy(update={"heartbeat_at": now}))

    def release_lease(self, holder: str) -> None:
        with self._transaction(fenced=False) as connection:
            present = self._lease(connection)
            if present is not None and present.holder == holder:
                connection.execute("DELETE FROM lease")

    def lease(self) -> Lease | None:
        rows = self._file.select("SELECT record FROM lease")
        return self._record(Lease, rows[0][0]) if rows else None

    def fence(self, holder: str | None) -> None:
        self._fence = holder

    def set_value(self, key: str, value: Any) -> None:
        content = rules.to_json(value, f"the value {key!r}")
        with self._transaction() as connection:
            if value is None:
                connection.execute("DELETE FROM named_values WHERE name = ?", (key,))
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO named_values (name, content) VALUES (?, ?)",
                    (key, content),
                )

    def value(self, key: str) -> Any:
        rows = self._file.select("SELECT content FROM named_values WHERE name = ?", key)
        return json.loads(rows[0][0]) if rows else None

    def values(self) -> dict[str, Any]:
        rows = self._file.select("SELECT name, content FROM named_values ORDER BY name")
        return {name: json.loads(content) for name, content in rows}

    def close(self) -> None:
        self._file.close()

    # --- rows and records ---------------------------------------------------------------------

    @contextmanager
    def _transaction(self, *, fenced: bool = True) -> Iterator[sqlite3.Connection]:
        """The file's; LeaseHeldError where the store is fenced and its holder has lost the lease."""
        with self._file.transaction() as connection:
            if fenced and self._fence is not None:
                rules.check_lease_kept(self._lease(connection), self._fence)
            yield connection

    def _record(self, kind: type[R], text: str) -> R:
        try:
            return kind.model_validate_json(text)
        except ValidationError as error:
            raise StoreError(
                f"{self._file.path}: holds a damaged {kind.__name__}: {error}"
            ) from error

    def _unknown(self, what: str, record_id: str) -> UnknownRecordError:
        return UnknownRecordError(f"{self._file.path}: has no {what} {record_id!r}")

    def _move(
        self,
        connection: sqlite3.Connection,
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        changes: dict[str, Any],
    ) -> Calculation:
        row = connection.execute(
            "SELECT record FROM calculations WHERE id = ?", (calculation_id,)
        ).fetchone()
        if row is None:
            raise self._unknown("calculation", calculation_id)
        moved = rules.advance(self._record(Calculation, row[0]), expected, new, changes)
        connection.execute(
            "UPDATE calculations SET candidate = ?, pick = ?, state = ?, record = ? WHERE id = ?",
            (moved.candidate, moved.order, moved.state, _text(moved), moved.id),
        )
        return moved

    def _lease(self, connection: sqlite3.Connection) -> Lease | None:
        row = connection.execute("SELECT record FROM lease").fetchone()
        return self._record(Lease, row[0]) if row else None


def _text(record: Record) -> str:
    return rules.to_json(record.model_dump(mode="json"), f"a {type(record).__name__}")


def _keep_observations(connection: sqlite3.Connection, observations: Sequence[Observation]) -> None:
    for o in observations:
        connection.execute(
            "INSERT INTO observations (id, candidate, property, quarantined, record)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " candidate = excluded.candidate, property = excluded.property,"
            " quarantined = excluded.quarantined, record = excluded.record",
            (o.id, o.candidate, o.property, o.quarantined is not None, _text(o)),
        )


def _keep_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO lease (only_row, record) VALUES (1, ?)", (_text(lease),)
    )
