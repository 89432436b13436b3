"""What several objectives and constraints make of the candidates: the front, and how it grew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from discover.acquisition.aims import Aims, Array, hypervolume, non_dominated
from discover.campaign import CampaignSpec
from discover.objectives import Constraint
from discover.observed import known_rows, usable_observations
from discover.records import Bound, Calculation, Record
from discover.rows import CandidateRow, described
from discover.store.base import Store

Standing = Literal["front", "feasible", "infeasible", "incomplete"]
"""On the front, dominated, missing a constraint, or not known well enough to say."""


class Outcome(CandidateRow):
    """What is known of one candidate: property values by name, each in its property's unit.

    `bounds` names those of them that are bounds: the true value lies below or above. One that leaves open
    how good the candidate is makes it incomplete. `violated` are constraints in words, `order` is when
    its last calculation was picked (-1: it was imported), `picked_by` what chose that one.
    """

    values: dict[str, float]
    bounds: dict[str, Bound] = {}
    standing: Standing
    violated: tuple[str, ...]
    order: int
    picked_by: str
    calculations: tuple[str, ...]


class Tradeoff(Record):
    """How the search for a front stands.

    `complete` candidates have all objectives and constraints known, `feasible_share` is that of them
    which meet every constraint. `hypervolume` is on the scales on which properties are learned (log10
    where they are), beyond the references; None for a single objective. `hypervolume_over_time` has one
    value for each complete candidate, in the order in which they were picked.
    """

    objectives: tuple[str, ...]
    constraints: tuple[str, ...]
    complete: int
    feasible: int
    feasible_share: float | None
    front: int
    hypervolume: float | None
    hypervolume_over_time: tuple[float, ...]


def has_tradeoff(spec: CampaignSpec) -> bool:
    """Whether there are several objectives, or constraints."""
    return len(spec.sought) > 1 or bool(spec.constraints)


def outcomes(store: Store, spec: CampaignSpec) -> list[Outcome]:
    """All candidates with any modelled property: the front, then by standing; the best objective first.

    Where a value came from several sources, the first counts.
    """
    calculations = {calculation.id: calculation for calculation in store.calculations()}
    rows = known_rows(spec, usable_observations(store, spec)).only(len(spec.ladder))
    kept = np.array(
        [i for i, candidate in enumerate(rows.candidates) if candidate not in rows.candidates[:i]],
        dtype=np.int64,
    )
    sure = rows.sure(spec)[kept].reshape(-1, len(spec.modelled))
    standings = standing_of(Aims.of(spec), sure)
    found = []
    for row, decided, standing in zip(kept.tolist(), sure, standings, strict=True):
        told = {
            target.name: target.from_model(float(value))
            for target, value in zip(spec.modelled, rows.values[row], strict=True)
            if np.isfinite(value)
        }
        judged = {
            target.name: told[target.name]
            for target, value in zip(spec.modelled, decided, strict=True)
            if np.isfinite(value)
        }
        own = [calculations[o.calculation] for o in rows.observations[row] if o.calculation]
        last = max(own, key=lambda calculation: calculation.order, default=None)
        found.append(
            Outcome(
                **described(store.candidate(rows.candidates[row])),
                values=told,
                bounds={o.property: o.bound for o in rows.observations[row] if o.bound},
                standing=standing,
                violated=violated(spec.constraints, judged),
                order=-1 if last is None else last.order,
                picked_by="import" if last is None else last.picked_by,
                calculations=_ids(own),
            )
        )
    first = spec.sought[0]
    sign = 1.0 if first.goal == "min" else -1.0
    order: tuple[Standing, ...] = ("front", "feasible", "infeasible", "incomplete")
    return sorted(
        found,
        key=lambda one: (
            order.index(one.standing),
            sign * one.values.get(first.property, sign * np.inf),
            one.order,
        ),
    )


def standing_of(aims: Aims, values: Array) -> list[Standing]:
    """The standing of each row of property values (k x p, model scale)."""
    complete, feasible = aims.complete(values), aims.feasible(values)
    rows = np.flatnonzero(complete & feasible)
    front = set(rows[non_dominated(aims.oriented(values[rows]))].tolist())
    return [
        "front"
        if i in front
        else "incomplete"
        if not complete[i]
        else "feasible"
        if feasible[i]
        else "infeasible"
        for i in range(len(values))
    ]


def violated(constraints: Sequence[Constraint], values: dict[str, float]) -> tuple[str, ...]:
    """The constraints, in words, that known values miss."""
    return tuple(
        constraint.in_words()
        for constraint in constraints
        if constraint.property in values and not constraint.met_by(values[constraint.property])
    )


def tradeoff(spec: CampaignSpec, found: Sequence[Outcome]) -> Tradeoff:
    """How the search stands, given all outcomes."""
    complete = [one for one in found if one.standing != "incomplete"]
    feasible = [one for one in complete if one.standing != "infeasible"]
    volumes = volumes_of(spec, complete)
    return Tradeoff(
        objectives=tuple(f"{one.goal} {one.property}" for one in spec.sought),
        constraints=tuple(constraint.in_words() for constraint in spec.constraints),
        complete=len(complete),
        feasible=len(feasible),
        feasible_share=len(feasible) / len(complete) if complete else None,
        front=sum(one.standing == "front" for one in complete),
        hypervolume=volumes[-1] if volumes else None,
        hypervolume_over_time=tuple(volumes),
    )


def volumes_of(spec: CampaignSpec, complete: Sequence[Outcome]) -> list[float]:
    """Hypervolume after each complete candidate, by order of picking; empty for one objective."""
    if len(spec.sought) == 1:
        return []
    aims, ordered = Aims.of(spec), sorted(complete, key=lambda one: one.order)
    nan = float("nan")
    values = np.array(
        [
            [
                target.to_model(one.values[target.name]) if target.name in one.values else nan
                for target in spec.modelled
            ]
            for one in ordered
        ]
    ).reshape(-1, len(spec.modelled))
    return growth(aims, values)


def growth(aims: Aims, values: Array) -> list[float]:
    """Hypervolume of the feasible among the first 1, 2, ... rows of property values (k x p)."""
    feasible, oriented = aims.feasible(values), aims.oriented(values)
    kept = np.empty((0, oriented.shape[1]))
    volume, volumes = 0.0, []
    for point, counts in zip(oriented, feasible, strict=True):
        if counts and not (kept >= point).all(axis=1).any():
            kept = np.concatenate([kept[~(point >= kept).all(axis=1)], point[None]])
            volume = hypervolume(kept, aims.references)
        volumes.append(volume)
    return volumes


def _ids(calculations: Sequence[Calculation]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(c.id for c in sorted(calculations, key=lambda c: c.order)))
