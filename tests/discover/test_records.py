"""Records: JSON and back without loss, unknown fields refused, hashes that only content changes."""

import json
import math

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from discover.records import (
    ACTIVE_STATES,
    Calculation,
    CalculationState,
    Candidate,
    Observation,
    content_hash,
)
from discover.store import strategies
from discover.store.base import TRANSITIONS
from discover.store.conformance import calculation, candidate, observation

RECORDS = {
    "candidate": strategies.CANDIDATES,
    "calculation": strategies.calculations(strategies.STATES),
    "observation": strategies.OBSERVATIONS,
    "model card": strategies.MODEL_CARDS,
    "pass": strategies.PASSES,
    "lease": strategies.LEASES,
}


@pytest.mark.parametrize("kind", RECORDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_json_and_back(kind, data):
    record = data.draw(RECORDS[kind])
    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert type(record).model_validate(json.loads(json.dumps(record.model_dump(mode="json")))) == (
        record
    )


@pytest.mark.parametrize("kind", RECORDS)
def test_every_field_is_drawn(kind):
    """A field that is new in a record must be new in its strategy too."""
    record = find(RECORDS[kind], lambda _: True)
    assert record.model_fields_set == set(type(record).model_fields)


@pytest.mark.parametrize("record", [candidate(1), calculation(1), observation(1)])
def test_records_are_frozen_and_closed(record):
    with pytest.raises(ValidationError, match="frozen"):
        record.id = "other"
    with pytest.raises(ValidationError, match="surprise"):
        type(record).model_validate(record.model_dump() | {"surprise": 1})


@pytest.mark.parametrize(
    ("kind", "record", "change"),
    [
        (Candidate, candidate(1), {"spacegroup": 231}),
        (Candidate, candidate(1), {"features": [1.0, math.nan]}),
        (Candidate, candidate(1), {"state": "lost"}),
        (Calculation, calculation(1), {"order": -1}),
        (Calculation, calculation(1), {"state": "finished"}),
        (Observation, observation(1), {"value": math.inf}),
        (Observation, observation(1), {"value": math.nan}),
    ],
)
def test_impossible_records_are_refused(kind, record, change):
    with pytest.raises(ValidationError, match=next(iter(change))):
        kind.model_validate(record.model_dump() | change)


@given(
    content=st.dictionaries(st.text(max_size=5), strategies.JSON, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_a_hash_does_not_depend_on_the_order_of_keys(content, order):
    keys = list(content)
    order.shuffle(keys)
    assert content_hash({key: content[key] for key in keys}) == content_hash(content)


@given(
    one=st.dictionaries(st.text(max_size=3), st.text() | st.integers(), max_size=3),
    other=st.dictionaries(st.text(max_size=3), st.text() | st.integers(), max_size=3),
)
def test_equal_hashes_mean_equal_content(one, other):
    assert (content_hash(one) == content_hash(other)) == (one == other)


def test_a_hash_is_the_same_on_every_machine():
    """The start of the SHA-256 of {"a":1,"b":[true,null]}, as `sha256sum` gives it."""
    assert content_hash({"b": [True, None], "a": 1}) == "1cc69c7fa23616ca"
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_hash({"a": math.nan})


def test_the_fingerprint_is_formula_and_space_group():
    assert candidate(1).fingerprint == "CsCl-221"


def test_every_active_calculation_can_end_and_every_ended_one_is_inactive():
    done = CalculationState.DONE
    assert set(TRANSITIONS) == set(CalculationState)
    reachable = {state: set(following) for state, following in TRANSITIONS.items()}
    for _ in CalculationState:
        for following in reachable.values():
            following |= {end for state in tuple(following) for end in reachable[state]}
    assert all(done in reachable[state] for state in ACTIVE_STATES)
    assert TRANSITIONS[done] == frozenset()
    assert done not in ACTIVE_STATES
