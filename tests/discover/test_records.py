"""Records: JSON and back without loss, unknown fields refused, hashes that only content changes."""

import json
import math

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from discover.errors import StructureError
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
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

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


def test_a_candidate_of_an_older_store_is_read():
    now = candidate(1).model_dump(mode="json")
    old = {"crystal" if key == "structure" else key: value for key, value in now.items()}
    assert Candidate.model_validate_json(json.dumps(old)) == candidate(1)


def test_a_candidate_knows_what_it_is():
    pytest.importorskip("rdkit")
    salt = candidate(1)
    nitrile = Candidate.of(Molecule.from_smiles("N#CC"), salt.provenance)
    assert (nitrile.id, nitrile.formula, nitrile.title) == (
        "WEVYAHXRMPXWCK-UHFFFAOYSA-N",  # PubChem CID 6342
        "C2H3N",
        "CC#N",
    )
    assert nitrile.fingerprint == nitrile.id
    assert nitrile.molecule.smiles == "CC#N"
    for one, wrong in ((salt, "molecule"), (nitrile, "crystal"), (nitrile, "formulation")):
        with pytest.raises(StructureError, match=f"not a {wrong}"):
            getattr(one, wrong)
    with pytest.raises(ValidationError, match="has no spacegroup"):
        Candidate.model_validate(nitrile.model_dump() | {"spacegroup": 1})
    with pytest.raises(ValidationError, match="a crystal needs spacegroup"):
        Candidate.model_validate(salt.model_dump() | {"spacegroup": None})
    with pytest.raises(ValidationError, match="a structure has cell_angstrom"):
        Candidate.model_validate(salt.model_dump() | {"structure": {"atoms": 1}})


def test_equal_mixtures_are_one_candidate():
    pytest.importorskip("rdkit")

    def mixture(*parts):
        components = tuple(
            Component(role=role, molecule=Molecule.from_smiles(smiles, seed), mole_fraction=x)
            for role, smiles, x, seed in parts
        )
        return Candidate.of(Formulation(components=components), candidate(1).provenance)

    one = mixture((Role.SOLVENT, "CC#N", 0.25, 0), (Role.SOLVENT, "COC(=O)OC", 0.75, 0))
    same = mixture((Role.SOLVENT, "COC(=O)OC", 0.750001, 1), (Role.ADDITIVE, "N#CC", 0.249999, 2))
    other = mixture((Role.SOLVENT, "COC(=O)OC", 0.7, 0), (Role.SOLVENT, "N#CC", 0.3, 0))
    assert one.id == same.id != other.id
    assert one.title == "25 % CC#N + 75 % COC(=O)OC"


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
