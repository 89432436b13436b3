"""What the page's JSON API answers: typed, frozen, documented by OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from discover.outcomes import Outcome, Tradeoff
from discover.results import CampaignState, ResultRow, RungStatus


class Answer(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Problem(Answer):
    """Why a request was not served."""

    detail: str
    """What is wrong and what to do."""


class Best(Answer):
    """The best value of a campaign so far."""

    candidate: str
    formula: str
    value: float
    unit: str
    relation: str
    """`< ` or `> ` where the value is a bound, else nothing."""


class CampaignSummary(Answer):
    """A campaign in the list; `problem` says why one cannot be read, whose other fields are empty."""

    name: str
    """Its name in addresses."""
    folder: str
    """Where it lies on the machine of this page."""
    title: str | None = None
    """Its name in the campaign file."""
    state: CampaignState | None = None
    property: str | None = None
    label: str | None = None
    sought: str | None = None
    """What is searched for, in words."""
    best: Best | None = None
    finished: int = 0
    """Calculations that are over."""
    failed: int = 0
    """Those of them that failed."""
    unknown: int = 0
    """Calculations whose scheduler or login node does not answer."""
    budget: int = 0
    """Calculations in all that it may make."""
    candidates: int = 0
    core_hours: float = 0.0
    expected_seconds_left: float | None = None
    problem: str | None = None


class Launch(Answer):
    """A process that this page started to resume the campaign, and how that went."""

    state: Literal["starting", "running", "failed"]
    told: str | None = None
    """The end of its log, where it failed."""


class CampaignAnswer(Answer):
    """How one campaign stands."""

    name: str
    folder: str
    version: str
    """Changes whenever there is something new to show."""
    state: CampaignState
    reason: str | None
    """Why it ended."""
    stopping: bool
    """Whether it was asked to stop and still runs."""
    property: str
    label: str
    unit: str
    scale: Literal["log10", "none"]
    """The scale on which the property is learned and drawn."""
    sought: str
    """What is searched for, in words."""
    calculations: dict[str, int]
    """Number of calculations by state."""
    candidates: dict[str, int]
    """Number of candidates by state."""
    budget: int
    budget_hours: float | None
    budget_core_hours: float | None
    best: ResultRow | None
    worst_end: ResultRow | None
    """The best at the other end of the range, where both ends are searched."""
    slots: int
    slots_busy: float | None
    """Share of slot time in which a job ran."""
    passes: int
    hours: float
    """Hours of steering, over all runs."""
    core_hours: float
    job_seconds: float
    """Wall time of all jobs."""
    seconds_per_calculation: float | None
    expected_seconds_left: float | None
    quarantined: int
    unstable: int
    rungs: tuple[RungStatus, ...]
    tradeoff: Tradeoff | None
    """How the search for a front stands, where there are several objectives or constraints."""
    launch: Launch | None


class Version(Answer):
    """What tells a page whether to look again."""

    version: str
    state: CampaignState | None = None


class SearchPoint(Answer):
    """One result, in the order in which it was picked."""

    candidate: str
    calculation: str
    formula: str
    value: float
    predicted: float | None
    predicted_low: float | None
    predicted_high: float | None
    picked_by: str


class SearchTail(Answer):
    """One end of the range: the best so far, and what a random order would have given."""

    end: Literal["highest", "lowest"]
    best: tuple[float, ...]
    expected: tuple[float, ...]
    """Mean of the best after as many draws over all random orders, on the property's scale."""
    expected_low: tuple[float, ...]
    """5 % of the orders are below."""
    expected_high: tuple[float, ...]
    """5 % of the orders are above."""


class SearchCurve(Answer):
    """The search so far; `unpicked` candidates take part in the random orders by the model's belief."""

    label: str
    unit: str
    scale: Literal["log10", "none"]
    points: tuple[SearchPoint, ...]
    tails: tuple[SearchTail, ...]
    unpicked: int


class TradeoffAxis(Answer):
    """A property that is sought or constrained; `goal` is None where it is only constrained."""

    property: str
    label: str
    unit: str
    scale: Literal["log10", "none"]
    goal: Literal["max", "min"] | None
    reference: float | None
    """The worst value from which on an improvement counts."""
    above: float | None
    below: float | None


class VolumePoint(Answer):
    """After one more candidate, in the order of picks."""

    hypervolume: float
    expected: float
    """Mean over random orders of the candidates."""
    expected_low: float
    """5 % of the orders are below."""
    expected_high: float
    """5 % of the orders are above."""
    feasible_share: float


class TradeoffAnswer(Answer):
    """Several objectives and constraints: candidates of which all of them are known, the front first.

    Of very many dominated ones only the first are told. `growth` is empty for a single objective.
    """

    axes: tuple[TradeoffAxis, ...]
    outcomes: tuple[Outcome, ...]
    growth: tuple[VolumePoint, ...]


class RankedRow(Answer):
    """A computed candidate: what was expected before, the value, and what the last model says now.

    `now_*` are of the last model's cross-validation: median and central 90 % interval for this candidate
    from all other observations.
    """

    result: ResultRow
    now: float | None
    now_low: float | None
    now_high: float | None


class Ranking(Answer):
    """A part of the ranking, best first."""

    total: int
    offset: int
    rows: tuple[RankedRow, ...]


class Coverage(Answer):
    """Share of values inside the central interval of each probability."""

    levels: tuple[float, ...]
    observed: tuple[float, ...]
    chance_low: tuple[float, ...]
    """5 % quantile of what a calibrated model would show by chance."""
    chance_high: tuple[float, ...]
    n: int


class DomainCoverage(Answer):
    """Held-out values of one retraining, inside or outside of the domain of what it was trained on."""

    model: str
    n_observations: int
    where: Literal["inside", "outside"]
    rows: int
    coverage_50: float | None
    coverage_90: float | None
    scale: float | None
    """What standard deviations would have to be multiplied by."""


class Predictions(Answer):
    """How good predictions were that were made before computing."""

    label: str
    unit: str
    scale: Literal["log10", "none"]
    rows: tuple[ResultRow, ...]
    inside: int
    """Computed values inside the predicted 90 % interval."""
    mean_error: float | None
    """Mean absolute error of the medians, on the property's scale."""
    calibration: Coverage | None
    domain: tuple[DomainCoverage, ...]


class ModelRow(Answer):
    """One retraining of the surrogate."""

    id: str
    surrogate: str
    created_at: float
    n_observations: int
    fit_seconds: float
    metrics: dict[str, float | None]
    details: dict[str, JsonValue]


class MapPoint(Answer):
    """A candidate on the map."""

    candidate: str
    formula: str
    x: float
    y: float
    state: Literal["computed", "active", "ready", "rejected", "failed"]
    value: float | None


class SpaceMap(Answer):
    """The candidates' descriptors on their two principal axes."""

    label: str
    unit: str
    scale: Literal["log10", "none"]
    candidates: int
    """How many there are."""
    sampled: int
    """How many of them, spread evenly, were asked for the background."""
    explained: tuple[float, float]
    """Share of the variance along each axis."""
    loadings: tuple[tuple[int, ...], tuple[int, ...]]
    """Index of the descriptors that weigh most on each axis."""
    points: tuple[MapPoint, ...]


class Session(Answer):
    """What a page needs to press its own buttons."""

    csrf: str
    """Goes into the header `X-Discover-Csrf` of requests that change something."""
    signed_in: bool


class Done(Answer):
    """What a button did."""

    told: str


class StopOrder(Answer):
    """How to stop."""

    now: bool = False
    """Cancel the running jobs instead of letting them end."""


class ResumeOrder(Answer):
    """How to resume."""

    retry_failed: bool = False
    """Compute failed calculations again."""


class BudgetOrder(Answer):
    """What the campaign may use; only ever more than before."""

    calculations: int | None = Field(None, ge=1, le=10_000_000)
    hours: float | None = Field(None, gt=0, le=1e6, allow_inf_nan=False)
    core_hours: float | None = Field(None, gt=0, le=1e9, allow_inf_nan=False)


class LabelOrder(Answer):
    """What becomes of a label."""

    decision: Literal["release", "discard", "quarantine"]
    """Trust it; keep it out for good; or put it into quarantine."""
    reason: str = Field("", max_length=500)
    """Why, for quarantine and discard."""
