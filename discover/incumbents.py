"""What is known so far: the best candidates, and those that need no calculation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from discover.campaign import CampaignSpec
from discover.objectives import Constraint, Objective, is_no_result, target_of
from discover.records import Candidate
from discover.store.base import Store
from discover.structures.composition import Composition

INCUMBENTS = 20


def incumbents(store: Store, spec: CampaignSpec, n: int = INCUMBENTS) -> tuple[Candidate, ...]:
    """Up to `n` candidates with a trusted value of every objective, best first.

    Those that break a constraint, as far as the constrained property is known, come after all others.
    Of several objectives those that fewer others dominate come first (the non-dominated sorting of K.
    Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002)), ties in the order of their ids. For the goal
    `extremes` highest and lowest values alternate.
    """
    values = _values(store, spec)
    sought = [objective.property for objective in spec.sought]
    complete = sorted(i for i, known in values.items() if set(sought) <= set(known))
    if not complete:
        return ()
    table = np.array(
        [
            [_gain(objective, values[i][objective.property]) for objective in spec.sought]
            for i in complete
        ]
    )
    better = (table[:, None] >= table[None]).all(-1) & (table[:, None] > table[None]).any(-1)
    dominated = better.sum(axis=0)
    if len(sought) == 1 and spec.objective.goal == "extremes":
        below = np.argsort(np.argsort(table[:, 0], kind="stable"), kind="stable")
        dominated = np.minimum(2 * dominated, 2 * below + 1)
    broken = [_broken(values[i], spec.constraints) for i in complete]
    order = np.lexsort((dominated, broken))
    return tuple(store.candidate(complete[i]) for i in order[:n])


def known_beforehand(store: Store, spec: CampaignSpec) -> frozenset[str]:
    """Candidates of which imported values tell every objective: they are learned from and not picked.

    Those of which no more than the composition is known are among them: nothing can compute them.
    """
    sought = {objective.property for objective in spec.sought}
    told: dict[str, set[str]] = {}
    for observation in store.observations():
        if observation.calculation is None:
            told.setdefault(observation.candidate, set()).add(observation.property)
    return frozenset(
        candidate
        for candidate, properties in told.items()
        if sought <= properties or isinstance(store.candidate(candidate).structure, Composition)
    )


def _values(store: Store, spec: CampaignSpec) -> dict[str, dict[str, float]]:
    """Trusted values by candidate and property; of several fidelities the one dearest to the campaign.

    Bounds that leave open how much worse an objective is are none.
    """
    goals = {objective.property: objective.goal for objective in spec.sought}
    dearness = {rung.fidelity: number for number, rung in enumerate(spec.rungs)}
    wanted = {p.name for p in spec.modelled}
    observed = [
        o
        for o in store.observations()
        if o.property in wanted
        and not (o.property in goals and is_no_result(goals[o.property], o.bound))
    ]
    values: dict[str, dict[str, float]] = {}
    for o in sorted(observed, key=lambda o: dearness.get(o.fidelity, -1)):
        values.setdefault(o.candidate, {})[o.property] = o.value
    return values


def _gain(objective: Objective, value: float) -> float:
    """The value on the model's scale, larger for better."""
    gain = target_of(objective).to_model(value)
    return -gain if objective.goal == "min" else gain


def _broken(known: dict[str, float], constraints: Sequence[Constraint]) -> bool:
    return any(c.property in known and not c.met_by(known[c.property]) for c in constraints)
