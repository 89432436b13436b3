"""The numbers behind the figures of several objectives and of constraints."""

from __future__ import annotations

import numpy as np

from discover.campaign import CampaignSpec
from discover.outcomes import has_tradeoff
from discover.page.answers import TradeoffAnswer, TradeoffAxis, VolumePoint
from discover.report.findings import Findings
from discover.report.tradeoffs import random_growth

DRAWN_OUTCOMES = 2000
"""Candidates that are drawn at most, those on the front first."""


def tradeoff_answer(findings: Findings) -> TradeoffAnswer:
    """Axes, outcomes and the growing hypervolume; empty for one objective without constraints."""
    spec = findings.spec
    if not has_tradeoff(spec):
        return TradeoffAnswer(axes=(), outcomes=(), growth=())
    return TradeoffAnswer(
        axes=_axes(spec),
        outcomes=tuple(findings.complete[:DRAWN_OUTCOMES]),
        growth=_growth(findings),
    )


def _axes(spec: CampaignSpec) -> tuple[TradeoffAxis, ...]:
    objectives = {objective.property: objective for objective in spec.sought}
    limits = {constraint.property: constraint for constraint in spec.constraints}
    axes = []
    for target in spec.modelled:
        objective, limit = objectives.get(target.name), limits.get(target.name)
        if objective is None and limit is None:
            continue
        goal = None if objective is None or objective.goal == "extremes" else objective.goal
        axes.append(
            TradeoffAxis(
                property=target.name,
                label=target.label,
                unit="" if target.unit == "1" else target.unit,
                scale=target.transform,
                goal=goal,
                reference=objective and objective.reference,
                above=limit and limit.above,
                below=limit and limit.below,
            )
        )
    return tuple(axes)


def _growth(findings: Findings) -> tuple[VolumePoint, ...]:
    told = findings.status.tradeoff
    if told is None or not told.hypervolume_over_time:
        return ()
    ordered = sorted(findings.complete, key=lambda one: one.order)
    low, mean, high = random_growth(findings.spec, ordered, findings.unpicked_rows)
    met = np.cumsum([one.standing != "infeasible" for one in ordered])
    return tuple(
        VolumePoint(
            hypervolume=volume,
            expected=float(mean[i]),
            expected_low=float(low[i]),
            expected_high=float(high[i]),
            feasible_share=float(met[i]) / (i + 1),
        )
        for i, volume in enumerate(told.hypervolume_over_time)
    )
