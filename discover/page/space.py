"""The map of the candidate space: descriptors on their two principal axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from discover.page.answers import MapPoint, SpaceMap
from discover.records import ACTIVE_STATES, Calculation, CalculationState, Candidate, CandidateState
from discover.report.findings import Findings

Array = npt.NDArray[np.float64]
PointState = Literal["computed", "active", "ready", "rejected", "failed"]

BACKGROUND = 1500
"""Candidates, spread evenly, that stand for all of them."""
FOREGROUND = 2000
"""Picked candidates that are drawn, the latest."""
NAMED_LOADINGS = 3


class Axes(NamedTuple):
    """Principal axes (2 x d) of standardized descriptors and their shares of the variance."""

    mean: Array
    scale: Array
    axes: Array
    explained: tuple[float, float]

    def project(self, features: Array) -> Array:
        """Places (n x 2) of descriptors (n x d)."""
        return np.asarray(((features - self.mean) / self.scale) @ self.axes.T)


def principal_axes(features: Array) -> Axes:
    """The two directions of largest variance of `features` (n x d, n >= 2), each in standard scores.

    Signs are chosen so that an axis' largest component is positive, and the map does not flip.
    """
    mean, std = features.mean(axis=0), features.std(axis=0)
    scale = np.where(std > 0, std, 1.0)
    scores = (features - mean) / scale
    variances, columns = np.linalg.eigh(scores.T @ scores)  # in ascending order
    axes = np.zeros((2, features.shape[1]))
    axes[: min(2, len(variances))] = columns.T[::-1][:2]
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)[:, None]
    shares = np.append(variances.clip(0.0)[::-1] / (variances.clip(0.0).sum() or 1.0), 0.0)
    return Axes(mean, scale, axes, (float(shares[0]), float(shares[1])))


def space_map(findings: Findings) -> SpaceMap:
    """An even sample of all candidates, and every picked one, by what became of it."""
    store, target = findings.store, findings.spec.target
    picked = {c.candidate: c for c in findings.calculations[-FOREGROUND:]}
    values = {row.candidate: row.value for row in findings.rows}
    sample = store.candidate_sample(BACKGROUND)
    known = {c.id for c in sample}
    shown = [*sample, *(store.candidate(i) for i in picked if i not in known)]
    described = _alike([c for c in shown if c.features is not None])
    points: list[MapPoint] = []
    explained = (0.0, 0.0)
    loadings: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    if len(described) >= 2:
        features = np.array([c.features for c in described], dtype=np.float64)
        axes = principal_axes(features)
        explained = axes.explained
        loadings = (_heaviest(axes.axes[0]), _heaviest(axes.axes[1]))
        places = axes.project(features)
        points = [
            _point(candidate, place, picked.get(candidate.id), values.get(candidate.id))
            for candidate, place in zip(described, places, strict=True)
        ]
    return SpaceMap(
        label=target.label,
        unit="" if target.unit == "1" else target.unit,
        scale=target.transform,
        candidates=sum(store.count_candidates().values()),
        sampled=len(sample),
        explained=explained,
        loadings=loadings,
        points=tuple(points),
    )


def _alike(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those whose descriptors are as many as most have (settings may have changed in between)."""
    lengths = [len(c.features or ()) for c in candidates]
    common = max(set(lengths), key=lengths.count, default=0)
    return [c for c in candidates if len(c.features or ()) == common and common]


def _point(
    candidate: Candidate, place: Array, calculation: Calculation | None, value: float | None
) -> MapPoint:
    return MapPoint(
        candidate=candidate.id,
        formula=candidate.formula,
        x=round(float(place[0]), 4),
        y=round(float(place[1]), 4),
        state=_state(candidate, calculation, value),
        value=value,
    )


def _state(
    candidate: Candidate, calculation: Calculation | None, value: float | None
) -> PointState:
    if value is not None:
        return "computed"
    if calculation is not None and calculation.state in ACTIVE_STATES:
        return "active"
    if calculation is not None and calculation.state is not CalculationState.DONE:
        return "failed"
    return "rejected" if candidate.state is CandidateState.REJECTED else "ready"


def _heaviest(axis: Array) -> tuple[int, ...]:
    order = np.argsort(-np.abs(axis))[:NAMED_LOADINGS]
    return tuple(int(i) for i in order if axis[i] != 0)
