import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from surrogates.tree_arrays import Tree, Trees, from_boosting, from_decision_tree


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype(np.float32)
    x[:, 4] = x[:, 4] > 0
    return x, np.sin(3 * x[:, 0]) + x[:, 4], rng.normal(size=(500, 5)).astype(np.float32)


def test_decision_trees_are_scikit_learns(table):
    x, y, new = table
    fitted = [
        DecisionTreeRegressor(random_state=i, max_depth=2 * i + 1).fit(x, y) for i in range(4)
    ]
    trees = Trees.of([from_decision_tree(tree) for tree in fitted])
    expected = np.stack([tree.predict(new) for tree in fitted], axis=1)
    np.testing.assert_allclose(trees(torch.from_numpy(new).double()).numpy(), expected)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6, width=32), st.integers(-1, 1))
def test_rows_in_single_precision_go_where_the_threshold_in_double_sends_them(
    threshold, value, step
):
    near = np.float32(threshold)
    rows = [value, near, np.nextafter(near, np.float32(step * np.inf if step else 0.0))]
    leaf = np.array([-1, -1])
    tree = Tree(
        np.zeros(3, dtype=np.int64),
        np.array([threshold, np.inf, np.inf]),
        np.array([1, *leaf]),
        np.array([2, *leaf]),
        np.array([np.nan, 0.0, 1.0]),
    )
    found = Trees.of([tree])(torch.tensor(np.array(rows, dtype=np.float32))[:, None])
    assert found.flatten().tolist() == [float(np.float64(row) > threshold) for row in rows]


def test_boosting_is_scikit_learns(table):
    x, y, new = table
    fitted = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x, y)
    trees = Trees.of(from_boosting(fitted))
    total = trees(torch.from_numpy(new).double()).sum(dim=1)
    np.testing.assert_allclose(total.numpy(), fitted.predict(new), rtol=1e-6, atol=1e-6)


def test_a_tree_that_never_splits_is_its_mean():
    tree = DecisionTreeRegressor().fit(np.zeros((3, 1)), [1.0, 2.0, 6.0])
    assert Trees.of([from_decision_tree(tree)])(torch.ones(2, 1)).tolist() == [[3.0], [3.0]]
