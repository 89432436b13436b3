"""The runner without Prefect: the same picks whatever interrupts it, and every way to stop.

The embedded-atom potential stands in for DFT; jobs, store, models and dispatcher are real. A kill is
played by an exception at a chosen point: what the store and the job directories hold then is what a
SIGKILL would have left (`tests/test_kills.py` sends real ones, at random).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from discover.campaign import CampaignSpec
from discover.dispatch.local import LocalDispatcher
from discover.errors import CampaignError, LeaseHeldError
from discover.folder import CampaignFolder
from discover.processes import Process
from discover.records import (
    ACTIVE_STATES,
    Calculation,
    CalculationState,
    CandidateState,
    Lease,
    ModelCard,
    Pass,
)
from discover.results import ranking
from discover.runner import (
    CampaignRunner,
    failures_in_a_row,
    run_campaign,
)
from discover.steering import Stop
from discover.stopping import StopRequest, ask_to_stop
from discover.store import Store
from discover.store.sqlite import SQLiteStore
from discover.workers import Lost, Work, Workers
from discover.workers.fitting import answer_question

FAILING_ENGINE = '''
"""An engine that refuses every structure."""

from discover.calculations.engines import PotentialEngine
from discover.errors import CalculationError


class Failing(PotentialEngine):
    def calculator(self, atoms, directory):
        raise CalculationError("no convergence")
'''


PICKY_SURROGATE = '''
"""A surrogate that cannot fit five observations or fewer."""

from discover.errors import SurrogateError
from surrogates.gp import GaussianProcess


class Picky(GaussianProcess):
    def fit(self, data, seed):
        if len(data) <= 5:
            raise SurrogateError("five points or fewer")
        return super().fit(data, seed)
'''


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


class Picked(NamedTuple):
    """One result and how it was come by."""

    order: int
    candidate: str
    calculation: str
    value: float
    predicted: float | None


def run(folder: Path, runner: type[CampaignRunner] = CampaignRunner) -> Stop:
    return run_campaign(CampaignFolder.at(folder), lambda _: None, runner)


def change(folder: Path, **sections: Any) -> Path:
    """Update keys of the campaign file; dictionaries are merged into their section."""
    file = folder / "campaign.yaml"
    spec = yaml.safe_load(file.read_text())
    for key, value in sections.items():
        spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
    file.write_text(yaml.safe_dump(spec))
    return folder


def opened(folder: Path) -> tuple[CampaignSpec, Store]:
    campaign = CampaignFolder.at(folder)
    spec = campaign.load()
    return spec, campaign.open_store(spec)


def results(folder: Path) -> list[Picked]:
    spec, store = opened(folder)
    with closing(store):
        rows = sorted(ranking(store, spec), key=lambda row: row.order)
        return [Picked(r.order, r.candidate, r.calculation, r.value, r.predicted) for r in rows]


def states(folder: Path) -> list[CalculationState]:
    _, store = opened(folder)
    with closing(store):
        return [calculation.state for calculation in store.calculations()]


def ends_of_jobs(folder: Path) -> dict[str, int]:
    """How often each job ran to its end."""
    return {
        history.parent.name: [json.loads(line)["event"] for line in history.open()].count("end")
        for history in folder.glob("jobs/*/history.jsonl")
    }


@pytest.fixture(scope="module")
def undisturbed(finished_run: Any) -> list[Picked]:
    """What the quick campaign finds in six calculations when nothing happens to it."""
    found = results(finished_run.folder)
    assert [pick.order for pick in found] == list(range(6))
    assert [pick.predicted is None for pick in found] == [True] * 3 + [False] * 3
    return found


class Point(NamedTuple):
    """Where a run is killed: around the `turn`-th call of a method that fulfils `when`."""

    owner: type
    method: str
    moment: str
    turn: int = 1
    when: Callable[..., bool] = lambda *_: True


def sets(key: str) -> Callable[..., bool]:
    return lambda name, value=None, *_: name == key and value is not None


POINTS = {
    "after the draw was noted": Point(SQLiteStore, "set_value", "after", 2, sets("proposal")),
    "between its candidates and its position": Point(SQLiteStore, "add_candidates", "after", 2),
    "in the middle of relaxing": Point(SQLiteStore, "update_candidates", "before", 2),
    "between a model's pick and its submission": Point(SQLiteStore, "add_calculation", "after", 4),
    "between a submission and its record": Point(LocalDispatcher, "submit", "after", 2),
    "before a result is taken in": Point(SQLiteStore, "finish", "before", 2),
    "after a result was taken in": Point(SQLiteStore, "finish", "after", 3),
    "between a model and its card": Point(SQLiteStore, "add_model_card", "before"),
    "after a model's card": Point(SQLiteStore, "add_model_card", "after"),
    "before the stop is recorded": Point(SQLiteStore, "set_value", "before", 1, sets("stopped")),
}


def kill_at(patch: pytest.MonkeyPatch, point: Point) -> None:
    real = getattr(point.owner, point.method)
    left = point.turn

    def method(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal left
        left -= point.when(*args)
        if left or not point.when(*args):
            return real(self, *args, **options)
        if point.moment == "after":
            real(self, *args, **options)
        raise Killed

    patch.setattr(point.owner, point.method, method)


@pytest.mark.parametrize("where", POINTS)
def test_a_kill_changes_nothing(
    where: str, quick_campaign: Path, undisturbed: list[Picked], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(quick_campaign, budget={"calculations": 4})
    with monkeypatch.context() as patch:
        kill_at(patch, POINTS[where])
        with pytest.raises(Killed):
            run(quick_campaign)
    assert run(quick_campaign) == Stop("budget: 4 calculations")
    assert results(quick_campaign) == undisturbed[:4]
    assert ends_of_jobs(quick_campaign) == {pick.calculation: 1 for pick in undisturbed[:4]}


@pytest.mark.slow
def test_a_kill_changes_nothing_where_retraining_waits_for_several_results(
    quick_campaign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(quick_campaign, retrain_every=2, budget={"calculations": 6})
    killed = shutil.copytree(quick_campaign, tmp_path / "killed")
    run(quick_campaign)
    for where in ("after a model's card", "between a model's pick and its submission"):
        with monkeypatch.context() as patch:
            kill_at(patch, POINTS[where]._replace(turn=1))
            with pytest.raises(Killed):
                run(killed)
    run(killed)
    assert results(killed) == results(quick_campaign)
    assert set(ends_of_jobs(killed).values()) == {1}
    _, store = opened(quick_campaign)
    with closing(store):
        trained_on = [card.n_observations for card in store.model_cards()]
    assert trained_on == [3, 5]


def test_seed_decides_the_picks(quick_campaign: Path, undisturbed: list[Picked]) -> None:
    run(change(quick_campaign, seed=1, budget={"calculations": 3}))
    assert {pick.candidate for pick in results(quick_campaign)} != {
        pick.candidate for pick in undisturbed[:3]
    }


def test_a_raised_budget_goes_on_where_it_ended(
    quick_campaign: Path, undisturbed: list[Picked]
) -> None:
    assert run(change(quick_campaign, budget={"calculations": 2})).reason.startswith("budget")
    assert run(change(quick_campaign, budget={"calculations": 5})) == Stop("budget: 5 calculations")
    assert results(quick_campaign) == undisturbed[:5]
    before = ends_of_jobs(quick_campaign)
    assert run(quick_campaign) == Stop("budget: 5 calculations")
    assert ends_of_jobs(quick_campaign) == before


@pytest.mark.parametrize(
    ("goal", "acquisition", "better"),
    [("min", "greedy", min), ("extremes", "extremes", max)],
)
def test_other_goals(
    goal: str, acquisition: str, better: Callable[..., float], quick_campaign: Path
) -> None:
    change(
        quick_campaign,
        objective={"goal": goal},
        acquisition={"name": acquisition},
        budget={"calculations": 5},
    )
    run(quick_campaign)
    spec, store = opened(quick_campaign)
    with closing(store):
        rows = ranking(store, spec)
    values = [row.value for row in rows]
    assert values[0] == better(values)
    if goal == "extremes":
        assert values[1] == min(values)
    assert {row.picked_by for row in rows} == {"initial", acquisition}


# --- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        (StopRequest.AFTER_RUNNING, CalculationState.DONE),
        (StopRequest.NOW, CalculationState.CANCELLED),
    ],
)
def test_user_stop_and_resume(
    request_: StopRequest, left: CalculationState, quick_campaign: Path, undisturbed: list[Picked]
) -> None:
    class Stopped(CampaignRunner):
        def follow(self, calculation: Calculation) -> None:
            if calculation.order == 1:
                ask_to_stop(self.store, request_, Process.of(os.getpid()))

    change(quick_campaign, budget={"calculations": 4})
    assert run(quick_campaign, Stopped) == Stop("stopped by the user")
    assert states(quick_campaign) == [CalculationState.DONE, left]
    assert run(quick_campaign) == Stop("budget: 4 calculations")
    assert results(quick_campaign) == undisturbed[:4]
    assert set(ends_of_jobs(quick_campaign).values()) == {1}


def test_failure_budget(quick_campaign: Path) -> None:
    (quick_campaign / "failing.py").write_text(FAILING_ENGINE)
    change(
        quick_campaign,
        calculation={"engine": "failing.py:Failing", "engine_settings": {"potential": "emt"}},
        budget={"failures_in_a_row": 2},
    )
    reason = "failure budget: 2 calculations failed in a row"
    assert run(quick_campaign) == Stop(reason)
    assert run(quick_campaign) == Stop(reason)  # resuming gives it another chance
    _, store = opened(quick_campaign)
    with closing(store):
        calculations = store.calculations()
        assert [c.state for c in calculations] == [CalculationState.FAILED] * 4
        assert all("no convergence" in (c.reason or "") for c in calculations)
        assert store.value("stopped") == reason


def test_exhausted_space_and_a_structure_that_was_computed_as_another_candidate(
    quick_campaign: Path,
) -> None:
    change(
        quick_campaign, generator={"options": {"prototypes": ["rocksalt"], "elements": ["Ni", "O"]}}
    )
    exhausted = Stop("the space is exhausted")
    assert run(quick_campaign) == exhausted
    _, store = opened(quick_campaign)
    with closing(store):
        (only,) = store.candidates()
        store.add_candidates([only.model_copy(update={"id": "twin"})])
        assert run(quick_campaign) == exhausted
        twin = store.candidate("twin")
        assert twin.state is CandidateState.REJECTED
        assert "computed as another candidate" in (twin.reason or "")
        assert len(store.calculations()) == 1
    assert list(ends_of_jobs(quick_campaign).values()) == [1]


def test_a_budget_of_hours_counts_over_all_runs(quick_campaign: Path) -> None:
    change(quick_campaign, budget={"hours": 1.0})
    _, store = opened(quick_campaign)
    with closing(store):
        store.set_value("hours", 1.5)
        assert run(quick_campaign).reason == "budget: 1.50 hours"
        assert not store.calculations()


# --- the lease ----------------------------------------------------------------------------------


def contents(store: Store) -> tuple[list[Calculation], list[Pass], list[ModelCard], list[Any]]:
    return (
        store.calculations(),
        store.passes(),
        store.model_cards(),
        sorted(store.candidates(), key=lambda c: c.id),
    )


def test_who_lost_the_lease_ends_and_touches_nothing(
    quick_campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.lease.HEARTBEAT_SECONDS", 0.05)
    seen: list[Any] = []
    now = time.time()
    thief = Lease(
        holder="thief",
        host="elsewhere",
        pid=1,
        process_ticks=None,
        acquired_at=now,
        heartbeat_at=now,
        ttl_seconds=60.0,
    )

    class Robbed(CampaignRunner):
        def wait(self) -> None:
            held = self.store.lease()
            assert held is not None
            self.store.acquire_lease(thief, replacing=held.holder)
            assert self._lease.lost.wait(10)
            seen.append(contents(self.store))
            super().wait()

    with pytest.raises(LeaseHeldError, match="taken over"):
        run(quick_campaign, Robbed)
    _, store = opened(quick_campaign)
    with closing(store):
        assert seen == [contents(store)]
        held = store.lease()
        assert held is not None
        assert held.holder == "thief"
        with pytest.raises(LeaseHeldError):
            run(quick_campaign)
        assert seen == [contents(store)]
        assert any(c.state in ACTIVE_STATES for c in store.calculations())


# --- failures in a row --------------------------------------------------------------------------


def ended(order: int, at: float, state: CalculationState) -> Calculation:
    return Calculation(
        id=f"c{order}",
        candidate=f"k{order}",
        order=order,
        kind="agl",
        engine="emt",
        fidelity="agl/emt",
        picked_by="initial",
        state=state,
        finished_at=at,
    )


def test_failures_count_in_the_order_of_their_end() -> None:
    done, failed = CalculationState.DONE, CalculationState.FAILED
    calculations = [ended(0, 30.0, failed), ended(1, 10.0, done), ended(2, 20.0, failed)]
    assert failures_in_a_row(calculations, since=0.0) == 2
    assert failures_in_a_row([*calculations, ended(3, 40.0, done)], since=0.0) == 0
    assert failures_in_a_row([*calculations, ended(3, 25.0, done)], since=0.0) == 1


def test_failures_of_an_earlier_run_and_jobs_under_way_do_not_count() -> None:
    failed, running = CalculationState.FAILED, CalculationState.RUNNING
    calculations = [ended(0, 10.0, failed), ended(1, 20.0, failed), ended(2, 30.0, running)]
    assert failures_in_a_row(calculations, since=15.0) == 1


# --- what may change between two runs -----------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("descriptors", ["composition"]),
        ("seed", 7),
        ("calculation", {"settings": {"volumes": 7}}),
        ("generator", {"options": {"elements": ["Ni", "O"], "prototypes": ["rocksalt"]}}),
    ],
)
def test_what_the_data_depend_on_cannot_be_changed(
    key: str, value: Any, finished_campaign: Path, undisturbed: list[Picked]
) -> None:
    change(finished_campaign, **{key: value}, budget={"calculations": 9})
    with pytest.raises(CampaignError, match=f"{key}: cannot be changed once a campaign has begun"):
        run(finished_campaign)
    assert results(finished_campaign) == undisturbed


def test_anything_may_be_changed_before_the_first_candidate(
    quick_campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_at(patch, Point(SQLiteStore, "add_candidates", "before"))
        with pytest.raises(Killed):
            run(quick_campaign)
    spec, store = opened(quick_campaign)
    with closing(store):
        store.set_value("proposal", None)
    change(quick_campaign, seed=spec.seed + 1, budget={"calculations": 1})
    assert run(quick_campaign) == Stop("budget: 1 calculations")


def test_a_request_to_stop_of_before_this_process_is_not_for_it(quick_campaign: Path) -> None:
    _, store = opened(quick_campaign)
    with closing(store):
        ask_to_stop(store, StopRequest.NOW, Process(1, 1))
    change(quick_campaign, budget={"calculations": 1})
    assert run(quick_campaign) == Stop("budget: 1 calculations")


def test_the_calculation_may_be_changed_until_it_gave_a_value(quick_campaign: Path) -> None:
    (quick_campaign / "failing.py").write_text(FAILING_ENGINE)
    working = yaml.safe_load((quick_campaign / "campaign.yaml").read_text())["calculation"]
    change(
        quick_campaign,
        calculation={"engine": "failing.py:Failing", "engine_settings": {"potential": "emt"}},
        budget={"failures_in_a_row": 2},
    )
    assert run(quick_campaign).reason.startswith("failure budget")
    change(quick_campaign, calculation=working, budget={"calculations": 4})
    assert run(quick_campaign) == Stop("budget: 4 calculations")
    change(quick_campaign, budget={"calculations": 5})
    assert run(quick_campaign) == Stop("budget: 5 calculations")
    change(quick_campaign, calculation={"settings": {"volumes": 7}})
    with pytest.raises(CampaignError, match="calculation: cannot be changed"):
        run(quick_campaign)


def test_a_standing_request_to_stop_does_not_make_the_loop_spin(
    quick_campaign: Path, undisturbed: list[Picked]
) -> None:
    turns = 0

    class Stopped(CampaignRunner):
        def follow(self, calculation: Calculation) -> None:
            ask_to_stop(self.store, StopRequest.AFTER_RUNNING, Process.of(os.getpid()))

        def wait(self) -> None:
            nonlocal turns
            turns += 1
            super().wait()

    assert run(quick_campaign, Stopped) == Stop("stopped by the user")
    assert turns <= 3
    assert results(quick_campaign) == undisturbed[:1]


def test_the_calculation_may_not_be_changed_under_cancelled_jobs(quick_campaign: Path) -> None:
    class Stopped(CampaignRunner):
        def follow(self, calculation: Calculation) -> None:
            ask_to_stop(self.store, StopRequest.NOW, Process.of(os.getpid()))

    assert run(quick_campaign, Stopped) == Stop("stopped by the user")
    assert states(quick_campaign) == [CalculationState.CANCELLED]
    change(quick_campaign, calculation={"settings": {"volumes": 7}})
    with pytest.raises(CampaignError, match="calculation: cannot be changed"):
        run(quick_campaign)


class Dying:
    """Workers in processes that die at all fits but those of the first model."""

    in_processes = True

    def __init__(self) -> None:
        self.models = 0

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        self.models += work is answer_question
        lost = work is answer_question and self.models > 1
        return [Lost("they died") if lost else work(chunk) for chunk in chunks]


def test_picks_go_on_with_the_last_model_where_workers_die_at_fits(quick_campaign: Path) -> None:
    class Unlucky(CampaignRunner):
        @classmethod
        def workers(cls, *_: object) -> AbstractContextManager[Workers]:
            return nullcontext(Dying())

    told: list[str] = []
    change(quick_campaign, budget={"calculations": 5})
    run_campaign(CampaignFolder.at(quick_campaign), told.append, Unlucky)
    _, store = opened(quick_campaign)
    with closing(store):
        (card,) = store.model_cards()
        assert card.n_observations < 5
        assert [c.prediction is None for c in store.calculations()] == 3 * [True] + 2 * [False]
    lost = "no new model, picking on with the last one: a fit of 'gp' on "
    assert any(line.startswith(lost) and line.endswith("they died") for line in told)


def test_a_surrogate_that_cannot_fit_says_so_and_the_loop_explores_on(quick_campaign):
    (quick_campaign / "picky.py").write_text(PICKY_SURROGATE)
    change(quick_campaign, surrogate={"name": "picky.py:Picky"}, budget={"calculations": 8})
    told: list[str] = []
    run_campaign(CampaignFolder.at(quick_campaign), told.append)
    folder = CampaignFolder.at(quick_campaign)
    with closing(folder.open_store(folder.load())) as store:
        explored = [c.prediction is None for c in store.calculations()]
    assert "no model yet, exploring on: five points or fewer" in told
    assert len(explored) == 8
    assert all(explored[:6])
    assert not any(explored[7:])
