"""What a campaign has found and how it stands, read from its store: the same for CLI, page and flow."""

from __future__ import annotations

import builtins
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from discover.campaign import CampaignSpec
from discover.ladder import core_hours, measured_costs, unstable
from discover.objectives import Goal, is_no_result
from discover.outcomes import Tradeoff, has_tradeoff, outcomes, tradeoff
from discover.properties import Property
from discover.records import (
    ACTIVE_STATES,
    Bound,
    Calculation,
    CalculationState,
    Candidate,
    Observation,
    Record,
)
from discover.rows import CandidateRow, described
from discover.store.base import Store

RELATIONS: dict[Bound | None, str] = {None: "", "below": "< ", "above": "> "}
"""What is written before a value that is a bound."""

CampaignState = Literal["new", "running", "interrupted", "stopped", "finished"]


class ResultRow(CandidateRow):
    """One computed candidate: value, what was expected before it was computed, and its job.

    `predicted` is the median and `predicted_low`/`predicted_high` the central 90 % interval, in
    `unit`, of the model that picked it; null for the first picks, made without a model. `lower` holds the
    same property at the lower rungs of the ladder, by fidelity, as far as it was computed there. `bound`
    says that the true value lies below or above `value`; `uncertainty` is one standard error on the scale
    on which the property is learned (decades where that is logarithmic), where the calculation told one.
    """

    rank: int
    property: str
    value: float
    unit: str
    fidelity: str
    predicted: float | None
    predicted_low: float | None
    predicted_high: float | None
    picked_by: str
    order: int
    calculation: str
    seconds: float | None
    quarantined: str | None
    lower: dict[str, float] = {}
    bound: Bound | None = None
    uncertainty: float | None = None

    @builtins.property  # a field has the same name
    def relation(self) -> str:
        """What stands before the value: `< ` or `> ` where it is a bound, else nothing."""
        return RELATIONS[self.bound]


class Preliminary(CandidateRow):
    """A candidate whose property is known at lower rungs only: `lower` by fidelity, in `unit`."""

    property: str
    unit: str
    lower: dict[str, float]


class Unstable(CandidateRow):
    """A candidate that a calculation found dynamically unstable, so that it has no value to rank."""

    fidelity: str
    minimum_frequency_thz: float
    calculation: str


class RungStatus(Record):
    """How a rung of the ladder stands; `core_seconds` is what a calculation took on average."""

    fidelity: str
    calculations: int
    values: int
    core_seconds: float | None


class Status(Record):
    """How a campaign stands. `slots_busy` is the share of slot time in use since the first job.

    `rungs` (cheap to dear) is empty for a campaign of one fidelity, which has no ladder. `unheard_of` is
    why calculations are unknown, each reason once.
    """

    campaign: str
    state: CampaignState
    reason: str | None
    property: str
    goal: Goal
    calculations: dict[str, int]
    candidates: dict[str, int]
    budget: int
    best: ResultRow | None
    slots: int
    slots_busy: float | None
    passes: int
    seconds_per_calculation: float | None
    expected_seconds_left: float | None
    core_hours: float = 0.0
    budget_core_hours: float | None = None
    unstable: int = 0
    imported: int = 0
    rungs: tuple[RungStatus, ...] = ()
    tradeoff: Tradeoff | None = None
    unheard_of: tuple[str, ...] = ()


def ranking(store: Store, spec: CampaignSpec, *, quarantined: bool = False) -> list[ResultRow]:
    """All results for the campaign's property at the target's fidelity, best first by its goal.

    For the goal `extremes` the highest and the lowest values alternate. Bounds that leave open how much
    worse the true value is come after all values. Where there are constraints or
    several objectives, what is on the front comes first, then what else meets the constraints.
    Quarantined values come last, unranked (rank 0), and only when asked for.
    """
    calculations = {calculation.id: calculation for calculation in store.calculations()}
    lower = _lower(store, spec)
    trusted: list[Observation] = []
    doubted: list[Observation] = []
    for observation in store.observations(spec.objective.property, quarantined=True):
        if observation.calculation in calculations and _at_target(observation, spec):
            (doubted if observation.quarantined else trusted).append(observation)
    ordered = best_first(trusted, spec.objective.goal)
    if has_tradeoff(spec):
        place = {one.candidate: i for i, one in enumerate(outcomes(store, spec))}
        ordered.sort(key=lambda o: place[o.candidate])
    rows = [
        _row(rank, observation, calculations, store, spec.target, lower)
        for rank, observation in enumerate(ordered, start=1)
    ]
    if quarantined:
        rows += [
            _row(0, observation, calculations, store, spec.target, lower) for observation in doubted
        ]
    return rows


def preliminary(store: Store, spec: CampaignSpec) -> list[Preliminary]:
    """Candidates with values at lower rungs and none at the target, best first at their dearest."""
    ranked = {row.candidate for row in ranking(store, spec, quarantined=True)}
    candidates = {i: known for i, known in _lower(store, spec).items() if i not in ranked}
    sign = 1.0 if spec.objective.goal == "min" else -1.0

    def order(item: tuple[str, dict[str, float]]) -> float:
        return sign * list(item[1].values())[-1]

    found = []
    for candidate_id, values in sorted(candidates.items(), key=order):
        found.append(
            Preliminary(
                **described(store.candidate(candidate_id)),
                property=spec.objective.property,
                unit=spec.target.unit,
                lower=values,
            )
        )
    return found


def unstable_candidates(store: Store, spec: CampaignSpec) -> list[Unstable]:
    """Candidates found dynamically unstable, at whatever rung, in the order they were picked."""
    calculations = store.calculations()
    observations = store.observations(quarantined=True)
    lowest = unstable(calculations, observations, spec.objective.property)
    return [
        Unstable(
            **described(store.candidate(calculation.candidate)),
            fidelity=calculation.fidelity,
            minimum_frequency_thz=lowest[calculation.id],
            calculation=calculation.id,
        )
        for calculation in calculations
        if calculation.id in lowest
    ]


def rung_statuses(store: Store, spec: CampaignSpec) -> tuple[RungStatus, ...]:
    """Every rung, cheap to dear, with what its calculations took."""
    calculations = store.calculations()
    costs = measured_costs(calculations, spec.rungs)
    picked = Counter(calculation.fidelity for calculation in calculations)
    names = {target.name for target in spec.modelled}
    valued = Counter(o.fidelity for o in store.observations() if o.property in names)
    return tuple(
        RungStatus(
            fidelity=rung.fidelity,
            calculations=picked[rung.fidelity],
            values=valued[rung.fidelity],
            core_seconds=cost,
        )
        for rung, cost in zip(spec.rungs, costs, strict=True)
    )


def best_first(observations: Sequence[Observation], goal: Goal) -> list[Observation]:
    """Observations ordered by goal; ties keep their order; bounds that are no result come last."""
    sure = [o for o in observations if not is_no_result(goal, o.bound)]
    open_ended = [o for o in observations if is_no_result(goal, o.bound)]
    ordered = sorted(open_ended, key=lambda o: o.value if goal == "min" else -o.value)
    return _by_goal(sure, goal) + ordered


def _by_goal(observations: Sequence[Observation], goal: Goal) -> list[Observation]:
    if goal == "min":
        return sorted(observations, key=lambda o: o.value)
    descending = sorted(observations, key=lambda o: -o.value)
    if goal == "max":
        return descending
    half = (len(descending) + 1) // 2
    low_end = sorted(descending[half:], key=lambda o: o.value)
    alternating: list[Observation] = []
    for i, high in enumerate(descending[:half]):
        alternating.append(high)
        alternating += low_end[i : i + 1]
    return alternating


def status(store: Store, spec: CampaignSpec, now: float, *, steered: bool) -> Status:
    """State counts, best so far, busy share and expected time left.

    `now` is in seconds since the epoch; `steered` says whether a living process holds the lease.
    """
    calculations = store.calculations()
    observations = store.observations(quarantined=True)
    counts = Counter(calculation.state for calculation in calculations)
    best = ranking(store, spec)
    seconds = [c.seconds for c in calculations if c.state is CalculationState.DONE and c.seconds]
    typical = statistics.fmean(seconds) if seconds else None
    left = max(0, spec.budget.calculations - len(calculations)) + sum(
        counts[state] for state in ACTIVE_STATES
    )
    stopped = store.value("stopped")
    state = _campaign_state(calculations, stopped, steered=steered)
    return Status(
        campaign=spec.name,
        state=state,
        reason=stopped if state in {"stopped", "finished"} else None,
        property=spec.objective.property,
        goal=spec.objective.goal,
        calculations={state.value: counts[state] for state in CalculationState},
        candidates={state.value: n for state, n in store.count_candidates().items()},
        budget=spec.budget.calculations,
        best=best[0] if best else None,
        slots=spec.dispatch.jobs,
        slots_busy=slots_busy(calculations, spec.dispatch.jobs, now),
        passes=store.count_passes(),
        seconds_per_calculation=typical,
        expected_seconds_left=(
            typical * left / spec.dispatch.jobs if typical and state == "running" else None
        ),
        core_hours=core_hours(calculations),
        budget_core_hours=spec.budget.core_hours,
        unstable=len(unstable(calculations, observations, spec.objective.property)),
        imported=sum(o.calculation is None for o in observations),
        rungs=rung_statuses(store, spec) if len(spec.rungs) > 1 else (),
        tradeoff=tradeoff(spec, outcomes(store, spec)) if has_tradeoff(spec) else None,
        unheard_of=tuple(
            dict.fromkeys(
                c.reason
                for c in calculations
                if c.state is CalculationState.UNKNOWN and c.reason is not None
            )
        ),
    )


def slots_busy(calculations: Sequence[Calculation], slots: int, now: float) -> float | None:
    """Share of slot time in which a job ran, from the first job's start to the last job's end.

    `now` ends jobs that still run; None before the first job started. Pauses between two runs of the
    campaign count as idle.
    """
    intervals = [
        (c.started_at, c.finished_at or now) for c in calculations if c.started_at is not None
    ]
    if not intervals:
        return None
    begin = min(start for start, _ in intervals)
    end = max(stop for _, stop in intervals)
    if end <= begin:
        return None
    busy = sum(stop - start for start, stop in intervals)
    return min(1.0, busy / (slots * (end - begin)))


def _at_target(observation: Observation, spec: CampaignSpec) -> bool:
    """Whether a value counts; with one fidelity every value does."""
    return not spec.ladder or observation.fidelity == spec.calculation.fidelity


def _lower(store: Store, spec: CampaignSpec) -> dict[str, dict[str, float]]:
    """Trusted values below the target, by candidate and then by fidelity, cheap to dear."""
    if not spec.ladder:
        return {}
    known = {
        (o.candidate, o.fidelity): o.value for o in store.observations(spec.objective.property)
    }
    found: dict[str, dict[str, float]] = {}
    for rung in spec.ladder:
        for (candidate, fidelity), value in known.items():
            if fidelity == rung.fidelity:
                found.setdefault(candidate, {})[fidelity] = value
    return found


def _campaign_state(
    calculations: Sequence[Calculation], stopped: str | None, *, steered: bool
) -> CampaignState:
    if steered and stopped is None:
        return "running"
    if stopped is not None:
        return "stopped" if stopped.startswith("stopped") else "finished"
    return "interrupted" if calculations else "new"


def _row(
    rank: int,
    observation: Observation,
    calculations: dict[str, Calculation],
    store: Store,
    target: Property,
    lower: dict[str, dict[str, float]],
) -> ResultRow:
    calculation = calculations[observation.calculation or ""]
    candidate: Candidate = store.candidate(observation.candidate)
    expected = calculation.prediction
    low, middle, high = (
        (None, None, None)
        if expected is None
        else (target.from_model(y) for y in expected.interval_90())
    )
    return ResultRow(
        **described(candidate),
        rank=rank,
        property=observation.property,
        value=observation.value,
        unit=observation.unit,
        fidelity=observation.fidelity,
        predicted=middle,
        predicted_low=low,
        predicted_high=high,
        picked_by=calculation.picked_by,
        order=calculation.order,
        calculation=calculation.id,
        seconds=calculation.seconds,
        quarantined=observation.quarantined,
        lower=lower.get(candidate.id, {}),
        bound=observation.bound,
        uncertainty=observation.uncertainty,
    )
