"""Surrogates `random-forest` and `gradient-boosting`: trees with an honest uncertainty."""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from surrogates.base import TrainingData
from surrogates.scaling import for_single_precision, level
from surrogates.tabular import TabularSurrogate, judging, row_weights

if TYPE_CHECKING:
    import torch

    from surrogates.tree_arrays import Tree
    from surrogates.tree_ensemble import TreeEnsemble

Array = npt.NDArray[np.float64]


FEW = 6
"""So many descriptors, or fewer, are all looked at: part of them misses what they do together."""
TRIES = 100
"""Draws of rows by their weights, before every row counts."""


class _Trees(TabularSurrogate):
    """Members that each see their own bootstrap of the groups, and are judged on the rest."""

    members: int
    together: ClassVar[bool]
    """Whether members are fitted by several threads: some gain by it, some only wait for each other."""

    def fit_exact(self, data: TrainingData, seed: int) -> TreeEnsemble:
        """An ensemble whose uncertainty was set by what its members did not see."""
        import torch

        from surrogates.descent import descend
        from surrogates.threads import one_thread
        from surrogates.tree_arrays import Trees
        from surrogates.tree_ensemble import Calibration, TreeEnsemble, novelty, unjudged

        offset, unit = for_single_precision(data.x.double())
        x = ((data.x.double() - offset) / unit).numpy().astype(np.float32)
        y = data.y[:, 0].double().numpy()
        mean = level(y)
        rng = np.random.default_rng(seed)
        group, n_groups = _groups(data)
        weights = row_weights(data).numpy()
        drawn = _bootstraps(group, n_groups, weights, self.members, rng)
        seeds = rng.integers(2**31, size=len(drawn)).tolist()

        def member(counts: npt.NDArray[np.int64], own_seed: int) -> tuple[list[Tree], Array]:
            seen = counts > 0
            grown, important = self.fit_member(x[seen], y[seen] - mean, counts[seen], own_seed)
            return [replace(grown[0], value=grown[0].value + mean), *grown[1:]], important

        trees: list[Tree] = []
        importance = np.zeros(x.shape[1])
        with ThreadPoolExecutor(torch.get_num_threads() if self.together else 1) as threads:
            for grown, important in threads.map(member, drawn, seeds):
                trees += grown
                # rounding makes some of scikit-learn's negative
                importance += important.clip(min=0.0)
        if not importance.any():
            importance[:] = 1.0
        model = TreeEnsemble(
            Trees.of(trees, None if bool((unit == 1).all()) else (offset, unit)),
            self.members,
            data.x.double(),
            torch.from_numpy(importance),
        )
        values = model.members(data.x.double())
        residual, spread, judged = _out_of_bag(values, torch.from_numpy(drawn == 0), data.y[:, 0])
        judged &= judging(data)
        if not bool(judged.any()):
            model.factors = unjudged(data.y.double().var())
            return model
        points = model.points(data.x.double())
        distances = torch.cdist(points, points)
        same = torch.from_numpy(group)
        distances[same.unsqueeze(0) == same.unsqueeze(1)] = torch.inf
        far = novelty(distances.amin(dim=-1))
        with one_thread():
            calibration = Calibration(residual[judged], spread[judged], far[judged])
            model.factors = descend(calibration).factors
        return model

    @abstractmethod
    def fit_member(
        self, x: Any, y: Array, weights: npt.NDArray[np.int64], seed: int
    ) -> tuple[list[Tree], Array]:
        """Trees of one member, and the importance (d) of each descriptor in it."""


class RandomForest(_Trees):
    """Random forest (Breiman, Mach. Learn. 45, 5 (2001)) of fully grown trees.

    Each split looks at the share `features` of the descriptors, and at `FEW` of them at least. The
    posterior is wide where the trees differ and where nothing like the candidate is known.
    """

    together = True

    def __init__(
        self,
        members: Annotated[int, Field(ge=4)] = 100,
        features: Annotated[float, Field(gt=0, le=1)] = 0.5,
    ) -> None:
        self.members = members
        self._features = features

    def fit_member(
        self, x: Any, y: Array, weights: npt.NDArray[np.int64], seed: int
    ) -> tuple[list[Tree], Array]:
        """One tree."""
        from sklearn.tree import DecisionTreeRegressor

        from surrogates.tree_arrays import from_decision_tree

        columns = x.shape[1]
        looked_at = max(int(self._features * columns), min(FEW, columns))
        tree = DecisionTreeRegressor(max_features=looked_at, random_state=seed)
        tree.fit(x, y, sample_weight=weights)
        return [from_decision_tree(tree)], np.asarray(tree.feature_importances_)


class GradientBoosting(_Trees):
    """Histogram gradient boosting (Ke et al., NeurIPS 2017, as in scikit-learn), a few times over.

    Each of `members` boosts `iterations` trees on its own bootstrap; how much they differ is the doubt.
    """

    together = False

    def __init__(
        self,
        members: Annotated[int, Field(ge=4)] = 8,
        iterations: Annotated[int, Field(ge=1)] = 100,
        learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.1,
    ) -> None:
        self.members = members
        self._iterations = iterations
        self._learning_rate = learning_rate

    def fit_member(
        self, x: Any, y: Array, weights: npt.NDArray[np.int64], seed: int
    ) -> tuple[list[Tree], Array]:
        """One boosted sequence of trees."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        from surrogates.tree_arrays import from_boosting

        boosting = HistGradientBoostingRegressor(
            learning_rate=self._learning_rate,
            max_iter=self._iterations,
            min_samples_leaf=int(np.clip(len(x) // 20, 2, 20)),
            max_leaf_nodes=15,
            max_features=0.5,
            early_stopping=False,
            random_state=seed,
        )
        with threadpool_limits(1, user_api="openmp"):  # trees this small are grown slower by more
            fitted = boosting.fit(x, y, sample_weight=weights)
        importance = np.zeros(x.shape[1])
        for (predictor,) in fitted._predictors:  # noqa: SLF001 - nothing else gives the nodes
            nodes = predictor.nodes
            inner = ~nodes["is_leaf"].astype(bool)
            np.add.at(importance, nodes["feature_idx"][inner], nodes["gain"][inner])
        return from_boosting(fitted), importance


def _groups(data: TrainingData) -> tuple[npt.NDArray[np.int64], int]:
    groups = np.arange(len(data.x)) if data.groups is None else data.groups.numpy()
    _, group = np.unique(groups, return_inverse=True)
    return group, int(group.max()) + 1


def _bootstraps(
    group: npt.NDArray[np.int64],
    n_groups: int,
    weights: Array,
    members: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """How often each member sees each row (members x n); two rows at least.

    Whole groups are drawn, and of their rows each with the probability that is its weight: a tree that
    is fully grown would believe even a row of little weight. Where that leaves too few rows again and
    again, every row counts.
    """
    drawn = np.zeros((members, len(group)), dtype=np.int64)
    for counts in drawn:
        tried = 0
        while (counts > 0).sum() < 2:
            times = np.bincount(rng.integers(n_groups, size=n_groups), minlength=n_groups)
            counts += rng.binomial(times[group], weights if tried < TRIES else 1.0)
            tried += 1
    return drawn


def _out_of_bag(
    values: torch.Tensor, unseen: torch.Tensor, y: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Residual and variance (n) of the members that did not see a row, and where two did not."""
    import torch

    k = unseen.sum(dim=0)
    mean = torch.where(unseen, values, 0.0).sum(dim=0) / k.clamp_min(1)
    spread = torch.where(unseen, (values - mean).square(), 0.0).sum(dim=0) / (k - 1).clamp_min(1)
    return y.double() - mean, spread, k >= 2
