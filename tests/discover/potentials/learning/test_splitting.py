"""What is held out stays held out, and there is always something on each side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import PotentialError
from discover.potentials.learning.labels import Label
from discover.potentials.learning.splitting import split


def label(formula: str, number: int) -> Label:
    return Label(None, "rattled", formula, "dft", "job", f"{formula}/{number}")


@given(formulas=st.integers(1, 12), frames=st.integers(3, 9), seed=st.integers(0, 50))
def test_each_label_is_on_one_side(formulas, frames, seed):
    labels = [label(f"F{i}", k) for i in range(formulas) for k in range(frames)]
    try:
        parts = split(labels, seed)
    except PotentialError:  # all formulas were held out
        assert formulas >= 5
        return
    sides = (parts.train, parts.valid, parts.configurations, parts.formulas)
    assert sorted(one.digest for side in sides for one in side) == sorted(x.digest for x in labels)
    assert parts.train
    assert parts.valid
    assert parts.configurations
    learned = {one.formula for one in (*parts.train, *parts.valid, *parts.configurations)}
    assert not learned & {one.formula for one in parts.formulas}


def test_of_many_formulas_some_are_held_out_and_stay_so():
    labels = [label(f"F{i}", k) for i in range(30) for k in range(3)]
    before = {one.formula for one in split(labels[:60], 0).formulas}
    after = {one.formula for one in split(labels, 0).formulas}
    assert 1 <= len(before) <= 10
    assert before <= after


def test_of_few_formulas_none_is_held_out():
    assert split([label(f"F{i}", k) for i in range(4) for k in range(3)], 0).formulas == ()


def test_too_few_are_refused():
    with pytest.raises(PotentialError, match="2 labelled frames"):
        split([label("F", 0), label("F", 1)], 0)
