"""Decision trees as arrays, which are evaluated in one pass and stored without pickle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]

ROWS = 2048
"""Rows that are sent down all trees at once."""


@dataclass(frozen=True)
class Tree:
    """One tree: feature, threshold, left and right child, and value of each node; root first.

    A leaf has no left child (-1). A row goes left where its feature is at most the threshold.
    """

    feature: npt.NDArray[np.int64]
    threshold: Array
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    value: Array


class Trees:
    """T trees whose nodes (N in all) stand side by side, the right child always next to the left one.

    They compare (x - `offset`) / `unit` where the tensors have these (d each).
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self._depth = int(tensors["depth"])
        self._feature, self._child, self._root = (
            tensors[name].int() for name in ("feature", "child", "root")
        )
        self._threshold = _rounded_down(tensors["threshold"])

    @classmethod
    def of(cls, trees: Sequence[Tree], scaled: tuple[Tensor, Tensor] | None = None) -> Trees:
        """Arrays of these trees, grown on (x - offset) / unit (d each) where both are given."""
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        roots, total, depth = [], 0, 0
        for tree in trees:
            order, deep = _siblings_together(tree)
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            leaf = tree.left[order] < 0
            child = np.where(leaf, np.arange(len(order)), place[tree.left[order]])
            for name, part in (
                ("feature", np.where(leaf, 0, tree.feature[order])),
                ("threshold", np.where(leaf, np.inf, tree.threshold[order])),
                ("child", child + total),
                ("value", tree.value[order]),
            ):
                parts.setdefault(name, []).append(part)
            roots.append(total)
            total, depth = total + len(order), max(depth, deep)
        tensors = {name: torch.from_numpy(np.concatenate(part)) for name, part in parts.items()}
        return cls(
            tensors
            | {
                "root": torch.tensor(roots, dtype=torch.int64),
                "depth": torch.tensor(depth, dtype=torch.int64),
            }
            | (dict(zip(("offset", "unit"), scaled, strict=True)) if scaled else {})
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Values of all trees (n x T) at x (n x d), which is compared in single precision."""
        if "unit" in self.tensors:
            x = (x.double() - self.tensors["offset"]) / self.tensors["unit"]
        return torch.cat([self._values(part) for part in x.float().split(ROWS)])

    def _values(self, x: Tensor) -> Tensor:
        n, d = x.shape
        flat = x.flatten()
        row = (d * torch.arange(n, dtype=torch.int32)).repeat_interleave(len(self._root))
        node = self._root.repeat(n)
        for _ in range(self._depth):
            asked = flat.index_select(0, self._feature.index_select(0, node) + row)
            right = asked > self._threshold.index_select(0, node)
            node = self._child.index_select(0, node) + right
        values: Tensor = self.tensors["value"].index_select(0, node)
        return values.reshape(n, -1)


def _rounded_down(threshold: Tensor) -> Tensor:
    """In single precision, so that no single-precision number changes its side."""
    single = threshold.float()
    below = torch.nextafter(single, torch.full_like(single, -torch.inf))
    return torch.where(single.double() > threshold, below, single)


def _siblings_together(tree: Tree) -> tuple[npt.NDArray[np.int64], int]:
    """An order of the nodes, level by level, with each right child behind its left one, and the depth."""
    levels = [np.array([0])]
    while True:
        inner = levels[-1][tree.left[levels[-1]] >= 0]
        if not len(inner):
            return np.concatenate(levels), len(levels) - 1
        levels.append(np.stack([tree.left[inner], tree.right[inner]], axis=1).ravel())


def from_decision_tree(fitted: Any) -> Tree:
    """A fitted `sklearn.tree.DecisionTreeRegressor`."""
    inner = fitted.tree_
    return Tree(
        np.asarray(inner.feature, dtype=np.int64),
        np.asarray(inner.threshold, dtype=np.float64),
        np.asarray(inner.children_left, dtype=np.int64),
        np.asarray(inner.children_right, dtype=np.int64),
        np.asarray(inner.value[:, 0, 0], dtype=np.float64),
    )


def from_boosting(fitted: Any) -> list[Tree]:
    """The trees of a fitted `sklearn.ensemble.HistGradientBoostingRegressor`, the baseline one more."""
    baseline = np.array([float(np.ravel(fitted._baseline_prediction)[0])])  # noqa: SLF001
    nothing = np.array([-1])
    trees = [Tree(np.array([0]), np.array([np.inf]), nothing, nothing, baseline)]
    for (predictor,) in fitted._predictors:  # noqa: SLF001 - nothing else gives the nodes
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        trees.append(
            Tree(
                nodes["feature_idx"].astype(np.int64),
                nodes["num_threshold"].astype(np.float64),
                np.where(leaf, -1, nodes["left"].astype(np.int64)),
                np.where(leaf, -1, nodes["right"].astype(np.int64)),
                np.where(leaf, nodes["value"], 0.0).astype(np.float64),
            )
        )
    return trees
