"""What to compute next where several properties matter: screen all, score the best jointly."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.acquisition.aims import Array
from discover.acquisition.multi.context import JointAcquisition, JointContext, in_order
from discover.acquisition.selection import NOT_FINITE, SMALLEST_STD
from discover.errors import DiscoverError, PluginError, SurrogateError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

CHUNK = 4096
"""Candidates that are screened at once."""
SHORTLIST = 128
"""Candidates that are scored jointly with the front and what is pending."""


@dataclass(frozen=True)
class JointSelection:
    """A picked candidate: its place in the pool, what the model expects of it, and its score.

    `mean` and `std` (p) are on the model's scale; `std` is that of the results to come, noise included.
    `scored` is how many candidates it was chosen from.
    """

    index: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    score: float
    scored: int


def select_jointly(
    model: Model,
    features: Array,
    acquisition: JointAcquisition,
    context: JointContext,
    *,
    n: int = 1,
    seconds: float | None = None,
) -> list[JointSelection]:
    """Picks `n` candidates of a pool (N x d), fewer where it is smaller, each given the ones before it.

    The pool is screened in chunks, until `seconds` are over; the `SHORTLIST` best are scored again by
    the acquisition itself. Every pick becomes pending for the next one. Ties go to the candidate that
    comes first. Raises PluginError where the acquisition does not fit its contract, SurrogateError where
    the model's answers are not finite.
    """
    import torch

    from discover.acquisition.multi.outputs import noise_variances

    picks: list[JointSelection] = []
    with torch.no_grad():
        for _ in range(min(n, len(features))):
            rows, mean, std, scored = shortlist(
                model,
                features,
                acquisition,
                context,
                without=[pick.index for pick in picks],
                seconds=seconds,
            )
            points = torch.from_numpy(np.ascontiguousarray(features[rows], dtype=np.float64))
            scores = _asked(acquisition.score, len(rows), model, points, mean, std, context)
            best = int(scores.argmax())
            noise = noise_variances(model, points[best : best + 1])[0].numpy()
            picks.append(
                JointSelection(
                    index=int(rows[best]),
                    mean=tuple(mean[best].tolist()),
                    std=tuple(np.sqrt(std[best] ** 2 + noise).tolist()),
                    score=float(scores[best]),
                    scored=scored,
                )
            )
            pending = np.concatenate([context.pending, points[best : best + 1].numpy()])
            context = replace(context, pending=pending, picks=context.picks + 1)
    return picks


def shortlist(
    model: Model,
    features: Array,
    acquisition: JointAcquisition,
    context: JointContext,
    *,
    without: Sequence[int] = (),
    seconds: float | None = None,
) -> tuple[npt.NDArray[np.int64], Array, Array, int]:
    """Rows of the best candidates by `screen`, their means and deviations, and how many were screened."""
    import torch

    from discover.acquisition.multi.outputs import exact_marginals

    rows = np.setdiff1d(np.arange(len(features)), list(without))
    scored = len(rows)
    pending = torch.from_numpy(context.pending)
    with torch.no_grad():
        if scored > SHORTLIST:
            scores = _screened(model, features, acquisition, context, seconds)[rows]
            scored = int((scores > -np.inf).sum())
            rows = rows[in_order(scores, min(SHORTLIST, scored))]
        points = torch.from_numpy(np.ascontiguousarray(features[rows], dtype=np.float64))
        mean, std = _deviations(*exact_marginals(model, pending, points))
    return rows, mean, std, scored


def _screened(
    model: Model,
    features: Array,
    acquisition: JointAcquisition,
    context: JointContext,
    seconds: float | None,
) -> Array:
    """Cheap scores of all candidates (N), minus infinity of those that the time did not suffice for."""
    import torch

    from discover.acquisition.multi.outputs import marginals

    started = time.monotonic()
    answers = marginals(model, torch.from_numpy(context.pending))
    scores = np.full(len(features), -np.inf)
    chunks = np.random.default_rng(context.seed).permutation(range(0, len(features), CHUNK))
    for start in chunks.tolist():
        part = slice(start, start + CHUNK)
        x = np.ascontiguousarray(features[part], dtype=np.float64)
        mean, std = _deviations(*answers(torch.from_numpy(x)))
        scores[part] = _asked(acquisition.screen, len(x), mean, std, context)
        if seconds is not None and time.monotonic() - started > seconds:
            break
    return scores


def _deviations(mean: Tensor, variance: Tensor) -> tuple[Array, Array]:
    """Means and standard deviations (n x p), the latter kept above zero."""
    if not bool(mean.isfinite().all()):
        raise SurrogateError(NOT_FINITE)
    std = np.sqrt(variance.numpy().clip(min=0.0))
    floor = SMALLEST_STD * std.max(axis=0, initial=SMALLEST_STD)
    return mean.numpy(), std.clip(min=floor)


def _asked(function: Callable[..., Array], expected: int, *arguments: object) -> Array:
    """What an acquisition answers, checked: a number for each of so many candidates."""
    name = getattr(function, "__qualname__", repr(function))
    try:
        scores = np.asarray(function(*arguments), dtype=np.float64)
    except DiscoverError:
        raise
    except Exception as error:
        raise PluginError(f"acquisition: {name} fails: {error!r}") from error
    if scores.shape != (expected,):
        raise PluginError(
            f"acquisition: {name} must give {expected} scores, it gave the shape {scores.shape}"
        )
    if np.isnan(scores).any():
        raise PluginError(f"acquisition: {name} gave {int(np.isnan(scores).sum())} scores of nan")
    limit = np.finfo(np.float64).max
    return scores.clip(-limit, limit)
