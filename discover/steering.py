"""The loop, as pure decisions: what the store knows in, the next action out.

Nothing here knows Prefect, a clock, a scheduler or a file. The Prefect flow, the same loop without a
server, the benchmarks and the tests each bring a `World` and drive this very code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discover.campaign import CampaignSpec

FAILURE_BUDGET = "failure budget"
"""How the reason of a stop begins where too many calculations failed."""


@dataclass(frozen=True)
class Rules:
    """What the campaign file says about the loop; the meaning of each is given there.

    `jobs` counts the slots and the picks that may queue for one, `initial` the picks at the target (on a
    ladder: each after the same candidate at every lower rung) before a model is asked.
    """

    jobs: int
    calculations: int
    hours: float | None
    failures_in_a_row: int
    pool_size: int
    pool_batch: int
    initial: int
    retrain_every: int
    core_hours: float | None = None
    learn_every: int | None = None

    @classmethod
    def of(cls, spec: CampaignSpec) -> Rules:
        """The rules in a campaign file."""
        return cls(
            jobs=spec.dispatch.jobs + spec.dispatch.queued,
            calculations=spec.budget.calculations,
            hours=spec.budget.hours,
            failures_in_a_row=spec.budget.failures_in_a_row,
            pool_size=spec.pool.size,
            pool_batch=spec.pool.batch,
            initial=spec.initial,
            retrain_every=spec.retrain_every,
            core_hours=spec.budget.core_hours,
            learn_every=spec.learning.every if spec.learning else None,
        )


@dataclass(frozen=True)
class Situation:
    """What is known at one instant.

    `ended` are calculations whose job is over and whose result is not collected yet, by order; `active`
    counts calculations that hold a slot, ended ones excluded; `picked` counts all that were ever
    picked, `below` those of them at a lower rung of the ladder, `known` candidates that were known
    before the campaign began; `ready` counts candidates that could be
    picked now, `touched` those of them that were picked at some rung before; `exhausted` says that the
    generator has no more; `observed` counts observations to train on, `trained_on` those that the last
    training saw, and `has_model` whether it gave a model; `hours` were spent steering, `core_hours` by
    the calculations that are over; `labelled` counts first-principles results, `learned_on` those that
    the last fine-tuning of the potential saw, and `to_label` candidates that it was so uncertain about
    that they are to have a label of their own.
    """

    ended: tuple[str, ...] = ()
    active: int = 0
    picked: int = 0
    below: int = 0
    known: int = 0
    ready: int = 0
    touched: int = 0
    exhausted: bool = False
    observed: int = 0
    trained_on: int = 0
    has_model: bool = False
    failures_in_a_row: int = 0
    hours: float = 0.0
    core_hours: float = 0.0
    labelled: int = 0
    learned_on: int = 0
    to_label: int = 0
    stop_requested: bool = False


@dataclass(frozen=True)
class Collect:
    """Take in what finished."""

    calculations: tuple[str, ...]


@dataclass(frozen=True)
class Train:
    """Fit the surrogate on all observations."""


@dataclass(frozen=True)
class Propose:
    """Ask the generator for candidates; relax, filter and featurize them."""

    n: int


@dataclass(frozen=True)
class Pick:
    """Choose one candidate, given all that is known and pending, and start its calculation.

    `explore`: no model is asked; the next candidate of the generator's own order is taken.
    """

    explore: bool


@dataclass(frozen=True)
class Learn:
    """Fine-tune the potential on all first-principles results."""


@dataclass(frozen=True)
class Label:
    """Start the calculation that labels the candidate about which the potential is least certain."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do until a job ends or somebody asks for a stop."""


@dataclass(frozen=True)
class Stop:
    """The campaign is over, and why."""

    reason: str


Action = Collect | Train | Propose | Pick | Learn | Label | Wait | Stop


class World(Protocol):
    """Where the decisions take effect; every effect is in the store before `perform` returns."""

    def situation(self) -> Situation:
        """What is known now."""
        ...

    def perform(self, action: Collect | Train | Propose | Pick | Learn | Label) -> None:
        """Carry one action out."""
        ...

    def record(self, actions: tuple[Action, ...]) -> None:
        """Keep the record of a pass; its last action is `Wait` or `Stop`."""
        ...

    def wait(self) -> None:
        """Return when the situation may have changed."""
        ...


def steer(world: World, rules: Rules) -> Stop:
    """Run a campaign to its end; one turn of the outer loop is a pass."""
    while True:
        actions: list[Action] = []
        while not isinstance(action := decide(world.situation(), rules, actions), Wait | Stop):
            world.perform(action)
            actions.append(action)
        world.record((*actions, action))
        if isinstance(action, Stop):
            return action
        world.wait()


def decide(now: Situation, rules: Rules, done: Sequence[Action] = ()) -> Action:
    """The next thing to do, given what was done in this pass already.

    A pass trains at most once, and then serves every slot that was free before it takes in more: results
    that come while a model is fitted open the next pass. Filling the pool up waits for nobody, it is
    done while jobs run, and so is what takes longest, the learning of the potential, with every slot
    busy.

    One candidate is picked at a time, and (once a model picks) only from a full pool, so that what a
    pick chooses from depends on the number of picks before it and not on the speed of the machine: a
    campaign that was killed and resumed picks what it would have picked.
    """
    trained = any(isinstance(action, Train) for action in done)
    if now.ended and not trained:
        return Collect(now.ended)
    begun = now.picked - now.below + now.known >= rules.initial
    train = begun and _training_due(now, rules) and not trained
    occupied = now.active + len(now.ended)
    if reason := stop_reason(now, rules):
        if occupied:
            return Wait()
        return Train() if train and not now.stop_requested else Stop(reason)
    slot_free = occupied < rules.jobs
    if now.ended and not slot_free:
        return Wait()
    explore = not begun or not (now.has_model or train)
    short = (
        not now.ready if slot_free and explore else now.ready - now.touched < rules.pool_size
    )  # what was touched stays, and must not keep new candidates out
    if short and not now.exhausted:
        return Propose(rules.pool_batch)
    if slot_free and now.to_label:
        return Label()
    if slot_free and now.ready:
        return Train() if train else Pick(explore=explore)
    return Learn() if _learning_due(now, rules) else Wait()


def stop_reason(now: Situation, rules: Rules) -> str | None:
    """Why no further calculation is to be started, or None."""
    if now.stop_requested:
        return "stopped by the user"
    if now.failures_in_a_row >= rules.failures_in_a_row:
        return f"{FAILURE_BUDGET}: {now.failures_in_a_row} calculations failed in a row"
    if now.picked >= rules.calculations:
        return f"budget: {now.picked} calculations"
    if rules.hours is not None and now.hours >= rules.hours:
        return f"budget: {now.hours:.2f} hours"
    if rules.core_hours is not None and now.core_hours >= rules.core_hours:
        return f"budget: {now.core_hours:.2f} core hours"
    if now.exhausted and not now.ready:
        return "the space is exhausted"
    return None


def _learning_due(now: Situation, rules: Rules) -> bool:
    return rules.learn_every is not None and now.labelled - now.learned_on >= rules.learn_every


def _training_due(now: Situation, rules: Rules) -> bool:
    new = now.observed - now.trained_on
    return new >= rules.retrain_every or (new > 0 and not now.has_model)
