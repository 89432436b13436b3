"""The loop's decisions, driven by a simulated world."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.steering import (
    Action,
    Collect,
    Label,
    Learn,
    Pick,
    Propose,
    Rules,
    Situation,
    Stop,
    Train,
    Wait,
    decide,
    steer,
    stop_reason,
)

RULES = Rules(
    jobs=2,
    calculations=12,
    hours=None,
    failures_in_a_row=3,
    pool_size=6,
    pool_batch=3,
    initial=3,
    retrain_every=1,
)


@dataclass
class SimulatedWorld:
    """Jobs that take a given number of waits each; `space` candidates in all."""

    space: int = 100
    durations: tuple[int, ...] = (1,)
    fails: frozenset[int] = frozenset()
    trainable: bool = True
    stop_after_waits: int | None = None
    hours_per_wait: float = 0.0
    proposed: int = 0
    picked: int = 0
    observed: int = 0
    trained_on: int = 0
    failures: int = 0
    waits: int = 0
    running: dict[int, int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    log: list[Action] = field(default_factory=list)
    explored: int = 0
    peak_active: int = 0
    idle_with_ready: int = 0

    def situation(self) -> Situation:
        return Situation(
            ended=tuple(map(str, sorted(self.ended))),
            active=len(self.running),
            picked=self.picked,
            ready=self.proposed - self.picked,
            exhausted=self.proposed >= self.space,
            observed=self.observed,
            trained_on=self.trained_on,
            has_model=self.trainable and self.trained_on > 0,
            failures_in_a_row=self.failures,
            hours=self.waits * self.hours_per_wait,
            stop_requested=self.stop_after_waits is not None
            and self.waits >= self.stop_after_waits,
        )

    def perform(self, action: Action) -> None:
        match action:
            case Collect(calculations):
                for number in map(int, calculations):
                    self.ended.remove(number)
                    failed = number in self.fails
                    self.failures = self.failures + 1 if failed else 0
                    self.observed += not failed
            case Train():
                assert self.observed > self.trained_on
                self.trained_on = self.observed
            case Propose(n):
                self.proposed = min(self.space, self.proposed + n)
            case Pick(explore):
                assert self.proposed > self.picked
                self.explored += explore
                self.running[self.picked] = self.durations[self.picked % len(self.durations)]
                self.picked += 1
                self.peak_active = max(self.peak_active, len(self.running))

    def record(self, actions: tuple[Action, ...]) -> None:
        self.log.extend(actions)

    def wait(self) -> None:
        self.waits += 1
        assert self.running or self.ended, "waited for nothing"
        for number in list(self.running):
            self.running[number] -= 1
            if self.running[number] <= 0:
                del self.running[number]
                self.ended.append(number)


def test_runs_to_its_budget_and_collects_everything() -> None:
    world = SimulatedWorld()
    assert steer(world, RULES) == Stop("budget: 12 calculations")
    assert world.picked == world.observed == 12
    assert world.peak_active == 2


def test_exhausted_space_is_computed_to_the_last_candidate() -> None:
    world = SimulatedWorld(space=7)
    assert steer(world, RULES) == Stop("the space is exhausted")
    assert world.observed == 7


def test_empty_space_stops_at_once() -> None:
    assert steer(SimulatedWorld(space=0), RULES) == Stop("the space is exhausted")


def test_failure_budget_stops_and_says_so() -> None:
    world = SimulatedWorld(fails=frozenset(range(4, 100)))
    stop = steer(world, RULES)
    assert stop.reason.startswith("failure budget: ")
    assert world.observed == 4
    assert not world.running


def test_user_stop_lets_running_jobs_end() -> None:
    world = SimulatedWorld(durations=(5, 2), stop_after_waits=3)
    assert steer(world, RULES) == Stop("stopped by the user")
    assert not world.running
    assert world.picked == world.observed < 12


def test_hours_are_a_budget() -> None:
    world = SimulatedWorld(hours_per_wait=0.3)
    stop = steer(world, replace(RULES, hours=1.0))
    assert stop.reason == "budget: 1.20 hours"


def test_first_picks_explore_and_later_ones_ask_a_model() -> None:
    world = SimulatedWorld()
    steer(world, RULES)
    assert world.explored == RULES.initial
    assert world.trained_on > 0


def test_goes_on_exploring_where_no_model_can_be_fitted() -> None:
    world = SimulatedWorld(trainable=False)
    assert steer(world, RULES) == Stop("budget: 12 calculations")
    assert world.observed == 12


def test_retrains_only_when_there_is_enough_new() -> None:
    world = SimulatedWorld()
    steer(world, replace(RULES, jobs=1, retrain_every=4))
    assert sum(isinstance(action, Train) for action in world.log) == 3  # after 3, 7 and 11 results


def test_a_pass_trains_once_and_serves_all_slots_that_were_free() -> None:
    now = Situation(active=0, picked=4, ready=9, observed=4, trained_on=3, has_model=True)
    assert decide(now, RULES) == Train()
    trained = replace(now, trained_on=4)
    assert decide(trained, RULES, [Train()]) == Pick(explore=False)
    one_ended = replace(trained, active=1, picked=6, ended=("x",))
    assert decide(one_ended, RULES, [Train(), Pick(explore=False)]) == Wait()
    assert decide(one_ended, RULES) == Collect(("x",))


def test_all_results_are_learned_from_in_the_end() -> None:
    world = SimulatedWorld(durations=(3, 1))
    steer(world, RULES)
    assert world.trained_on == world.observed == 12


def test_no_barrier_a_long_job_does_not_hold_the_others() -> None:
    world = SimulatedWorld(durations=(50, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1))
    steer(world, RULES)
    assert world.waits == 50  # eleven short jobs ran one after the other beside the long one


def test_a_free_slot_is_served_before_the_pool_is_filled() -> None:
    now = Situation(active=1, picked=2, ready=1)
    assert decide(now, RULES) == Pick(explore=True)


def test_pool_is_filled_while_jobs_run() -> None:
    assert decide(Situation(active=2, picked=2, ready=5), RULES) == Propose(3)
    assert decide(Situation(active=2, picked=2, ready=6), RULES) == Wait()


def test_a_model_picks_from_a_full_pool_only() -> None:
    now = Situation(active=1, picked=4, ready=5, observed=3, trained_on=3, has_model=True)
    assert decide(now, RULES) == Propose(3)
    assert decide(replace(now, ready=6), RULES) == Pick(explore=False)
    assert decide(replace(now, exhausted=True), RULES) == Pick(explore=False)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_what_a_pick_chooses_from_does_not_depend_on_speed(jobs: int) -> None:
    def pools(durations: tuple[int, ...]) -> list[int]:
        world = SimulatedWorld(durations=durations)
        seen: list[int] = []
        perform = world.perform

        def noting(action: Action) -> None:
            if isinstance(action, Pick) and not action.explore:
                seen.append(world.proposed)
            perform(action)

        world.perform = noting  # type: ignore[method-assign]
        steer(world, replace(RULES, jobs=jobs))
        return seen

    assert pools((1,)) == pools((7, 1, 3, 2))


@given(
    rules=st.builds(
        Rules,
        jobs=st.integers(1, 6),
        calculations=st.integers(1, 30),
        hours=st.none(),
        failures_in_a_row=st.just(4),
        pool_size=st.integers(1, 10),
        pool_batch=st.integers(1, 10),
        initial=st.integers(1, 10),
        retrain_every=st.integers(1, 5),
    ),
    space=st.integers(0, 40),
    durations=st.lists(st.integers(1, 9), min_size=1, max_size=7).map(tuple),
    fails=st.frozensets(st.integers(0, 30)),
    trainable=st.booleans(),
)
def test_always_ends_within_its_rules(
    rules: Rules,
    space: int,
    durations: tuple[int, ...],
    fails: frozenset[int],
    trainable: bool,
) -> None:
    world = SimulatedWorld(space=space, durations=durations, fails=fails, trainable=trainable)
    stop = steer(world, rules)
    assert world.picked <= min(space, rules.calculations)
    assert world.peak_active <= rules.jobs
    assert not world.running
    assert not world.ended
    if not stop.reason.startswith("failure"):
        assert world.picked == min(space, rules.calculations)


LEARNING = replace(RULES, learn_every=3)


def test_the_potential_learns_while_every_slot_is_busy():
    now = Situation(
        active=2, picked=6, ready=6, observed=4, trained_on=4, has_model=True, labelled=4
    )
    assert decide(now, LEARNING) == Learn()
    assert decide(now, RULES) == Wait()
    assert decide(replace(now, learned_on=2), LEARNING) == Wait()
    assert decide(replace(now, active=1), LEARNING) == Pick(explore=False)
    assert decide(replace(now, ready=5), LEARNING) == Propose(3)
    assert decide(replace(now, active=1, ended=("a",)), LEARNING) == Collect(("a",))


def test_a_campaign_that_ends_does_not_learn_first():
    now = Situation(active=1, picked=12, ready=6, has_model=True, labelled=9)
    assert decide(now, LEARNING) == Wait()
    assert isinstance(decide(replace(now, active=0), LEARNING), Stop)


def test_what_the_potential_is_uncertain_of_is_labelled_before_the_next_pick():
    now = Situation(
        active=1, picked=6, ready=6, has_model=True, labelled=4, learned_on=4, to_label=2
    )
    assert decide(now, LEARNING) == Label()
    assert decide(replace(now, active=2), LEARNING) == Wait()
    assert isinstance(decide(replace(now, active=0, picked=12), LEARNING), Stop)


def test_what_was_touched_at_a_lower_rung_keeps_no_new_candidates_out() -> None:
    """The pool is filled up with candidates that were never computed at all."""
    now = Situation(picked=9, ready=6, touched=2, observed=9, trained_on=9, has_model=True)
    assert decide(now, RULES) == Propose(RULES.pool_batch)
    assert decide(replace(now, touched=0), RULES) == Pick(explore=False)
    assert decide(replace(now, exhausted=True), RULES) == Pick(explore=False)


def test_the_first_candidates_climb_the_ladder_before_others_are_proposed() -> None:
    now = Situation(picked=1, ready=1, touched=1)
    assert decide(now, RULES) == Pick(explore=True)


def test_what_was_picked_below_does_not_count_as_initial() -> None:
    """Candidates that turn out unstable on the way up do not shorten the first design."""
    now = Situation(picked=6, below=4, ready=9, observed=5)
    assert decide(now, RULES) == Pick(explore=True)
    assert decide(replace(now, picked=7), RULES) == Train()


def test_core_hours_are_a_budget() -> None:
    rules = replace(RULES, core_hours=1.5)
    assert stop_reason(Situation(ready=1, core_hours=1.4), rules) is None
    assert stop_reason(Situation(ready=1, core_hours=1.5), rules) == "budget: 1.50 core hours"


def test_what_was_known_beforehand_counts_as_the_first_picks() -> None:
    """A campaign that begins with imported values trains at once and asks the model."""
    known = Situation(known=RULES.initial, observed=RULES.initial, ready=RULES.pool_size)
    assert decide(known, RULES) == Train()
    trained = replace(known, trained_on=known.observed, has_model=True)
    assert decide(trained, RULES, [Train()]) == Pick(explore=False)
    few = replace(known, known=RULES.initial - 1)
    assert decide(few, RULES) == Pick(explore=True)
