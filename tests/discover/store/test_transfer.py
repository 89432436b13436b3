"""Records as a stream: whatever a store holds comes through a file and another database unchanged."""

import time
from contextlib import closing
from pathlib import Path

import mongomock
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from discover.errors import DataError, LeaseHeldError, StoreError, StoreVersionError
from discover.lease import SteeringLease
from discover.records import CalculationState
from discover.store import FORMAT_VERSION, open_store, strategies
from discover.store.conformance import calculation, candidate, lease, observation
from discover.store.mongo import MongoStore
from discover.store.transfer import (
    UNFINISHED,
    NamedValue,
    bring_in,
    copy,
    fill,
    inventory,
    read_records,
    records,
    write_records,
)


def some(strategy, key=lambda record: record.id):
    return st.lists(strategy, max_size=4, unique_by=key)


VALUES = st.builds(
    NamedValue, name=strategies.TEXTS, value=strategies.JSON.filter(lambda value: value is not None)
)
EVERYTHING = st.tuples(
    some(strategies.CANDIDATES),
    some(strategies.calculations(strategies.STATES)),
    some(strategies.OBSERVATIONS),
    some(strategies.MODEL_CARDS),
    some(strategies.PASSES, lambda one: one.number),
    some(VALUES, lambda one: one.name),
).map(lambda kinds: [record for kind in kinds for record in kind])


def memory():
    return closing(open_store(":memory:", "test"))


def mongo():
    return MongoStore(mongomock.MongoClient().get_database("discover"), "test")


def small(store):
    """Two candidates, of which one was computed."""
    store.add_candidates([candidate(1), candidate(2)])
    store.add_calculation(calculation(1))
    store.transition("calculation-1", CalculationState.PROPOSED, CalculationState.SUBMITTED)
    store.finish("calculation-1", CalculationState.SUBMITTED, [observation(1)], seconds=2.5)
    store.set_value("hours", 0.25)
    return store


@settings(max_examples=10, phases=[Phase.generate, Phase.shrink])
@given(EVERYTHING)
def test_a_store_comes_through_a_file_and_mongodb_without_loss(tmp_path_factory, everything):
    path = tmp_path_factory.getbasetemp() / "records.jsonl"
    with memory() as first, memory() as second, memory() as third:
        fill(first, everything)
        assert sorted(map(repr, records(first))) == sorted(map(repr, everything))
        written = write_records(path, first)
        bring_in(second, read_records(path), written)
        between = mongo()
        assert copy(second, between) == written
        assert copy(between, third) == written
        assert list(records(third)) == list(records(between)) == list(records(first))
        assert third.lease() is None


def test_many_records_keep_their_order(tmp_path):
    with memory() as first, memory() as second:
        first.add_candidates([candidate(n) for n in (*range(700, 1300), *range(700))])
        copy(first, second)
        assert [c.id for c in second.candidates()] == [c.id for c in first.candidates()]


def test_a_store_that_is_steered_is_not_copied():
    with memory() as source, memory() as target:
        with SteeringLease(small(source)), pytest.raises(LeaseHeldError, match="discover stop"):
            copy(source, target)
        assert list(records(target)) == []
        source.acquire_lease(lease("dead", at=0.0))
        assert copy(source, target).total == 5
        assert source.lease().holder == "dead"
        assert target.lease() is None


def test_only_an_empty_store_is_filled():
    with memory() as source, memory() as target:
        small(source)
        target.set_value("hours", 1.0)
        with pytest.raises(StoreError, match="not empty"):
            copy(source, target)
        assert target.values() == {"hours": 1.0}


def test_a_source_that_changes_meanwhile_is_an_error_and_leaves_its_mark():
    with memory() as source, memory() as target:
        small(source)

        def change(line):
            if line.startswith("comparing"):
                source.set_value("hours", 0.5)

        with pytest.raises(StoreError, match=r"source, which somebody changed .* other values"):
            copy(source, target, change)
        assert target.value(UNFINISHED)["begun_at"] <= time.time()
        with pytest.raises(StoreError, match="cut short"):
            copy(source, target)


def test_other_content_than_expected_is_an_error():
    with memory() as source, memory() as target, memory() as other:
        expected = inventory(small(source))
        changed = [
            r.model_copy(update={"value": 2.0}) if getattr(r, "value", None) == 1.0 else r
            for r in records(source)
        ]
        with pytest.raises(StoreError, match=r"observations \(as many, with other content\)"):
            bring_in(target, changed, expected)
        with pytest.raises(StoreError, match=r"values \(0, expected 1\)"):
            bring_in(other, list(records(source))[:-1], expected)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "JSONDecodeError"),
        ("[]", "has no attribute"),
        ("{}", "not enough values"),
        ('{"thing":{}}', "thing"),
        ('{"format":2}', "format"),
        ('{"observation":{"id":"x"}}', "candidate: Field required"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line, why):
    path = tmp_path / "store.jsonl"
    path.write_text(f'{{"format":{FORMAT_VERSION}}}\n{line}\n')
    with pytest.raises(DataError, match=f"line 2: is not a record: .*{why}"):
        list(read_records(path))


def test_files_without_a_format_and_of_a_newer_version(tmp_path):
    path: Path = tmp_path / "store.jsonl"
    path.write_text('{"value":{"name":"x","value":1}}\n')
    with pytest.raises(DataError, match=r"line 1: .*format"):
        list(read_records(path))
    path.write_text(f'{{"format":{FORMAT_VERSION + 1}}}\n')
    with pytest.raises(StoreVersionError, match="update discover"):
        list(read_records(path))
