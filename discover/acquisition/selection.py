"""Which candidates to compute next: score a pool of any size and pick from it, one by one."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.acquisition.adapters import Acquisition
from discover.acquisition.context import Array, Context, Orientation, orientations
from discover.errors import SurrogateError
from discover.objectives import Goal

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

    from discover.acquisition.believed import Belief

CHUNK = 1024
"""Candidates that are screened at once."""
MOST_THREADS = 8
"""More of them screening at once wait for the one that scores."""
SHORTLIST = 1024
"""Candidates of a large pool that are considered jointly."""
NOT_FINITE = "the model's mean is not finite for every candidate"
SMALLEST_STD = 1e-12
"""Standard deviations are kept above this share of the largest, so that scores stay defined."""


Chunk = tuple[npt.NDArray[np.int64], Context, "Tensor", "Tensor"]
"""Rows of the pool, the context of these rows alone, their means and variances."""


@dataclass(frozen=True)
class Selection:
    """A picked candidate: its place in the pool, what the model expects of it, and its score.

    `mean` and `std` are on the model's scale, not oriented; `std` is that of the result to come: noise
    included, results that were pending believed. `scored` is how many candidates it was chosen from.
    """

    index: int
    mean: float
    std: float
    score: float
    scored: int = 0


LogFeasible = Callable[[Array], Array]
"""From descriptors (n x d) to the logarithm of the probability (n) that all constraints are met."""


@dataclass(frozen=True)
class Constrained:
    """An acquisition weighted with the probability that a candidate meets the constraints.

    Schonlau, Welch & Jones (1998) for the expected improvement; what is no logarithm is counted from the
    lowest score of those that are compared, so that the weight always lowers it.
    """

    acquisition: Acquisition
    log_feasible: LogFeasible

    @property
    def logarithmic(self) -> bool:
        """As the acquisition itself."""
        return self.acquisition.logarithmic

    def score(
        self, mean: Array, std: Array, context: Context, belief: Belief, orientation: Orientation
    ) -> Array:
        """The acquisition's own scores, weighted."""
        scores = self.acquisition.score(mean, std, context, belief, orientation)
        log_probability = self.log_feasible(context.features)
        if self.logarithmic:
            return scores + log_probability
        return np.asarray((scores - scores.min()) * np.exp(log_probability))


def select(
    model: Model,
    features: Array,
    ids: Sequence[str],
    acquisition: Acquisition,
    *,
    goal: Goal,
    observed: Sequence[float] | Array,
    observed_features: Array | None = None,
    pending: Array | None = None,
    picks: int | None = None,
    n: int = 1,
    seed: int = 0,
    seconds: float | None = None,
    log_feasible: LogFeasible | None = None,
) -> list[Selection]:
    """Picks `n` candidates (fewer where the pool is smaller), each given the ones before it.

    `features` (N x d) and `ids` (N) are the pool, `observed` the values known so far (model scale),
    `observed_features` (one row each) where some BoTorch class asks for them, `pending` (p x d) the
    calculations still running, `picks` how many were picked ever, failed ones included (by default
    the observed and pending ones): it moves what an acquisition draws at random. Every pick becomes
    pending for the next one. A pool of more than `SHORTLIST` is screened in chunks first, so that
    `features` may be a memory map of any size; the picks are then made among the `SHORTLIST` best. Ties
    go to the candidate that comes first.

    Where there are constraints, `log_feasible` tells the logarithm of the probability that a candidate
    meets them: scores that are logarithms (see `Acquisition.logarithmic`) get it added, others are
    counted from the lowest one and multiplied by the probability.

    Screening ends after `seconds`: the picks are then the best of the chunks, in an order drawn by
    `seed`, that were scored by then, one at least.

    Raises PluginError where the acquisition does not fit its contract.
    """
    import torch

    from discover.acquisition.believed import Belief

    if features.ndim != 2 or len(features) != len(ids):
        raise ValueError(f"{features.shape} features for {len(ids)} ids; give one row for each id")
    running = np.zeros((0, features.shape[1])) if pending is None else np.asarray(pending, float)
    context = Context(
        goal=goal,
        ids=ids,
        features=features,
        observed=np.asarray(observed, dtype=np.float64),
        pending=len(running),
        picks=len(observed) + len(running) if picks is None else picks,
        seed=seed,
        observed_features=None
        if observed_features is None
        else np.ascontiguousarray(observed_features, dtype=np.float64),
    )
    with torch.no_grad():
        belief = Belief(model, torch.from_numpy(running))
        if log_feasible is not None:
            acquisition = Constrained(acquisition, log_feasible)
        shortlist, scored = np.arange(len(features)), len(features)
        if len(features) > SHORTLIST:
            shortlist, scored = _screened(context, belief, acquisition, seconds)
        picked = _pick(_part(context, shortlist), belief, acquisition, n)
    return [replace(pick, index=int(shortlist[pick.index]), scored=scored) for pick in picked]


def _screened(
    context: Context, belief: Belief, acquisition: Acquisition, seconds: float | None
) -> tuple[npt.NDArray[np.int64], int]:
    """Rows of the `SHORTLIST` best candidates, each scored for itself, and how many were scored."""
    import torch

    from surrogates.threads import one_thread

    started = time.monotonic()
    fast = belief.fast_screening()
    screening = belief.screening() if fast is None else fast
    scores = np.full(len(context.features), -np.inf)
    scored = 0

    def screened(start: int) -> Chunk:
        rows = np.arange(start, min(start + CHUNK, len(scores)))
        part = _part(context, rows)
        with torch.no_grad():  # holds for the thread that sets it
            return rows, part, *screening(torch.from_numpy(part.features))

    starts = np.random.default_rng(context.seed).permutation(range(0, len(scores), CHUNK)).tolist()
    threads = 1 if fast is None else min(len(os.sched_getaffinity(0)), MOST_THREADS)
    with (
        nullcontext() if threads < 2 else one_thread(),
        closing(_in_order(screened, starts, threads)) as chunks,
    ):
        for rows, part, mean, variance in chunks:
            if not bool(mean.isfinite().all()):
                raise SurrogateError(NOT_FINITE)
            scores[rows] = _score(mean.numpy(), variance.numpy(), part, belief, acquisition)
            scored += len(rows)
            if seconds is not None and time.monotonic() - started > seconds:
                break
    best = np.argpartition(-scores, SHORTLIST)[: SHORTLIST + 1]
    threshold = scores[best].min()
    ahead, level = np.flatnonzero(scores > threshold), np.flatnonzero(scores == threshold)
    return np.sort(np.concatenate([ahead, level[: SHORTLIST - len(ahead)]])), scored


def _in_order(work: Callable[[int], Chunk], items: Iterable[int], threads: int) -> Generator[Chunk]:
    """Results of `work` in the order of the items, a few of which are worked on at once."""
    if threads < 2:
        yield from map(work, items)
        return
    ahead: deque[Future[Chunk]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(work, item))
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _pick(context: Context, belief: Belief, acquisition: Acquisition, n: int) -> list[Selection]:
    """Greedy picks from one joint posterior, which each of them updates."""
    import torch

    mean, covariance = _moments(context, belief)
    picks: list[Selection] = []
    free = np.ones(len(mean), dtype=bool)
    for _ in range(min(n, len(mean))):
        now = replace(
            context,
            covariance=covariance,
            pending=context.pending + len(picks),
            picks=context.picks + len(picks),
        )
        scores = _score(mean, covariance.diagonal(), now, belief, acquisition)
        index = int(np.where(free, scores, -np.inf).argmax())
        free[index] = False
        x = torch.from_numpy(context.features[index : index + 1])
        variance = max(covariance[index, index], 0.0) + float(belief.noise(x))
        picks.append(
            Selection(index, float(mean[index]), float(np.sqrt(variance)), float(scores[index]))
        )
        belief = belief.with_one_more(x)
        if variance > 0:
            covariance = covariance - np.outer(covariance[index], covariance[index]) / variance
    return picks


def _score(
    mean: Array, variance: Array, context: Context, belief: Belief, acquisition: Acquisition
) -> Array:
    """The better score of all the orientations of the goal."""
    std = np.sqrt(variance.clip(min=0.0))
    std = std.clip(min=SMALLEST_STD * max(std.max(), SMALLEST_STD))
    views = [
        acquisition.score(
            view.of(mean),
            std,
            replace(context, observed=view.of(context.observed)),
            belief,
            view,
        )
        for view in orientations(context.goal, context.observed)
    ]
    return np.asarray(np.max(views, axis=0))


def _moments(context: Context, belief: Belief) -> tuple[Array, Array]:
    import torch

    mean, covariance = belief.moments(torch.from_numpy(context.features))
    if not bool(mean.isfinite().all()):
        raise SurrogateError(NOT_FINITE)
    return mean.numpy(), covariance.numpy()


def _part(context: Context, rows: npt.NDArray[np.int64]) -> Context:
    ids = [context.ids[row] for row in rows.tolist()]
    features = np.ascontiguousarray(context.features[rows], dtype=np.float64)
    return replace(context, ids=ids, features=features)
