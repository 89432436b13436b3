import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor

from surrogates.tree_arrays import Trees, from_boosting, from_decision_tree


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


def test_boosting_is_scikit_learns(table):
    x, y, new = table
    fitted = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x, y)
    trees = Trees.of(from_boosting(fitted))
    total = trees(torch.from_numpy(new).double()).sum(dim=1)
    np.testing.assert_allclose(total.numpy(), fitted.predict(new), rtol=1e-6, atol=1e-6)


def test_a_tree_that_never_splits_is_its_mean():
    tree = DecisionTreeRegressor().fit(np.zeros((3, 1)), [1.0, 2.0, 6.0])
    assert Trees.of([from_decision_tree(tree)])(torch.ones(2, 1)).tolist() == [[3.0], [3.0]]
