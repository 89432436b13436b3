"""What a campaign's report is made of, gathered from its store in one place."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from discover.campaign import CampaignSpec
from discover.lease import is_alive
from discover.objectives import is_no_result
from discover.outcomes import Outcome, has_tradeoff, outcomes
from discover.records import Calculation, CalculationState, CandidateState, ModelCard
from discover.report.beliefs import Beliefs, beliefs_figure, beliefs_of
from discover.report.figures import (
    calibration_figure,
    message_figure,
    models_figure,
    parity_figure,
    search_figure,
)
from discover.report.ladder import ladder_figure
from discover.report.tradeoffs import hypervolume_figure, pairs_figure, parallel_figure
from discover.report.yardsticks import Array, believed_pool
from discover.results import (
    Preliminary,
    ResultRow,
    Status,
    Unstable,
    preliminary,
    ranking,
    status,
    unstable_candidates,
)
from discover.store.base import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_RESULTS = 2
"""Results below which there is no order to draw."""
MIN_FORECASTS = 5
"""Predictions below which their coverage says nothing."""

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class Rejections(NamedTuple):
    """Candidates that were rejected for the same reason but for its numbers."""

    n: int
    example: str
    formulas: tuple[str, ...]


class Failure(NamedTuple):
    """A calculation that gave no value."""

    calculation: Calculation
    formula: str


@dataclass(frozen=True)
class Findings:
    """What a store says about its campaign at one instant (`now`, seconds since the epoch).

    Everything is read once, when it is first asked for.
    """

    spec: CampaignSpec
    store: Store
    now: float

    @cached_property
    def status(self) -> Status:
        """State counts, best so far, busy share of the slots."""
        lease = self.store.lease()
        steered = lease is not None and is_alive(lease, self.now)
        return status(self.store, self.spec, self.now, steered=steered)

    @cached_property
    def rows(self) -> list[ResultRow]:
        """Trusted results, best first."""
        return [row for row in self._all_rows if row.quarantined is None]

    @cached_property
    def quarantined(self) -> list[ResultRow]:
        """Results that are not trusted."""
        return [row for row in self._all_rows if row.quarantined is not None]

    @cached_property
    def picked(self) -> list[ResultRow]:
        """Trusted results in the order they were picked, but for `open_ended` ones."""
        goal = self.spec.objective.goal
        sure = [row for row in self.rows if not is_no_result(goal, row.bound)]
        return sorted(sure, key=lambda row: row.order)

    @cached_property
    def open_ended(self) -> int:
        """How many results are bounds that leave open how much worse the true value is."""
        return len(self.rows) - len(self.picked)

    @cached_property
    def forecasts(self) -> list[ResultRow]:
        """Trusted values that a model predicted before they were computed, in order of picking."""
        return [row for row in self.picked if row.predicted is not None and row.bound is None]

    @cached_property
    def z_scores(self) -> list[float]:
        """(value - mean)/std of the forecasts, on the model's scale."""
        expected = {c.id: c.prediction for c in self.calculations}
        return [
            _z_score(self.spec.target.to_model(row.value), prediction.mean, prediction.std)
            for row in self.forecasts
            if (prediction := expected[row.calculation]) is not None
        ]

    @cached_property
    def mean_error(self) -> float | None:
        """Mean |computed - predicted median| of the forecasts, on the model's scale."""
        to_model = self.spec.target.to_model
        errors = [
            abs(to_model(row.value) - to_model(row.predicted))
            for row in self.forecasts
            if row.predicted is not None
        ]
        return statistics.fmean(errors) if errors else None

    @cached_property
    def preliminary(self) -> list[Preliminary]:
        """Candidates known at lower rungs only, best first."""
        return preliminary(self.store, self.spec)

    @cached_property
    def outcomes(self) -> list[Outcome]:
        """Candidates with all properties, the front first; empty for one objective without limits."""
        return outcomes(self.store, self.spec) if has_tradeoff(self.spec) else []

    @cached_property
    def complete(self) -> list[Outcome]:
        """Those of them of which all objectives and constraints are known."""
        return [one for one in self.outcomes if one.standing != "incomplete"]

    @cached_property
    def unstable(self) -> list[Unstable]:
        """Candidates found dynamically unstable, in the order they were picked."""
        return unstable_candidates(self.store, self.spec)

    @cached_property
    def calculations(self) -> list[Calculation]:
        """Every calculation, by order."""
        return self.store.calculations()

    @cached_property
    def failures(self) -> list[Failure]:
        """Calculations that failed, were cancelled, or do not answer."""
        lost = {CalculationState.FAILED, CalculationState.CANCELLED, CalculationState.UNKNOWN}
        return [
            Failure(calculation, self.store.candidate(calculation.candidate).formula)
            for calculation in self.calculations
            if calculation.state in lost
        ]

    @cached_property
    def rejections(self) -> list[Rejections]:
        """Rejected candidates by reason, most frequent first; numbers tell none apart."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for candidate in self.store.candidates(CandidateState.REJECTED):
            reason = candidate.reason or "no reason was given"
            groups.setdefault(_NUMBER.sub("#", reason), []).append((reason, candidate.formula))
        return sorted(
            (
                Rejections(len(group), group[0][0], tuple(formula for _, formula in group))
                for group in groups.values()
            ),
            key=lambda rejections: -rejections.n,
        )

    @cached_property
    def cards(self) -> list[ModelCard]:
        """Model cards, oldest first."""
        return self.store.model_cards()

    @cached_property
    def judged(self) -> list[ModelCard]:
        """Model cards that could be cross-validated."""
        return [card for card in self.cards if card.metrics.get("mae") is not None]

    @cached_property
    def beliefs(self) -> list[Beliefs]:
        """Which families the last model believes, of each property, if it is one of these by `auto`."""
        found = beliefs_of(self.cards[-1]) if self.cards else []
        return found if len(found) == len(self.spec.modelled) else []

    @cached_property
    def job_seconds(self) -> float:
        """Wall time of all jobs that told theirs."""
        return sum(c.seconds or 0.0 for c in self.calculations)

    @cached_property
    def hours(self) -> float:
        """Hours of steering, over all runs."""
        return float(self.store.value("hours") or 0.0)

    @cached_property
    def _all_rows(self) -> list[ResultRow]:
        return ranking(self.store, self.spec, quarantined=True)

    def figures(self) -> dict[str, Figure]:
        """The figures for which there is enough to show, by name."""
        target = self.spec.target
        drawn: dict[str, Figure] = {}
        if len(self.picked) >= MIN_RESULTS:
            drawn["search"] = self.search_figure()
        if self.forecasts:
            drawn["parity"] = parity_figure(self.forecasts, target)
        if len(self.z_scores) >= MIN_FORECASTS:
            drawn["calibration"] = calibration_figure(self.z_scores)
        if len(self.judged) >= MIN_RESULTS:
            drawn["models"] = models_figure(self.judged, target)
        if self.beliefs:
            drawn["beliefs"] = beliefs_figure(self.beliefs, self.spec.modelled)
        if self.spec.ladder and self.rows:
            drawn["ladder"] = ladder_figure(self.rows, self.status.rungs, target)
        drawn |= self._tradeoff_figures()
        return drawn

    def _tradeoff_figures(self) -> dict[str, Figure]:
        """Those of several objectives and of constraints."""
        if not has_tradeoff(self.spec) or len(self.complete) < MIN_RESULTS:
            return {}
        drawn = {
            "front": pairs_figure(self.complete, self.spec),
            "parallel": parallel_figure(self.complete, self.spec),
        }
        if self.status.tradeoff and (volumes := self.status.tradeoff.hypervolume_over_time):
            drawn["hypervolume"] = hypervolume_figure(
                self.complete, self.spec, volumes, self.unpicked_rows
            )
        return drawn

    def search_figure(self) -> Figure:
        """The search curve, or the sentence that stands for it while there is none."""
        if len(self.picked) < MIN_RESULTS:
            return message_figure(few_results(len(self.picked), self.open_ended))
        return search_figure(self.picked, self.spec.target, self.spec.objective.goal, self.unpicked)

    @cached_property
    def unpicked(self) -> Array:
        """What the last model believes of the candidates that were never picked (model scale)."""
        noted = self.cards[-1].details.get("unpicked") if self.cards else None
        return believed_pool(noted if isinstance(noted, dict) else {})

    @property
    def unpicked_rows(self) -> Array:
        """The same of all properties (n x p); none where the last model had others."""
        names = [target.name for target in self.spec.modelled]
        noted = self.cards[-1].details.get("unpicked_rows") if self.cards else None
        if not isinstance(noted, dict) or list(noted) != names:
            return np.empty((0, len(names)))
        return np.array([noted[name] for name in names], dtype=np.float64).T


def few_results(n: int, bounds: int = 0) -> str:
    """What is said in place of a search curve of fewer than two results, beside `bounds`."""
    told = "There is one result" if n else "There are no results yet"
    if bounds:
        told += f" but {bounds} of which only a bound is known"
    return f"{told}: the search curve begins with the second one."


def _z_score(value: float, mean: float, std: float) -> float:
    if std > 0:
        return (value - mean) / std
    return 0.0 if value == mean else float("inf")
