"""Calculations as jobs: started, followed and collected, with every step in the store first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from discover import plugins
from discover.calculations.base import JobInput, JobResult, job_id
from discover.calculations.job import RESULT, read_result, write_input
from discover.campaign import CalculationSettings, CampaignSpec
from discover.dispatch.base import Dispatcher, JobState, JobStatus
from discover.errors import CalculationError, DispatchError
from discover.folder import CampaignFolder
from discover.outages import check_room
from discover.potentials.learning.uncertainty import label_settings
from discover.records import (
    ACTIVE_STATES,
    Calculation,
    CalculationState,
    Candidate,
    Observation,
    Prediction,
)
from discover.store.base import Store

RESUBMIT_SECONDS = 1.0


class Jobs:
    """Starts, follows and collects the jobs of one campaign.

    Holds nothing that the store and the job directories do not: after a kill at any point, `resume`
    and the next `poll` bring every calculation to where it would have been. No job is started, or given
    up, while the disk is full: DiskFullError.
    """

    def __init__(
        self, folder: CampaignFolder, spec: CampaignSpec, store: Store, dispatcher: Dispatcher
    ) -> None:
        self._folder = folder
        self._spec = spec
        self._store = store
        self._dispatcher = dispatcher
        self._label = label_settings(spec, folder.root)
        asked = (*spec.rungs, *([self._label] if self._label else []))
        self._rungs = {one.fidelity: _Rung.of(one, folder.root) for one in asked}

    def pick(
        self,
        candidate: Candidate,
        order: int,
        picked_by: str,
        prediction: Prediction | None,
        rung: int = -1,
    ) -> Calculation | None:
        """Decide on a calculation and start it; None where this very question was asked before.

        `rung` is its place on the campaign's ladder, by default the target.
        """
        return self._decide(self._spec.rungs[rung], candidate, order, picked_by, prediction)

    def label(self, candidate: Candidate, order: int) -> Calculation | None:
        """Decide on a label for the potential to learn from and start it; None as for `pick`.

        CalculationError where no engine of the campaign computes from first principles.
        """
        if self._label is None:
            raise CalculationError(
                "this campaign has no engine that computes from first principles"
            )
        return self._decide(self._label, candidate, order, picked_by="committee", prediction=None)

    def _decide(
        self,
        chosen: CalculationSettings,
        candidate: Candidate,
        order: int,
        picked_by: str,
        prediction: Prediction | None,
    ) -> Calculation | None:
        asked = self._rungs[chosen.fidelity]
        calculation = Calculation(
            id=job_id(
                candidate.structure,
                chosen.kind,
                asked.settings,
                chosen.engine,
                asked.engine_settings,
            ),
            candidate=candidate.id,
            order=order,
            kind=chosen.kind,
            engine=chosen.engine,
            fidelity=chosen.fidelity,
            picked_by=picked_by,
            prediction=prediction,
        )
        if not self._store.add_calculation(calculation):
            return None
        return self._start(calculation)

    def resume(self) -> None:
        """Start what was decided on but not handed over, and what a user's stop had cancelled."""
        for calculation in self._store.calculations(frozenset({CalculationState.CANCELLED})):
            self._store.transition(
                calculation.id,
                calculation.state,
                CalculationState.PROPOSED,
                reason=None,
                started_at=None,
                finished_at=None,
            )
        for calculation in self._store.calculations(frozenset({CalculationState.PROPOSED})):
            self._start(calculation)

    def poll(self) -> tuple[tuple[str, ...], int]:
        """Ids of calculations whose job is over, by order, and the number of those still active."""
        active = self._store.calculations(ACTIVE_STATES)
        statuses = self._dispatcher.poll(
            [(c.native_id or "", self._folder.job(c.id)) for c in active]
        )
        ended = []
        for calculation, status in zip(active, statuses, strict=True):
            if status.state in {JobState.ENDED, JobState.LOST}:
                ended.append(calculation.id)
            else:
                self._follow(calculation, status)
        return tuple(ended), len(active) - len(ended)

    def collect(self, calculation_id: str) -> Calculation:
        """Take in the result of a job that is over, or start it again where it left none."""
        calculation = self._store.calculation(calculation_id)
        directory = self._folder.job(calculation_id)
        status = self._dispatcher.poll([(calculation.native_id or "", directory)])[0]
        try:
            result = read_result(directory)
        except CalculationError as error:
            return self._fail(calculation, status, str(error))
        if result is None:
            return self._lost(calculation, status)
        times: dict[str, Any] = {
            "started_at": calculation.started_at or status.started_at or result.started_at,
            "finished_at": result.finished_at,
            "seconds": result.seconds,
            "cores": result.cores,
        }
        if result.status != "done":
            return self._store.transition(
                calculation_id,
                calculation.state,
                CalculationState.FAILED,
                reason=result.reason or "the job gave no reason",
                **times,
            )
        if calculation.state is CalculationState.UNKNOWN:
            times["reason"] = None
        return self._store.finish(
            calculation_id, calculation.state, self._observations(calculation, result), **times
        )

    def cancel_active(self) -> None:
        """End every job that is queued or running; one that is over already is left to be collected."""
        over, _ = self.poll()
        for calculation in self._store.calculations(ACTIVE_STATES):
            if calculation.id in over:
                continue
            self._dispatcher.cancel(calculation.native_id or "", self._folder.job(calculation.id))
            self._store.transition(
                calculation.id,
                calculation.state,
                CalculationState.CANCELLED,
                reason="cancelled by the user",
                finished_at=time.time(),
            )

    def _start(self, calculation: Calculation) -> Calculation:
        asked = self._rungs[calculation.fidelity]
        directory = self._folder.job(calculation.id)
        check_room(directory)
        write_input(
            directory,
            JobInput(
                id=calculation.id,
                kind=plugins.resolved(calculation.kind, self._folder.root),
                engine=plugins.resolved(calculation.engine, self._folder.root),
                settings=asked.settings.model_dump(mode="json"),
                engine_settings=asked.engine_settings.model_dump(mode="json"),
                structure=self._store.candidate(calculation.candidate).structure,
            ),
        )
        try:
            native_id = self._submit(directory)
        except DispatchError as error:
            check_room(directory)
            return self._store.transition(
                calculation.id,
                CalculationState.PROPOSED,
                CalculationState.FAILED,
                reason=f"could not be submitted: {error}",
                finished_at=time.time(),
            )
        return self._store.transition(
            calculation.id,
            CalculationState.PROPOSED,
            CalculationState.SUBMITTED,
            native_id=native_id,
        )

    def _submit(self, directory: Path) -> str:
        """Hand a job over; a scheduler that refuses may accept a moment later."""
        for _ in range(self._spec.dispatch.attempts - 1):
            try:
                return self._dispatcher.submit(directory)
            except DispatchError:
                time.sleep(RESUBMIT_SECONDS)
        return self._dispatcher.submit(directory)

    def _follow(self, calculation: Calculation, status: JobStatus) -> None:
        new = {
            JobState.QUEUED: CalculationState.SUBMITTED,
            JobState.RUNNING: CalculationState.RUNNING,
            JobState.UNKNOWN: CalculationState.UNKNOWN,
        }[status.state]
        if new is calculation.state or (
            new is CalculationState.SUBMITTED and calculation.state is CalculationState.RUNNING
        ):
            return
        changes: dict[str, Any] = {"started_at": status.started_at} if status.started_at else {}
        if CalculationState.UNKNOWN in {new, calculation.state}:
            changes["reason"] = status.reason if new is CalculationState.UNKNOWN else None
        self._store.transition(calculation.id, calculation.state, new, **changes)

    def _lost(self, calculation: Calculation, status: JobStatus) -> Calculation:
        """Start a job that left no result again, or give it up with what is known about its end."""
        check_room(self._folder.job(calculation.id))
        attempts = calculation.attempts + 1
        log = self._folder.job(calculation.id) / "job.log"
        what = status.reason or (
            f"exit code {status.exit_code}" if status.exit_code is not None else "it disappeared"
        )
        if status.retryable and attempts < self._spec.dispatch.attempts:
            waiting = self._store.transition(
                calculation.id,
                calculation.state,
                CalculationState.PROPOSED,
                attempts=attempts,
                native_id=None,
                started_at=None,
                reason=f"attempt {attempts}: {what}",
            )
            return self._start(waiting)
        return self._fail(
            calculation, status, f"no result after {attempts} attempt(s): {what}{_last_line(log)}"
        )

    def _fail(self, calculation: Calculation, status: JobStatus, reason: str) -> Calculation:
        return self._store.transition(
            calculation.id,
            calculation.state,
            CalculationState.FAILED,
            reason=reason,
            attempts=calculation.attempts + 1,
            started_at=calculation.started_at or status.started_at,
            finished_at=status.ended_at or time.time(),
        )

    def _observations(self, calculation: Calculation, result: JobResult) -> list[Observation]:
        return [
            Observation(
                id=f"{calculation.id}-{value.property}",
                candidate=calculation.candidate,
                calculation=calculation.id,
                property=value.property,
                value=value.value,
                unit=value.unit,
                fidelity=calculation.fidelity,
                source=f"jobs/{calculation.id}",
                bound=value.bound,
                uncertainty=value.uncertainty,
                quarantined=value.quarantined,
            )
            for value in result.values
        ]


@dataclass(frozen=True)
class _Rung:
    """The settings of a kind of calculation and of its engine, completed with their defaults."""

    settings: BaseModel
    engine_settings: BaseModel

    @classmethod
    def of(cls, chosen: CalculationSettings, base: Path) -> _Rung:
        kind = plugins.options_model(plugins.load("calculations", chosen.kind, base))
        engine = plugins.options_model(plugins.load("engines", chosen.engine, base))
        return cls(kind(**chosen.settings), engine(**chosen.engine_settings))


def retry_failed(folder: CampaignFolder, store: Store) -> int:
    """Put failed calculations back in line, for the next run to start; returns how many.

    The result that says why one failed is kept beside it as `result.failed-N.json`.
    """
    failed = store.calculations(frozenset({CalculationState.FAILED}))
    for calculation in failed:
        result = folder.job(calculation.id) / RESULT
        if result.exists():
            earlier = len(list(result.parent.glob("result.failed-*.json")))
            result.rename(result.with_name(f"result.failed-{earlier + 1}.json"))
        store.transition(
            calculation.id,
            CalculationState.FAILED,
            CalculationState.PROPOSED,
            attempts=0,
            reason=None,
            native_id=None,
            started_at=None,
            finished_at=None,
        )
    return len(failed)


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip()]
    return f"; last line of {log.parent.name}/job.log: {told[-1]}" if told else ""
