"""Which candidate to compute next, and how dearly: selection over a ladder of fidelities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.acquisition.adapters import Acquisition
from discover.acquisition.context import Array, orientations
from discover.acquisition.functions import log_ei
from discover.acquisition.selection import LogFeasible, Selection, select
from discover.objectives import Goal

if TYPE_CHECKING:
    from botorch.models.model import Model

    from discover.acquisition.believed import Belief


@dataclass(frozen=True)
class RungSelection:
    """A picked candidate, what the model expects of it at the target, and the rung to compute it at."""

    candidate: Selection
    rung: int


@dataclass(frozen=True)
class Looks:
    """What results at each rung would do to the target of n candidates.

    `mean` and `std` (n) are those of the target's result to come; `shift` (n x F) is the standard
    deviation by which a result at each rung is expected to move the mean.
    """

    mean: Array
    std: Array
    shift: Array


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
    seconds: float | None = None,
    log_feasible: LogFeasible | None = None,
) -> RungSelection:
    """The candidate that the acquisition would compute dearly, or a cheaper look that comes before it.

    `asked` (N x F) marks the rungs, cheap to dear, at which a candidate was computed already, and
    `costs` (F) holds what one calculation takes at each. `pending` (p x (d + 1)) has the rung's index
    as its last column; everything else is as in `selection.select`, `observed` at the target.

    The acquisition sees nothing of the ladder: it scores the target's mean and standard deviation, as
    it always does, so that every one of them works. A look at candidate x on rung m is worth the
    improvement that it promises over the mean τ of the one chosen, E[max(μ'(x) - τ, 0)], where the new
    mean μ'(x) is normal about the present one with the deviation `Looks.shift`: the knowledge gradient
    (Frazier et al., INFORMS J. Comput. 21, 599 (2009)) of the choice. What gives most for its cost is
    done: a look at any candidate, or the chosen one at the target. With one rung, that is all there is.
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
        seconds=seconds,
        log_feasible=log_feasible,
    )[0]
    if rungs == 1:
        return RungSelection(best, 0)
    running = np.zeros((0, features.shape[1] + 1)) if pending is None else pending
    with torch.no_grad():
        belief = Belief(model, torch.from_numpy(np.asarray(running, dtype=np.float64)))
        found = looks(belief, features, rungs)
    views = orientations(goal, np.asarray(observed, dtype=np.float64))
    view = max(views, key=lambda view: float(view.of(found.mean)[best.index]))
    gain = log_gain(view.of(found.mean), found.shift, float(view.of(found.mean)[best.index]))
    worth = gain - np.log(costs)
    worth[asked] = -np.inf
    worth[np.arange(len(ids)) != best.index, -1] = -np.inf  # only the chosen one is computed dearly
    index, rung = (int(place) for place in np.unravel_index(worth.argmax(), worth.shape))
    if index == best.index:
        return RungSelection(best, rung)
    chosen = Selection(
        index, float(found.mean[index]), float(found.std[index]), float(worth[index, rung])
    )
    return RungSelection(chosen, rung)


def log_gain(mean: Array, shift: Array, threshold: float) -> Array:
    """Logarithm of E[max(μ' - threshold, 0)] (n x F) for means (n) that move by `shift` (n x F)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (mean[:, None] - threshold) / shift
        return np.where(shift > 0, log_ei(np.where(shift > 0, z, 0.0)) + np.log(shift), -np.inf)


def looks(belief: Belief, features: Array, rungs: int) -> Looks:
    """What a result at each rung would tell of the target, for candidates (n x d).

    The mean at the target moves by cov(f, y_m) / √var(y_m), where f is the target without noise and y_m
    what would be observed at rung m (Frazier et al. (2009), eq. 14).
    """
    from discover.acquisition.believed import CHUNK

    parts = [_looks(belief, features[i : i + CHUNK], rungs) for i in range(0, len(features), CHUNK)]
    return Looks(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.std for part in parts]),
        np.concatenate([part.shift for part in parts]),
    )


def _looks(belief: Belief, features: Array, rungs: int) -> Looks:
    import torch

    at_rungs = np.stack([with_rung(features, rung, rungs) for rung in range(rungs)], axis=1)
    points = torch.from_numpy(at_rungs)  # n x F x (d + 1): the rungs of a candidate jointly
    mean, covariance = belief.moments(points)
    noise = belief.noise(points).diagonal(dim1=-2, dim2=-1)
    results = (covariance.diagonal(dim1=-2, dim2=-1) + noise).clamp_min(0.0)
    shift = torch.where(results > 0, covariance[:, -1].abs() / results.sqrt(), 0.0)
    return Looks(mean[:, -1].numpy(), results[:, -1].sqrt().numpy(), shift.numpy())


def with_rung(features: Array, rung: npt.NDArray[np.int64] | int, rungs: int) -> Array:
    """Descriptors (n x d) as a surrogate wants them: of several rungs, the index is one more column."""
    if rungs == 1:
        return features
    return np.column_stack([features, np.broadcast_to(rung, len(features)).astype(np.float64)])
