"""Which candidate to compute next, and how dearly: selection over a ladder of fidelities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.acquisition.adapters import Acquisition
from discover.acquisition.context import Array
from discover.acquisition.selection import Selection, select
from discover.campaign import Goal

if TYPE_CHECKING:
    from botorch.models.model import Model

    from discover.acquisition.believed import Belief


@dataclass(frozen=True)
class RungSelection:
    """A picked candidate, the rung that it is to be computed at, and the share of the target's
    variance that this is expected to explain.
    """

    candidate: Selection
    rung: int
    explains: float


def select_rung(
    model: Model,
    features: Array,
    ids: Sequence[str],
    asked: npt.NDArray[np.bool_],
    costs: Sequence[float],
    acquisition: Acquisition,
    *,
    goal: Goal,
    observed: Sequence[float] | Array,
    observed_features: Array | None = None,
    pending: Array | None = None,
    picks: int | None = None,
    seed: int = 0,
) -> RungSelection:
    """The best candidate by its score at the target, and the rung that tells most of it for its cost.

    `asked` (N x F) marks the rungs, cheap to dear, at which a candidate was computed already, and
    `costs` (F) holds what one calculation takes at each. `pending` (p x (d + 1)) has the rung's index
    as its last column; everything else is as in `selection.select`, `observed` at the target.

    The acquisition sees nothing of the ladder: it scores what it always scores, the target's mean and
    standard deviation, so that every one of them works. The rung is then the one that explains most of
    the candidate's variance at the target for its cost.
    """
    import torch

    from discover.acquisition.believed import Belief

    rungs = len(costs)
    best = select(
        model,
        with_rung(features, rungs - 1, rungs),
        ids,
        acquisition,
        goal=goal,
        observed=observed,
        observed_features=None
        if observed_features is None
        else with_rung(observed_features, rungs - 1, rungs),
        pending=pending,
        picks=picks,
        seed=seed,
    )[0]
    if rungs == 1:
        return RungSelection(best, 0, 1.0)
    running = np.zeros((0, features.shape[1] + 1)) if pending is None else pending
    with torch.no_grad():
        belief = Belief(model, torch.from_numpy(np.asarray(running, dtype=np.float64)))
        shares = explained_shares(belief, features[best.index], rungs)
    worth = np.where(asked[best.index], -np.inf, shares / np.asarray(costs))
    rung = int(worth.argmax())
    return RungSelection(best, rung, float(shares[rung]))


def explained_shares(belief: Belief, features: Array, rungs: int) -> Array:
    """Share of a candidate's variance at the target that its result at each rung would explain.

    cov(f, y_m)² / (var f · var y_m), where f is the target without noise and y_m what would be
    observed at rung m: the square of the standard deviation by which the mean at the target is
    expected to move, in units of the one at the target (Frazier et al., INFORMS J. Comput. 21, 599
    (2009), eq. 14, for a correlated measurement).
    """
    import torch

    points = torch.from_numpy(np.stack([np.append(features, rung) for rung in range(rungs)]))
    _, covariance = belief.moments(points)
    results = covariance.diagonal() + belief.noise(points).diagonal()
    with_target = covariance[-1]
    scale = float(with_target[-1]) * results
    shares = torch.where(scale > 0, with_target.square() / scale, torch.zeros(()).double())
    return shares.clamp(0.0, 1.0).numpy()


def with_rung(features: Array, rung: npt.NDArray[np.int64] | int, rungs: int) -> Array:
    """Descriptors (n x d) as a surrogate wants them: of several rungs, the index is one more column."""
    if rungs == 1:
        return features
    return np.column_stack([features, np.broadcast_to(rung, len(features)).astype(np.float64)])
