"""The Prefect shell around the loop: the same steering, with every piece of work shown as a task."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import httpx
from prefect import Task, flow, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Crashed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.records import ACTIVE_STATES, Calculation, CalculationState
from discover.report.page import markdown_report
from discover.runner import CampaignRunner, run_campaign
from discover.steering import FAILURE_BUDGET, Action, Stop
from discover.workers import Workers
from flows.workers import prefect_workers

Result = TypeVar("Result")
LOG = logging.getLogger("discover.campaign")
LOOK_SECONDS = 0.5
THREADS: Any = ThreadPoolTaskRunner(max_workers=512)
"""Runs the tasks that follow calculations: one sleeping thread each."""


class PrefectRunner(CampaignRunner):
    """A campaign runner that shows its work in Prefect. Prefect's states are a view, never the truth."""

    def run(self) -> Stop:
        """As the base class; ends the record of an earlier run that was killed."""
        self._over = threading.Event()
        self._note_flow_run()
        self._progress = cast(
            "UUID",
            create_progress_artifact(
                self._share_done(), key=self._key("progress"), description="Calculations done"
            ),
        )
        self._report = cast(
            "UUID",
            create_markdown_artifact(
                self._ranking(), key=self._key("report"), description="Ranking and search so far"
            ),
        )
        try:
            return super().run()
        finally:
            self._over.set()

    def step(self, name: str, label: str, work: Callable[[], Result]) -> Result:
        """Do one piece of work as a task run of that name."""
        shown: Task[[], Result] = Task(
            work, name=name, task_run_name=label, cache_policy=NO_CACHE, persist_result=False
        )
        shown.task_key = name
        return shown()

    def follow(self, calculation: Calculation) -> None:
        """Show a calculation as a task run that lasts as long as its job."""
        candidate = self.store.candidate(calculation.candidate)
        calculate.with_options(
            task_run_name=f"calculate {candidate.formula} {candidate.title}"
        ).submit(self, calculation.id)

    @classmethod
    def workers(
        cls, folder: CampaignFolder, spec: CampaignSpec, told: Callable[[str], None]
    ) -> AbstractContextManager[Workers]:
        """As the base class; several workers are those of a Prefect task runner."""
        return prefect_workers(folder, spec, told)

    def record(self, actions: tuple[Action, ...]) -> None:
        """As the base class; renews the ranking, the picture and the progress on the dashboard.

        A dashboard that does not answer is told of and ends nothing.
        """
        passes = self.store.count_passes()
        super().record(actions)
        if self.store.count_passes() == passes:
            return
        try:
            with get_client(sync_client=True) as client:
                client.update_artifact(self._report, ArtifactUpdate(data=self._ranking()))
            update_progress_artifact(self._progress, self._share_done())
        except httpx.HTTPError as error:
            self._told(f"the dashboard was not renewed: {error}")

    def wait_for_end(self, calculation_id: str) -> Calculation:
        """The calculation once it is collected (or this run of the campaign is over)."""
        while not self._over.wait(LOOK_SECONDS):
            calculation = self.store.calculation(calculation_id)
            if calculation.state not in ACTIVE_STATES:
                break
        return self.store.calculation(calculation_id)

    def _ranking(self) -> str:
        return markdown_report(self.folder, self.spec, self.store, time.time())

    def _share_done(self) -> float:
        """Calculations that are over, in percent of the budget."""
        done = sum(c.state not in ACTIVE_STATES for c in self.store.calculations())
        return min(100.0, 100 * done / self.spec.budget.calculations)

    def _key(self, what: str) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.spec.name.lower()) + f"-{what}"

    def _note_flow_run(self) -> None:
        """Mark an earlier flow run of this campaign that never ended as crashed, and note this one.

        We hold the lease, so whoever ran it is dead; without this it would say Running for ever.
        """
        earlier = self.store.value("flow_run")
        present = str(flow_run.id)
        if earlier and earlier != present:
            with get_client(sync_client=True) as client:
                try:
                    state = client.read_flow_run(UUID(earlier)).state
                    if state is not None and not state.is_final():
                        client.set_flow_run_state(
                            UUID(earlier), Crashed(message="its process was killed"), force=True
                        )
                except Exception as error:  # noqa: BLE001 - another server, or history was deleted
                    self._told(f"earlier flow run {earlier} could not be closed: {error}")
        self.store.set_value("flow_run", present)


@task(name="calculate", cache_policy=NO_CACHE, persist_result=False)
def calculate(runner: PrefectRunner, calculation_id: str) -> State[Any]:
    """Last as long as a job does, and end as it ended."""
    calculation = runner.wait_for_end(calculation_id)
    match calculation.state:
        case CalculationState.DONE:
            return Completed(message=f"{calculation.seconds or 0:.0f} s")
        case CalculationState.FAILED:
            return Failed(message=calculation.reason)
        case CalculationState.CANCELLED:
            return Cancelled(message=calculation.reason)
        case _:
            return Cancelled(message="the campaign ended first; its job goes on")


@flow(
    name="campaign",
    flow_run_name="{name}",
    task_runner=THREADS,
    validate_parameters=False,
    persist_result=False,
)
def campaign(name: str, directory: str) -> State[Any]:  # noqa: ARG001 - the name is the run's title
    """Run the campaign in a folder to its end."""
    return steer_here(Path(directory))


def steer_here(directory: Path) -> State[Any]:
    """Steer a campaign inside the present flow run; the final state carries the reason of the stop.

    What it tells goes to the run's log and to `LOG`, which a terminal may listen to.
    """
    run_log = get_run_logger()
    # Tasks are on the timeline, and a failure is told by the campaign itself or raised by the flow.
    logging.getLogger("prefect.task_runs").setLevel(logging.CRITICAL)

    def told(line: str) -> None:
        run_log.info(line)
        LOG.info(line)

    stop = run_campaign(CampaignFolder.at(directory), told, PrefectRunner)
    failed = stop.reason.startswith(FAILURE_BUDGET)
    return Failed(message=stop.reason) if failed else Completed(message=stop.reason)
