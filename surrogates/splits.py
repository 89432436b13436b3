"""Which rows a model learns from and which it is asked for: splits inside and outside of what is known.

Every function here takes the target `y` (n), the descriptors `x` (n x d), `groups` (n integers, or None)
and a seed, and gives a list of pairs (train, test) of sorted row indices. Rows of one group never stand
on both sides: where a split would part them, the training side loses them. Sides are never empty.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from discover.errors import SurrogateError

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Groups = npt.NDArray[np.int64] | None
Pairs = list[tuple[Rows, Rows]]
Split = Callable[[Array, Array, Groups, int], Pairs]

SHARE = 0.2
"""Part of the rows that is tested, where one part is."""
FOLDS = 5
"""Parts that are tested in turn, where all are."""


def random_share(y: Array, x: Array, groups: Groups, seed: int) -> Pairs:
    """One random fifth of the groups is tested."""
    labels = _labels(y, x, groups)
    order = np.random.default_rng(seed).permutation(int(labels.max()) + 1)
    tested = order[: max(1, round(SHARE * len(order)))]
    return _pairs(labels, [np.isin(labels, tested)])


def group_folds(y: Array, x: Array, groups: Groups, seed: int) -> Pairs:
    """Five parts, each tested once: shuffled groups, dealt out in turn.

    With few large groups (space groups, say) there are as many parts as groups.
    """
    labels = _labels(y, x, groups)
    dealt = np.random.default_rng(seed).permutation(int(labels.max()) + 1) % FOLDS
    fold = dealt[labels]
    return _pairs(labels, [fold == k for k in range(int(dealt.max()) + 1)])


def property_top(y: Array, x: Array, groups: Groups, seed: int) -> Pairs:  # noqa: ARG001
    """The fifth with the highest values is tested, so that all that is known lies below."""
    labels = _labels(y, x, groups)
    tested = np.zeros(len(y), dtype=bool)
    tested[np.argsort(-y, kind="stable")[: max(1, round(SHARE * len(y)))]] = True
    return _pairs(labels, [tested])


def property_bottom(y: Array, x: Array, groups: Groups, seed: int) -> Pairs:
    """The fifth with the lowest values is tested: the mirror image of `property_top`."""
    return property_top(-y, x, groups, seed)


def clusters(y: Array, x: Array, groups: Groups, seed: int) -> Pairs:
    """Five clusters of the descriptors (k-means on standard scores), each tested once."""
    from sklearn.cluster import KMeans

    labels = _labels(y, x, groups)
    spread = x.std(axis=0)
    varying = spread > 1e-9 * np.abs(x).max(axis=0)
    if not varying.any():
        raise SurrogateError("rows without any descriptor that varies have no clusters")
    scores = (x[:, varying] - x[:, varying].mean(axis=0)) / spread[varying]
    count = min(FOLDS, len(np.unique(scores, axis=0)))
    found = KMeans(count, n_init=3, random_state=seed).fit(scores).labels_
    return _pairs(labels, [found == k for k in range(count)])


SPLITS: dict[str, Split] = {
    "random": random_share,
    "group": group_folds,
    "property-top": property_top,
    "property-bottom": property_bottom,
    "cluster": clusters,
}
"""Every split by name."""


def _labels(y: Array, x: Array, groups: Groups) -> Rows:
    """Groups as 0, 1, ...; each row is its own where there are none."""
    if y.ndim != 1 or x.ndim != 2 or len(x) != len(y) or not np.isfinite(y).all():
        raise SurrogateError(
            f"a split needs n finite targets and n x d descriptors, got {y.shape} and {x.shape}"
        )
    if groups is None:
        return np.arange(len(y))
    return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)


def _pairs(labels: Rows, tested: list[npt.NDArray[np.bool_]]) -> Pairs:
    """Train and test rows of each tested part, those with an empty side left out."""
    pairs = []
    for inside in tested:
        train = ~np.isin(labels, labels[inside])
        if inside.any() and train.any():
            pairs.append((np.flatnonzero(train), np.flatnonzero(inside)))
    return pairs
