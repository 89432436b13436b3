"""The figures' numbers: search curve, predictions, calibration, models."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from discover.page.answers import (
    Coverage,
    DomainCoverage,
    ModelRow,
    Predictions,
    RankedRow,
    SearchCurve,
    SearchPoint,
    SearchTail,
)
from discover.properties import Property
from discover.records import ModelCard
from discover.report.figures import inside_interval
from discover.report.findings import MIN_FORECASTS, Findings
from discover.report.yardsticks import LEVELS, Array, best_of_draws, coverage, coverage_band
from discover.results import ResultRow

ENDS: dict[str, tuple[Literal["highest", "lowest"], ...]] = {
    "max": ("highest",),
    "min": ("lowest",),
    "extremes": ("highest", "lowest"),
}
MODEL_INTERVAL_90 = 1.6449
"""Half width of the central 90 % of a standard normal."""
DRAWN_MODELS = 400
"""Retrainings that a history shows; of more, an even choice."""


def search_curve(findings: Findings) -> SearchCurve:
    """Every result in the order of picks, and what a random order would have given."""
    target, rows = findings.spec.target, findings.picked
    return SearchCurve(
        label=target.label,
        unit=_unit(target),
        scale=target.transform,
        points=tuple(_point(row) for row in rows),
        tails=tuple(_tail(findings, end) for end in ENDS[findings.spec.objective.goal] if rows),
        unpicked=len(findings.unpicked),
    )


def predictions(findings: Findings) -> Predictions:
    """Predictions made before computing, their calibration, and that of the models' held-out rows."""
    target = findings.spec.target
    z_scores = findings.z_scores
    return Predictions(
        label=target.label,
        unit=_unit(target),
        scale=target.transform,
        rows=tuple(findings.forecasts),
        inside=sum(map(inside_interval, findings.forecasts)),
        mean_error=findings.mean_error,
        calibration=_calibration(z_scores) if len(z_scores) >= MIN_FORECASTS else None,
        domain=tuple(
            entry for card in thinned(findings.judged) for entry in _domain_coverage(card)
        ),
    )


def ranked(findings: Findings, rows: list[ResultRow]) -> list[RankedRow]:
    """Rows of the ranking with what the last model says of each from all other observations."""
    known = _held_out(findings)
    answers = []
    for row in rows:
        now = known.get(row.calculation)
        answers.append(
            RankedRow(
                result=row,
                now=now and now[1],
                now_low=now and now[0],
                now_high=now and now[2],
            )
        )
    return answers


def model_rows(cards: list[ModelCard]) -> list[ModelRow]:
    """Retrainings, oldest first, without what is long and drawn elsewhere."""
    return [
        ModelRow(
            id=card.id,
            surrogate=card.surrogate,
            created_at=card.created_at,
            n_observations=card.n_observations,
            fit_seconds=card.fit_seconds,
            metrics=card.metrics,
            details={k: v for k, v in card.details.items() if k not in {"held_out", "unpicked"}},
        )
        for card in cards
    ]


def thinned(cards: list[ModelCard]) -> list[ModelCard]:
    """At most `DRAWN_MODELS` of the retrainings, evenly, the first and the last among them."""
    if len(cards) <= DRAWN_MODELS:
        return cards
    return [cards[i] for i in np.linspace(0, len(cards) - 1, DRAWN_MODELS).round().astype(int)]


def _point(row: ResultRow) -> SearchPoint:
    return SearchPoint(
        candidate=row.candidate,
        calculation=row.calculation,
        formula=row.formula,
        value=row.value,
        predicted=row.predicted,
        predicted_low=row.predicted_low,
        predicted_high=row.predicted_high,
        picked_by=row.picked_by,
    )


def _tail(findings: Findings, end: Literal["highest", "lowest"]) -> SearchTail:
    target = findings.spec.target
    sign = 1.0 if end == "highest" else -1.0
    scaled = np.array([target.to_model(row.value) for row in findings.picked])
    chance = best_of_draws(sign * np.concatenate([scaled, findings.unpicked]), draws=len(scaled))
    bounds = (chance.low, chance.high) if sign > 0 else (chance.high, chance.low)
    return SearchTail(
        end=end,
        best=_physical(sign * np.maximum.accumulate(sign * scaled), target),
        expected=_physical(sign * chance.mean, target),
        expected_low=_physical(sign * bounds[0], target),
        expected_high=_physical(sign * bounds[1], target),
    )


def _calibration(z_scores: list[float]) -> Coverage:
    low, high = coverage_band(len(z_scores))
    return Coverage(
        levels=LEVELS,
        observed=tuple(coverage(z_scores).tolist()),
        chance_low=tuple(low.tolist()),
        chance_high=tuple(high.tolist()),
        n=len(z_scores),
    )


def _domain_coverage(card: ModelCard) -> list[DomainCoverage]:
    """Coverage inside and outside of the domain, as the card has it (a plug-in's may have none)."""
    noted = card.details.get("domain")
    found: list[DomainCoverage] = []
    if not isinstance(noted, dict):
        return found
    places: tuple[Literal["inside", "outside"], ...] = ("inside", "outside")
    for where in places:
        part: Any = noted.get(where)
        if isinstance(part, dict) and part.get("rows"):
            found.append(
                DomainCoverage(
                    model=card.id,
                    n_observations=card.n_observations,
                    where=where,
                    rows=int(part["rows"]),
                    coverage_50=_number(part.get("coverage_50")),
                    coverage_90=_number(part.get("coverage_90")),
                    scale=_number(part.get("scale")),
                )
            )
    return found


def _held_out(findings: Findings) -> dict[str, tuple[float, float, float]]:
    """Interval and median of the last judged model for each calculation, made without it."""
    if not findings.judged:
        return {}
    card, target = findings.judged[-1], findings.spec.target
    rows: Any = card.details.get("held_out")
    if not isinstance(rows, list):
        return {}
    suffix = f"-{findings.spec.objective.property}"
    found = {}
    for row in rows:
        mean, std = _number(row.get("mean")), _number(row.get("std"))
        place = row.get("row")
        if mean is None or std is None or not 0 <= place < len(card.observations):
            continue
        half = MODEL_INTERVAL_90 * std
        low, middle, high = (target.from_model(y) for y in (mean - half, mean, mean + half))
        found[card.observations[place].removesuffix(suffix)] = (low, middle, high)
    return found


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _physical(scaled: Array, target: Property) -> tuple[float, ...]:
    return tuple(target.from_model(float(value)) for value in scaled)


def _unit(target: Property) -> str:
    return "" if target.unit == "1" else target.unit
