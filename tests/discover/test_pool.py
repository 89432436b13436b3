"""The pool of ready candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.pool import KnownCandidates, Pool
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal

CELL = ((4.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 4.0))


def candidate(number: int, formula: str = "NaCl") -> Candidate:
    return Candidate(
        id=f"c{number}",
        formula=formula,
        spacegroup=225,
        prototype="rocksalt",
        structure=Crystal(numbers=(11,), cell_angstrom=CELL, scaled_positions=((0.0, 0.0, 0.0),)),
        provenance=Provenance(generator="test", operation="none"),
        features=(float(number), 1.0),
    )


@given(
    st.lists(st.tuples(st.sampled_from(["add", "close", "open"]), st.integers(0, 60)), max_size=300)
)
def test_behaves_like_an_ordered_set(steps: list[tuple[str, int]]) -> None:
    pool, model, seen = Pool(), dict[str, int](), set[str]()
    pool.expect(3)
    for what, number in steps:
        name = f"c{number}"
        if what == "add":
            pool.add([candidate(number)])
            if name not in seen:
                model[name] = number
            seen.add(name)
        elif what == "close":
            pool.close(name)
            model.pop(name, None)
        else:
            without = {name, "never seen"}
            expected = [i for i in model if i not in without] or list(model)
            assert pool.open(without).ids == expected
    assert len(pool) == len(model)
    if model:
        assert pool.first() == (next(iter(model)), 0)
    ids, features, asked = pool.open()
    assert ids == list(model)
    assert not asked.any()
    if model:
        np.testing.assert_array_equal(features, [[n, 1.0] for n in model.values()])


def test_an_empty_pool_has_no_first() -> None:
    pool = Pool()
    pool.add([candidate(1)])
    pool.close("c1")
    with pytest.raises(LookupError):
        pool.first()


def test_known_candidates_share_formulas() -> None:
    known = KnownCandidates()
    known.add([candidate(1), candidate(2), candidate(3, "MgO"), candidate(1)])
    assert known.ids == {"c1", "c2", "c3"}
    assert known.of_formulas(["NaCl", "NaCl", "KCl"]) == ["c1", "c2"]


def test_a_candidate_stays_until_it_was_picked_at_the_last_rung() -> None:
    pool = Pool(rungs=3)
    pool.add([candidate(1), candidate(2)])
    assert pool.first() == ("c1", 0)
    pool.take("c1", 0)
    assert pool.first() == ("c1", 1)
    pool.take("c2", 1)
    assert (len(pool), pool.touched) == (2, 2)
    np.testing.assert_array_equal(pool.open().asked, [[1, 0, 0], [0, 1, 0]])
    pool.take("c1", 2)
    assert pool.open().ids == ["c2"]
    assert pool.first() == ("c2", 0)
    assert (len(pool), pool.touched) == (1, 1)


def test_busy_candidates_are_left_out_while_there_are_others() -> None:
    pool = Pool(rungs=2)
    pool.add([candidate(1), candidate(2)])
    assert pool.open(without={"c1"}).ids == ["c2"]
    assert pool.open(without={"c1", "c2"}).ids == ["c1", "c2"]
