"""All records of a store as one stream: counted, hashed, written to a file, put into another store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from discover.errors import DataError, LeaseHeldError, StoreError
from discover.lease import SteeringLease, is_alive
from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    ModelCard,
    Observation,
    Pass,
    Record,
)
from discover.store import rules
from discover.store.base import FORMAT_VERSION, TRANSITIONS, Store

BATCH = 500
UNFINISHED = "unfinished_transfer"
"""Name of the value that a store holds while records are brought into it."""

Told = Callable[[str], None]


class NamedValue(Record):
    """A small value that a campaign keeps under a name."""

    name: str
    value: JsonValue


KINDS: dict[str, type[Record]] = {
    "candidate": Candidate,
    "calculation": Calculation,
    "observation": Observation,
    "model_card": ModelCard,
    "pass": Pass,
    "value": NamedValue,
}
"""Everything a store keeps but the lease, which belongs to a process."""

_NAMES = {kind: name for name, kind in KINDS.items()}


class Inventory(Record):
    """How many records of each kind there are, and the SHA-256 of their content in their order."""

    counts: dict[str, int]
    hashes: dict[str, str]

    @property
    def total(self) -> int:
        """Number of all records."""
        return sum(self.counts.values())

    def told(self) -> str:
        """The counts in words."""
        return counted(self.counts)


class Tally:
    """Makes the inventory of records while they pass by."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(KINDS, 0)
        self._hashes = {name: hashlib.sha256() for name in KINDS}

    def passing(self, found: Iterable[Record]) -> Iterator[Record]:
        """The same records."""
        for record in found:
            name = _NAMES[type(record)]
            self._counts[name] += 1
            self._hashes[name].update(to_line(record).encode() + b"\n")
            yield record

    def inventory(self) -> Inventory:
        """Of what has passed."""
        hashes = {name: sha.hexdigest() for name, sha in self._hashes.items()}
        return Inventory(counts=dict(self._counts), hashes=hashes)


def counted(counts: Mapping[str, int]) -> str:
    """Counts of records by kind in words, leaving out those of which there are none."""
    several = {"pass": "passes"}
    return ", ".join(
        f"{n} {(name if n == 1 else several.get(name, f'{name}s')).replace('_', ' ')}"
        for name, n in counts.items()
        if n
    )


def records(store: Store) -> Iterator[Record]:
    """Every record, kind by kind, in the order in which adding them again gives the same store."""
    yield from store.candidates()
    yield from store.calculations()
    yield from store.observations(quarantined=True)
    yield from store.model_cards()
    yield from store.passes()
    for name, value in store.values().items():
        if name != UNFINISHED:
            yield NamedValue(name=name, value=value)


def inventory(store: Store) -> Inventory:
    """What a store holds; equal stores have equal ones, whatever database is behind them."""
    tally = Tally()
    for _ in tally.passing(records(store)):
        pass
    return tally.inventory()


def to_line(record: Record) -> str:
    """A record as one line of JSON, equal for equal records."""
    return json.dumps(
        {_NAMES[type(record)]: record.model_dump(mode="json")},
        sort_keys=True,
        allow_nan=False,
        separators=(",", ":"),
    )


def write_records(path: Path, store: Store) -> Inventory:
    """Write every record to a file of JSON lines, the first of which says the format."""
    tally = Tally()
    with path.open("w", encoding="utf-8") as file:
        file.write(f'{{"format":{FORMAT_VERSION}}}\n')
        for record in tally.passing(records(store)):
            file.write(to_line(record) + "\n")
    return tally.inventory()


def read_records(path: Path) -> Iterator[Record]:
    """The records of such a file; DataError naming the line that is not one.

    StoreVersionError where a newer version wrote it.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                ((name, content),) = json.loads(line).items()
                if number == 1:
                    rules.check_version(int({name: content}["format"]), str(path))
                    continue
                record = KINDS[name].model_validate(content)
            except (ValueError, AttributeError, KeyError, TypeError) as error:
                why = _first_error(error) if isinstance(error, ValidationError) else repr(error)
                raise DataError(f"{path}, line {number}: is not a record: {why}") from error
            yield record


def fill(target: Store, found: Iterable[Record]) -> None:
    """Add records to a store, in the order in which `records` gives them."""
    for kind, group in groupby(found, key=type):
        while batch := list(islice(group, BATCH)):
            _ADDERS[kind](target, batch)


def bring_in(target: Store, found: Iterable[Record], expected: Inventory) -> None:
    """Fill an empty store and compare what it holds then with what was expected.

    The target's lease is held meanwhile, and a kill leaves a mark by which it is known to be unfinished.
    StoreError where it is not empty or does not hold the same in the end.
    """
    with _filling(target):
        fill(target, found)
        check_equal(inventory(target), expected, "the store that was written")


def copy(source: Store, target: Store, told: Told = lambda _: None) -> Inventory:
    """Put everything of one store into another, which is empty; the source is only read.

    LeaseHeldError where a process steers the source; StoreError where the target is not empty, where it
    does not hold the same afterwards, or where somebody changed the source meanwhile.
    """
    check_not_steered(source)
    check_empty(target)
    before = inventory(source)
    told(f"copying {before.told() or 'nothing'}")
    with _filling(target):
        fill(target, records(source))
        told("comparing counts and content hashes")
        check_equal(inventory(target), before, "the store that was written")
        check_not_steered(source)
        check_equal(inventory(source), before, "the source, which somebody changed meanwhile,")
    return before


def check_not_steered(store: Store) -> None:
    """LeaseHeldError where a living process steers the campaign."""
    lease = store.lease()
    if lease is not None and is_alive(lease, time.time()):
        raise LeaseHeldError(
            f"process {lease.pid} on {lease.host} steers this campaign: end it with `discover stop` "
            "first"
        )


def check_empty(target: Store) -> None:
    """StoreError where a store holds anything."""
    check_finished(target)
    holds = Tally()
    if next(holds.passing(records(target)), None) is not None:
        raise StoreError(
            "the target is not empty: nothing was changed; move it away, or choose another"
        )


def check_finished(store: Store) -> None:
    """StoreError where an import or a migration into this store was cut short."""
    if store.value(UNFINISHED) is not None:
        raise StoreError(
            "this store holds part of an import or migration that was cut short: remove it (the file "
            "store.sqlite, or the campaign's collections) and import or migrate again"
        )


def check_equal(found: Inventory, expected: Inventory, where: str) -> None:
    """StoreError naming the kinds of which there are not the same records."""
    different = [
        f"{name}s ({found.counts[name]}, expected {expected.counts[name]})"
        if found.counts[name] != expected.counts[name]
        else f"{name}s (as many, with other content)"
        for name in KINDS
        if found.hashes[name] != expected.hashes[name]
    ]
    if different:
        raise StoreError(f"{where} holds other {', '.join(different)}: do not use the copy")


@contextmanager
def _filling(target: Store) -> Iterator[None]:
    with SteeringLease(target):
        check_empty(target)
        target.set_value(UNFINISHED, {"begun_at": time.time()})
        yield
        target.set_value(UNFINISHED, None)


def _add_calculation(target: Store, calculation: Calculation) -> None:
    """Add one in any state, on the way that stores allow."""
    proposed = CalculationState.PROPOSED
    target.add_calculation(calculation.model_copy(update={"state": proposed}))
    state = proposed
    if calculation.state not in {proposed, *TRANSITIONS[proposed]}:
        state = target.transition(calculation.id, proposed, CalculationState.SUBMITTED).state
    if calculation.state != state:
        target.transition(calculation.id, state, calculation.state)


def _each(add: Callable[[Store, Any], object]) -> Callable[[Store, list[Any]], object]:
    def add_all(target: Store, batch: list[Any]) -> None:
        for record in batch:
            add(target, record)

    return add_all


_ADDERS: dict[type[Record], Callable[[Store, list[Any]], object]] = {
    Candidate: lambda target, batch: target.add_candidates(batch),
    Calculation: _each(_add_calculation),
    Observation: lambda target, batch: target.add_observations(batch),
    ModelCard: _each(lambda target, card: target.add_model_card(card)),
    Pass: _each(lambda target, one: target.add_pass(one)),
    NamedValue: _each(lambda target, one: target.set_value(one.name, one.value)),
}


def _first_error(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
