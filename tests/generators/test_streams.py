from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.streams import Interleaving, Permutation


@given(st.integers(1, 300), st.text(max_size=8))
def test_permutation_is_a_bijection(size, key):
    shuffle = Permutation(size, key)
    assert sorted(shuffle(i) for i in range(size)) == list(range(size))


def test_permutation_depends_on_its_key_alone():
    one, same, other = (Permutation(10**6, key) for key in ("a", "a", "b"))
    assert [one(i) for i in range(50)] == [same(i) for i in range(50)]
    assert [one(i) for i in range(50)] != [other(i) for i in range(50)]


def test_permutation_spreads_neighbours():
    size, bins = 10**7, 10
    shuffle = Permutation(size, "spread")
    counts = Counter(shuffle(i) * bins // size for i in range(2000))
    assert all(150 < counts[b] < 250 for b in range(bins))  # 200 ± 3.7 standard deviations


@pytest.mark.parametrize("index", [-1, 5])
def test_permutation_refuses_what_is_outside(index):
    with pytest.raises(IndexError):
        Permutation(5, "key")(index)


@given(st.lists(st.integers(0, 12), max_size=6))
def test_interleaving_reaches_every_item_once_and_in_its_order(lengths):
    interleaving = Interleaving(lengths)
    located = [interleaving.locate(position) for position in range(len(interleaving))]
    for stream, length in enumerate(lengths):
        assert [index for s, index in located if s == stream] == list(range(length))
    assert len(located) == sum(lengths)


def test_interleaving_takes_turns_until_a_stream_ends():
    interleaving = Interleaving([1, 3, 2])
    assert [interleaving.locate(i) for i in range(6)] == [
        (0, 0), (1, 0), (2, 0),
        (1, 1), (2, 1),
        (1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("position", [-1, 3])
def test_interleaving_refuses_what_is_outside(position):
    with pytest.raises(IndexError):
        Interleaving([1, 2]).locate(position)
