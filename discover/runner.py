"""A campaign's world: carries out what `discover.steering` decides, with the store as the one truth."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import TypeVar

from discover import plugins
from discover.campaign import CampaignSpec
from discover.dispatch.creation import make_dispatcher
from discover.errors import LeaseHeldError, LostFitError, PotentialError, SurrogateError
from discover.folder import CampaignFolder
from discover.jobs import Jobs
from discover.ladder import core_hours
from discover.lease import SteeringLease
from discover.observed import results_in, usable_observations
from discover.outages import outlast
from discover.picking import Choice, Picker, active_candidates, pick
from discover.potentials.learning.labels import labelling_engines
from discover.potentials.learning.notes import LEARNED_ON, TO_LABEL
from discover.processes import Process
from discover.records import (
    ACTIVE_STATES,
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Observation,
    Pass,
)
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
    steer,
)
from discover.stopping import StopRequest, clear_request, request_of
from discover.store.base import Store
from discover.supply import CandidateSupply
from discover.telling import Telling
from discover.training import TrainedModel, train
from discover.workers import InTurn, Workers, open_workers
from discover.workers.fitting import fitted_by

Result = TypeVar("Result")
POLL_SECONDS = 0.2
LOOK_AGAIN_SECONDS = 15.0


class CampaignRunner:
    """Runs one campaign in this process. It is the only writer of the store: hold the lease first.

    The one stateful class: what it keeps in memory (pool, fitted model, generator position) is a cache
    of the store, rebuilt when a campaign is resumed. `step` may be overridden to show each piece of
    work somewhere (the Prefect flow does); `told` is called with a line for people.
    """

    def __init__(
        self,
        folder: CampaignFolder,
        spec: CampaignSpec,
        store: Store,
        lease: SteeringLease,
        told: Callable[[str], None] = lambda _: None,
        workers: Workers | None = None,
    ) -> None:
        self.folder, self.spec, self.store = folder, spec, store
        self._lease = lease
        self._process = Process.of(os.getpid())
        self._told, self._telling = told, Telling(spec, store, told)
        workers = workers or InTurn()
        self._supply = CandidateSupply(folder, spec, store, workers)
        self._trained: TrainedModel | None = None
        self._trained_on = 0
        base = folder.root
        self._surrogate = plugins.create(
            "surrogates", spec.surrogate.name, spec.surrogate.options, base
        )
        self._respondent = fitted_by(workers, self._surrogate, spec.surrogate, base)
        self._picker = Picker.of(spec, base)
        dispatcher = make_dispatcher(spec.dispatch, folder.slots, base)
        self.jobs = Jobs(folder, spec, store, dispatcher)
        self._labelling = labelling_engines(spec, base)
        self._started = self._pass_started = time.time()
        self._hours_before = float(store.value("hours") or 0.0)
        self._pass_notes = _PassNotes()

    def run(self) -> Stop:
        """Resume or start the campaign and steer it to its end; says why it stopped."""
        self.store.set_value("stopped", None)
        self._recover()
        stop = steer(self, Rules.of(self.spec))
        clear_request(self.store)
        return stop

    # --- the World of discover.steering -------------------------------------------------------

    def situation(self) -> Situation:
        """What the store and the dispatcher know now; LeaseHeldError where the lease was lost."""
        if self._lease.lost.is_set():
            raise LeaseHeldError("another process has taken over this campaign; this one ends")
        request = request_of(self.store, self._process)
        ended, active = self.jobs.poll()
        if request is StopRequest.NOW and active:
            self.jobs.cancel_active()
            ended, active = self.jobs.poll()
        calculations = self.store.calculations()
        lower = {rung.fidelity for rung in self.spec.rungs[:-1]}
        return Situation(
            ended=ended,
            active=active,
            picked=len(calculations),
            below=sum(c.fidelity in lower for c in calculations),
            known=self._supply.known,
            ready=len(self._supply.pool),
            touched=self._supply.pool.touched,
            exhausted=self._supply.exhausted,
            observed=results_in(usable_observations(self.store, self.spec)),
            trained_on=self._trained_on,
            has_model=self._trained is not None,
            failures_in_a_row=failures_in_a_row(calculations, since=self._started),
            hours=self._hours(),
            core_hours=core_hours(calculations),
            labelled=sum(
                c.state is CalculationState.DONE and c.engine in self._labelling
                for c in calculations
            ),
            learned_on=int(self.store.value(LEARNED_ON) or 0),
            to_label=len(self.store.value(TO_LABEL) or ()),
            stop_requested=request is not None,
        )

    def perform(self, action: Action) -> None:
        """Carry one action out; everything it decides is in the store when it returns."""
        match action:
            case Collect(calculations):
                self.step(
                    "collect", f"collect {len(calculations)}", lambda: self._collect(calculations)
                )
            case Train():
                usable = usable_observations(self.store, self.spec)
                self.step("train", f"train on {results_in(usable)}", lambda: self._train(usable))
            case Propose(n):
                proposed = self.step("propose", f"propose {n}", lambda: self._propose(n))
                if proposed:
                    self.step("relax", f"relax {len(proposed)}", lambda: self._relax(proposed))
            case Learn():
                self.step("learn", "fine-tune the potential", self._learn)
            case Label():
                labelled = self._start_label()
                if labelled is not None:
                    self.follow(labelled)
            case Pick(explore):
                chosen = self.step("select", "select", lambda: self._select(explore=explore))
                calculation = self._submit(chosen)
                if calculation is not None:
                    self.follow(calculation)

    def record(self, actions: tuple[Action, ...]) -> None:
        """Keep the record of a pass that did something, and the hours spent so far."""
        self.store.set_value("hours", self._hours())
        last = actions[-1]
        if len(actions) == 1 and not isinstance(last, Stop):
            return
        notes, self._pass_notes = self._pass_notes, _PassNotes()
        now = time.time()
        self.store.add_pass(
            Pass(
                number=self.store.count_passes(),
                started_at=self._pass_started,
                finished_at=now,
                actions=tuple(type(action).__name__.lower() for action in actions),
                collected=tuple(notes.collected),
                picked=tuple(notes.picked),
                proposed=notes.proposed,
                rejected=notes.rejected,
                model=self._trained.card.id if self._trained else None,
                stopped=last.reason if isinstance(last, Stop) else None,
            )
        )
        if isinstance(last, Stop):
            self.store.set_value("stopped", last.reason)
        self._pass_started = now

    def wait(self) -> None:
        """Sleep until a job ends, a stop is asked for, or it is time to look at the budget again."""
        look_again = time.monotonic() + LOOK_AGAIN_SECONDS
        asked = request_of(self.store, self._process)
        while time.monotonic() < look_again:
            ended, active = self.jobs.poll()
            asked_anew = request_of(self.store, self._process) is not asked
            if ended or not active or asked_anew or self._lease.lost.is_set():
                break
            time.sleep(POLL_SECONDS)
        self._pass_started = time.time()

    # --- hooks --------------------------------------------------------------------------------

    def step(self, name: str, label: str, work: Callable[[], Result]) -> Result:  # noqa: ARG002
        """Do one piece of work; overridden where it is to be shown."""
        return work()

    def follow(self, calculation: Calculation) -> None:
        """Called when a calculation was started; overridden where it is to be shown."""

    @classmethod
    def workers(
        cls, folder: CampaignFolder, spec: CampaignSpec, told: Callable[[str], None]
    ) -> AbstractContextManager[Workers]:
        """Who relaxes and describes candidates; overridden where their work is to be shown."""
        return open_workers(folder, spec, told)

    # --- the work -----------------------------------------------------------------------------

    def _recover(self) -> None:
        """Bring memory and jobs to where the store says that they are."""
        unfinished = self._supply.recover()
        if unfinished:
            self._relax(unfinished)
        cards = self.store.model_cards()
        if cards:
            seen = set(cards[-1].observations)
            self._train([o for o in usable_observations(self.store, self.spec) if o.id in seen])
        self.jobs.resume()
        for calculation in self.store.calculations(ACTIVE_STATES):
            self.follow(calculation)

    def _collect(self, calculations: tuple[str, ...]) -> None:
        for calculation_id in calculations:
            calculation = self.jobs.collect(calculation_id)
            if calculation.state in {CalculationState.DONE, CalculationState.FAILED}:
                self._pass_notes.collected.append(calculation_id)
            if calculation.state is CalculationState.DONE:
                self._supply.close_unstable([calculation])
            self._telling.collected(self.store.candidate(calculation.candidate), calculation)

    def _train(self, observations: list[Observation]) -> None:
        self._trained_on = results_in(observations)
        try:
            self._trained = train(
                self.folder,
                self.spec,
                self.store,
                self._surrogate,
                observations,
                unpicked=self._supply.pool.open().features,
                respondent=self._respondent,
            )
        except SurrogateError as error:
            self._trained = None
            self._told(f"no model yet, exploring on: {error}")
            return
        except LostFitError as error:
            on = "exploring on" if self._trained is None else "picking on with the last one"
            self._told(f"no new model, {on}: {error}")
            return
        self._telling.trained(self._trained.card)

    def _propose(self, n: int) -> list[Candidate]:
        proposed = self._supply.propose(n)
        self._pass_notes.proposed += len(proposed)
        return proposed

    def _relax(self, proposed: list[Candidate]) -> None:
        screened = self._supply.screen(proposed)
        ready = sum(c.state is CandidateState.READY for c in screened)
        self._pass_notes.rejected += len(screened) - ready
        self._telling.screened(len(screened), ready)

    def _select(self, *, explore: bool) -> Choice:
        """The model's best candidate and calculation, or while exploring the generator's next."""
        if explore or self._trained is None:
            return Choice(*self._supply.pool.first())
        pool = self._supply.pool.open(without=active_candidates(self.store))
        chosen = pick(self.spec, self.store, self._picker, self._trained, pool)
        if 0 < chosen.scored < len(pool.ids):
            self._telling.shortened(chosen.scored, len(pool.ids))
        return chosen

    def _submit(self, chosen: Choice) -> Calculation | None:
        candidate = self.store.candidate(chosen.candidate)
        calculation = self.jobs.pick(
            candidate,
            order=len(self.store.calculations()),
            picked_by="initial" if chosen.prediction is None else self.spec.acquisition.name,
            prediction=chosen.prediction,
            rung=chosen.rung,
        )
        self._supply.pool.take(candidate.id, chosen.rung)
        if calculation is None:
            self._supply.pool.close(candidate.id)
            twin = candidate.model_copy(
                update={
                    "state": CandidateState.REJECTED,
                    "reason": "the very same structure was computed as another candidate",
                }
            )
            self.store.update_candidates([twin])
        else:
            self._pass_notes.picked.append(calculation.id)
            self._telling.started(candidate, calculation, chosen.prediction)
        return calculation

    def _learn(self) -> None:
        from discover.potentials.learning.campaign import learn, settings_of, summary

        settings = settings_of(self.spec)
        try:
            done = learn(self.folder, self.spec, self.store, settings, self._told)
        except PotentialError as error:
            self._told(f"the potential stays as it is: {error}")
            return
        for line in summary(done.card):
            self._told(line)

    def _start_label(self) -> Calculation | None:
        """Label the first of those that wait for it; doing it again after a kill changes nothing."""
        first, *others = self.store.value(TO_LABEL)
        candidate = self.store.candidate(first)
        calculation = self.jobs.label(candidate, order=len(self.store.calculations()))
        self.store.set_value(TO_LABEL, others or None)
        if calculation is not None:
            self._pass_notes.picked.append(calculation.id)
            self._telling.labelled(candidate, calculation)
        return calculation

    def _hours(self) -> float:
        return self._hours_before + (time.time() - self._started) / 3600.0


def run_campaign(
    folder: CampaignFolder,
    told: Callable[[str], None],
    runner_class: type[CampaignRunner] = CampaignRunner,
) -> Stop:
    """Check a campaign, hold its lease, steer it to its end and write its report.

    Where the store or the disk goes away meanwhile, it waits and goes on from what the store holds.
    Raises CampaignError listing every problem, LeaseHeldError where another process steers it.
    """
    from discover.preflight import check_folder
    from discover.report.page import write_report
    from discover.unchanged import check_unchanged, note_beginning

    spec = check_folder(folder)
    with closing(folder.open_store(spec)) as store:
        with SteeringLease(store) as lease:
            check_unchanged(store, spec, str(folder.spec_file))
            note_beginning(store, spec)
            with runner_class.workers(folder, spec, told) as workers:
                stop = outlast(
                    lambda: runner_class(folder, spec, store, lease, told, workers).run(),
                    lease,
                    folder.root,
                    told,
                )
        write_report(folder, spec, store)
    return stop


class _PassNotes:
    """What happened since the last recorded pass."""

    def __init__(self) -> None:
        self.collected: list[str] = []
        self.picked: list[str] = []
        self.proposed = 0
        self.rejected = 0


def failures_in_a_row(calculations: list[Calculation], since: float) -> int:
    """Number of failed calculations since the last one that was done, in order of their end.

    Only what ended after `since` (seconds since the epoch) counts, so that a campaign that ran into
    its failure budget can be resumed.
    """
    final = {CalculationState.DONE, CalculationState.FAILED}
    over = [c for c in calculations if c.state in final and (c.finished_at or 0.0) >= since]
    over.sort(key=lambda c: (c.finished_at or 0.0, c.order))
    count = 0
    for calculation in reversed(over):
        if calculation.state is CalculationState.DONE:
            break
        count += 1
    return count
