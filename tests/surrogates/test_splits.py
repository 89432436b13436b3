import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.errors import SurrogateError
from surrogates.splits import SPLITS, clusters, group_folds, property_bottom, property_top


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(n), rng.standard_normal((n, 3))


@settings(max_examples=20, deadline=None)
@given(
    groups=st.lists(st.integers(-3, 9), min_size=2, max_size=30) | st.none(),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("name", SPLITS)
def test_groups_never_stand_on_both_sides(name, groups, seed):
    y, x = rows(30 if groups is None else len(groups), seed)
    labels = None if groups is None else np.array(groups)
    pairs = SPLITS[name](y, x, labels, seed)
    again = SPLITS[name](y, x, labels, seed)
    for (train, test), (train_again, test_again) in zip(pairs, again, strict=True):
        assert len(train) > 0
        assert len(test) > 0
        assert not set(train) & set(test)
        if labels is not None:
            assert not set(labels[train]) & set(labels[test])
        np.testing.assert_array_equal(train, train_again)
        np.testing.assert_array_equal(test, test_again)


def test_the_tested_values_are_outside_of_the_known_range():
    y, x = rows(50)
    ((train, test),) = property_top(y, x, None, 0)
    assert y[test].min() > y[train].max()
    assert len(test) == 10
    ((train, test),) = property_bottom(y, x, None, 0)
    assert y[test].max() < y[train].min()


def test_the_highest_values_are_tested_whatever_the_groups():
    """A group at both ends does not take the place of higher rows, and is not learned from."""
    y, x = np.arange(40.0), np.random.default_rng(0).normal(size=(40, 2))
    labels = np.arange(40)
    labels[0] = labels[39]
    ((train, test),) = property_top(y, x, labels, 0)
    assert test.tolist() == list(range(32, 40))
    assert train.tolist() == list(range(1, 32))


@pytest.mark.parametrize("split", [group_folds, clusters])
def test_every_row_is_tested_once(split):
    y, x = rows(40)
    tested = np.concatenate([test for _, test in split(y, x, None, 1)])
    assert sorted(tested) == list(range(40))


def test_clusters_are_found_whatever_the_scales():
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(5), 8)
    x = np.stack([1e4 * kind, rng.normal(size=40) * 1e-9, np.full(40, 7.0)], axis=1)
    x[:, 1] = 1e-6 * (kind % 2)
    for _, test in clusters(rng.standard_normal(40), x, None, 0):
        assert len(set(kind[test])) == 1


@pytest.mark.parametrize(
    ("y", "x", "message"),
    [
        (np.array([1.0, np.nan]), np.zeros((2, 1)), "finite targets"),
        (np.zeros(3), np.zeros((2, 1)), "finite targets"),
        (np.zeros(3), np.ones((3, 2)), "descriptor that varies"),
    ],
)
def test_what_cannot_be_split_is_refused(y, x, message):
    with pytest.raises(SurrogateError, match=message):
        clusters(y, x, None, 0)
