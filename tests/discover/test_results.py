"""Ranking, busy slots and the state of a campaign, as its store tells them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.campaign import CampaignSpec, Goal
from discover.records import Calculation, CalculationState, Observation, Prediction
from discover.results import (
    best_first,
    preliminary,
    ranking,
    slots_busy,
    status,
    unstable_candidates,
)
from discover.store import Store

Add = Callable[..., Calculation]
GOALS: tuple[Goal, ...] = get_args(Goal)


def spec_of(**sections: Any) -> CampaignSpec:
    return CampaignSpec.model_validate(sections)


def observation(index: int, value: float) -> Observation:
    return Observation(
        id=str(index),
        candidate="c",
        calculation="c",
        property="thermal_conductivity",
        value=value,
        unit="W/m/K",
        fidelity="agl/emt",
        source="test",
    )


# few distinct values, so that ties are common
VALUES = st.lists(st.sampled_from([0.5, 1.0, 2.0, 2.5, 40.0]) | st.floats(1e-3, 1e4), max_size=12)


@pytest.mark.parametrize("goal", GOALS)
@given(values=VALUES)
def test_ranking_holds_every_observation_once(goal: Goal, values: list[float]) -> None:
    given_ones = [observation(i, value) for i, value in enumerate(values)]
    ordered = best_first(given_ones, goal)
    assert Counter(o.id for o in ordered) == Counter(o.id for o in given_ones)
    assert best_first(ordered, goal) == ordered or goal == "extremes"


@given(values=VALUES)
def test_best_first_and_ties_keep_their_order(values: list[float]) -> None:
    given_ones = [observation(i, value) for i, value in enumerate(values)]
    for goal, sign in (("max", -1.0), ("min", 1.0)):
        ordered = best_first(given_ones, goal)  # type: ignore[arg-type]
        keys = [(sign * o.value, int(o.id)) for o in ordered]
        assert keys == sorted(keys)


@given(values=VALUES)
def test_extremes_alternate_between_the_two_ends(values: list[float]) -> None:
    ordered = best_first([observation(i, v) for i, v in enumerate(values)], "extremes")
    high = [o.value for o in ordered[::2]]
    low = [o.value for o in ordered[1::2]]
    assert high == sorted(high, reverse=True)
    assert low == sorted(low)
    assert not low or max(low) <= min(high)


@pytest.mark.parametrize(
    ("goal", "values"),
    [
        ("max", [5.0, 4.0, 3.0, 2.0, 1.0]),
        ("min", [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("extremes", [5.0, 1.0, 4.0, 2.0, 3.0]),
    ],
)
def test_rows_are_ranked_by_the_goal(
    store: Store, computed: Add, goal: Goal, values: list[float]
) -> None:
    for order, value in enumerate([2.0, 5.0, 1.0, 4.0, 3.0]):
        computed(store, order, value)
    rows = ranking(store, spec_of(objective={"goal": goal}))
    assert [row.value for row in rows] == values
    assert [row.rank for row in rows] == [1, 2, 3, 4, 5]
    first = rows[0]
    assert (first.formula, first.spacegroup, first.unit) == ("Cu", 225, "W/m/K")
    assert first.fidelity == "agl/emt"
    assert first.seconds == 5.0
    assert first.candidate == f"candidate-{first.order}"
    assert first.calculation == f"calculation-{first.order}"


@pytest.mark.parametrize(
    ("goal", "bound", "order"),
    [
        ("max", "below", [2.0, 1.0, 3.0]),
        ("max", "above", [3.0, 2.0, 1.0]),
        ("min", "below", [1.0, 2.0, 3.0]),
        ("min", "above", [1.0, 2.0, 3.0]),
        ("extremes", "below", [2.0, 1.0, 3.0]),
    ],
)
def test_a_bound_that_leaves_open_how_bad_it_is_comes_last(
    goal: Goal, bound: Any, order: list[float]
) -> None:
    bounded = observation(2, 3.0).model_copy(update={"bound": bound})
    ordered = best_first([observation(0, 1.0), bounded, observation(1, 2.0)], goal)
    assert [o.value for o in ordered] == order


def test_rows_tell_bounds_and_errors(store: Store, computed: Add) -> None:
    values: list[tuple[float, dict[str, Any]]] = [
        (5.0, {"bound": "below"}),
        (2.0, {"uncertainty": 0.3}),
    ]
    for order, (value, told) in enumerate(values):
        calculation = computed(store, order, 1.0, quarantined="replaced")
        store.add_observations(
            [
                observation(order, value).model_copy(
                    update=told
                    | {"candidate": calculation.candidate, "calculation": calculation.id}
                )
            ]
        )
    rows = ranking(store, spec_of())
    assert [(r.value, r.relation, r.uncertainty) for r in rows] == [
        (2.0, "", 0.3),
        (5.0, "< ", None),
    ]


def test_quarantined_values_come_last_and_only_when_asked_for(store: Store, computed: Add) -> None:
    computed(store, 0, 1.0)
    computed(store, 1, 9999.0, quarantined="not plausible")
    computed(store, 2, 2.0)
    assert [row.value for row in ranking(store, spec_of())] == [2.0, 1.0]
    rows = ranking(store, spec_of(), quarantined=True)
    assert [(row.rank, row.value) for row in rows] == [(1, 2.0), (2, 1.0), (0, 9999.0)]
    assert rows[-1].quarantined == "not plausible"


def test_what_was_expected_is_told_in_the_unit(store: Store, computed: Add) -> None:
    computed(store, 0, 12.0)
    prediction = Prediction(mean=1.0, std=0.5, score=0.1, model="card")
    computed(store, 1, 10.0, prediction=prediction, picked_by="logei")
    without, with_model = sorted(ranking(store, spec_of()), key=lambda row: row.order)
    assert (without.predicted, without.predicted_low, without.predicted_high) == (None, None, None)
    assert with_model.predicted == pytest.approx(10.0)
    # the 95 % quantile of the standard normal is 1.6449 (NIST/SEMATECH, table of the normal)
    assert with_model.predicted_high == pytest.approx(10.0**1.82243, rel=1e-4)
    assert with_model.predicted_low == pytest.approx(10.0**0.17757, rel=1e-4)


def job(started: float | None, finished: float | None) -> Calculation:
    return Calculation(
        id="c",
        candidate="c",
        order=0,
        kind="agl",
        engine="emt",
        fidelity="agl/emt",
        picked_by="initial",
        started_at=started,
        finished_at=finished,
    )


@pytest.mark.parametrize(
    ("jobs", "slots", "share"),
    [
        ([], 2, None),
        ([(None, None)], 2, None),
        ([(0.0, 10.0)], 1, 1.0),
        ([(0.0, 10.0)], 2, 0.5),
        ([(0.0, 10.0), (0.0, 5.0), (5.0, 10.0)], 2, 1.0),
        ([(0.0, 4.0), (6.0, 10.0)], 1, 0.8),
        ([(90.0, None), (80.0, 90.0)], 2, 0.5),  # the first one runs until now, 100
        ([(5.0, 5.0)], 1, None),
    ],
)
def test_busy_share_of_the_slots(
    jobs: list[tuple[float | None, float | None]], slots: int, share: float | None
) -> None:
    assert slots_busy([job(*times) for times in jobs], slots, now=100.0) == share


@given(
    times=st.lists(st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e5)), max_size=8),
    slots=st.integers(1, 8),
)
def test_busy_share_is_a_share(times: list[tuple[float, float]], slots: int) -> None:
    share = slots_busy([job(start, start + took) for start, took in times], slots, now=2e6)
    assert (share is None) == (not times)
    assert share is None or 0.0 < share <= 1.0


def test_states_of_a_campaign(store: Store, computed: Add) -> None:
    spec = spec_of(budget={"calculations": 3}, dispatch={"jobs": 2})

    def state(*, steered: bool = False) -> str:
        return status(store, spec, 100.0, steered=steered).state

    assert state() == "new"
    assert state(steered=True) == "running"
    computed(store, 0, 1.0)
    assert state() == "interrupted"
    store.set_value("stopped", "stopped by the user")
    assert state() == "stopped"
    store.set_value("stopped", "budget: 3 calculations")
    assert state() == "finished"
    assert state(steered=True) == "finished"  # only its report is being written still


def test_status_counts_and_expects(store: Store, computed: Add, metal: Callable[..., Any]) -> None:
    spec = spec_of(budget={"calculations": 6}, dispatch={"jobs": 2})
    computed(store, 0, 1.0)
    computed(store, 1, 7.0)
    store.add_candidates([metal("Ni")])
    waiting = job(None, None).model_copy(update={"id": "waiting", "order": 2})
    store.add_calculation(waiting.model_copy(update={"candidate": "candidate-Ni"}))
    now = status(store, spec, 100.0, steered=True)
    assert now.calculations == {
        state.value: {"done": 2, "proposed": 1}.get(state.value, 0) for state in CalculationState
    }
    assert now.candidates == {"proposed": 0, "ready": 3, "rejected": 0}
    assert now.best is not None
    assert now.best.value == 7.0
    assert now.seconds_per_calculation == 5.0
    # three to be picked and one that waits, of 5 s each, in two slots
    assert now.expected_seconds_left == pytest.approx(10.0)
    assert status(store, spec, 100.0, steered=False).expected_seconds_left is None
    assert status(store, spec, 100.0, steered=False).reason is None


def test_status_says_why_nobody_hears_of_a_calculation(store: Store, computed: Add) -> None:
    computed(store, 0, 1.0)
    silent = job(None, None).model_copy(update={"id": "silent", "order": 1})
    store.add_calculation(silent.model_copy(update={"candidate": "candidate-0"}))
    submitted, unknown = CalculationState.SUBMITTED, CalculationState.UNKNOWN
    store.transition("silent", CalculationState.PROPOSED, submitted, native_id="7")
    assert status(store, spec_of(), 100.0, steered=True).unheard_of == ()
    store.transition("silent", submitted, unknown, reason="login: no route to host")
    assert status(store, spec_of(), 100.0, steered=True).unheard_of == ("login: no route to host",)


LADDER = {"ladder": [{"engine": "emt"}], "calculation": {"engine": "gpaw"}}


def test_the_target_is_ranked_and_the_lower_rungs_stand_beside_it(
    store: Store, computed: Add
) -> None:
    spec = spec_of(**LADDER)
    computed(store, 0, 5.0)
    computed(store, 1, 7.0)
    computed(store, 2, 6.0)
    dear = computed(store, 3, 4.0, engine="gpaw", fidelity="agl/gpaw")
    store.add_observations(
        [
            o.model_copy(update={"fidelity": "agl/gpaw", "candidate": "candidate-0"})
            for o in store.observations()
            if o.calculation == dear.id
        ]
    )
    (row,) = ranking(store, spec)
    assert (row.value, row.fidelity, row.lower) == (4.0, "agl/gpaw", {"agl/emt": 5.0})
    below = preliminary(store, spec)
    assert [(p.candidate, p.lower) for p in below] == [
        ("candidate-1", {"agl/emt": 7.0}),
        ("candidate-2", {"agl/emt": 6.0}),
    ]
    rungs = status(store, spec, now=0.0, steered=False).rungs
    assert [(r.fidelity, r.calculations, r.values, r.core_seconds) for r in rungs] == [
        ("agl/emt", 3, 3, 5.0),
        ("agl/gpaw", 1, 1, 5.0),
    ]


def test_without_a_ladder_nothing_is_below(store: Store, computed: Add) -> None:
    computed(store, 0, 5.0)
    spec = spec_of(calculation={"engine": "emt"})
    assert ranking(store, spec)[0].lower == {}
    assert preliminary(store, spec) == []
    assert status(store, spec, now=0.0, steered=False).rungs == ()


def test_an_unstable_crystal_is_an_outcome_of_its_own(store: Store, computed: Add) -> None:
    done = computed(store, 0, -2.5)
    (value,) = store.observations()
    soft = value.model_copy(update={"property": "minimum_frequency", "unit": "THz"})
    store.add_observations([soft])
    spec = spec_of(calculation={"engine": "emt"})
    assert ranking(store, spec) == []
    (found,) = unstable_candidates(store, spec)
    assert (found.candidate, found.minimum_frequency_thz) == (done.candidate, -2.5)
    now = status(store, spec, now=0.0, steered=False)
    assert (now.unstable, now.calculations["done"], now.calculations["failed"]) == (1, 1, 0)
