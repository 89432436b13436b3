"""A small job that shows whether a machine profile works."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from discover import plugins
from discover.calculations.base import JobInput, job_id
from discover.calculations.job import read_result, write_input
from discover.campaign import Dispatch
from discover.dispatch.base import Dispatcher, JobState, JobStatus
from discover.dispatch.cluster import ClusterDispatcher
from discover.dispatch.creation import make_dispatcher
from discover.dispatch.machines import load_machine, machine_file
from discover.dispatch.remote import RemoteDispatcher
from discover.dispatch.submission import LOG, SCRIPT, Started, Submission
from discover.errors import DiscoverError, DispatchError, MachineError
from discover.structures.crystal import Crystal

UNDER_WAY = {JobState.QUEUED, JobState.RUNNING, JobState.UNKNOWN}
PROBE = KIND, ENGINE = "agl", "emt"
LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True)
class Probe:
    """What became of the probe job; `folder` is kept where it failed, for a look at its logs."""

    machine: str
    scheduler: str
    passed: bool
    native_id: str | None
    host: str | None
    queued_seconds: float | None
    run_seconds: float | None
    reason: str | None
    folder: str | None


def probe(
    machine: str, parent: Path, wait_seconds: float, told: Callable[[str], None] = lambda _: None
) -> Probe:
    """Submit a job of seconds (copper, by the embedded-atom potential) and read its result back.

    It runs in a new folder in `parent`, which the compute nodes must see. Raises MachineError where
    there is no such profile or it is wrong, MissingDependencyError where the scheduler's programs are
    not here, DispatchError where it refuses the job. After `wait_seconds` the job is cancelled.
    """
    profile = load_machine(machine)
    settings = Dispatch(name=profile.scheduler, machine=machine, wall_time_minutes=10)
    _try_out(make_dispatcher(settings, parent, parent), machine_file(machine))
    try:
        folder = Path(tempfile.mkdtemp(prefix="discover-check-", dir=parent)).absolute()
    except OSError as error:
        raise MachineError(f"{parent}: the probe job needs a folder here: {error}") from error
    dispatcher = make_dispatcher(settings, folder / ".slots", parent)
    _write_question(folder)
    try:
        native_id = dispatcher.submit(folder)
    except DiscoverError:
        told(f"the job script is kept as {folder / SCRIPT}")
        raise
    told(f"job {native_id} was submitted to {profile.scheduler}, in {folder}")
    submitted = time.time()
    deadline = time.monotonic() + wait_seconds
    status = dispatcher.poll([(native_id, folder)])[0]
    told(_state(native_id, status))
    while status.state in UNDER_WAY and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_SECONDS)
        before, status = status, dispatcher.poll([(native_id, folder)])[0]
        if (status.state, status.reason) != (before.state, before.reason):
            told(_state(native_id, status))
    reason = _problem(folder, status, wait_seconds)
    if reason is not None:
        reason = f"{reason}; the profile is {machine_file(machine)}"
    if status.state in UNDER_WAY:
        dispatcher.cancel(native_id, folder)
    result = None if reason else read_result(folder)
    began, ended = status.started_at, status.ended_at
    outcome = Probe(
        machine=machine,
        scheduler=profile.scheduler,
        passed=reason is None,
        native_id=native_id,
        host=_host(folder),
        queued_seconds=None if began is None else max(0.0, began - submitted),
        run_seconds=ended - began if began and ended else result.seconds if result else None,
        reason=reason,
        folder=str(folder) if reason else None,
    )
    if outcome.passed:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


def _try_out(dispatcher: Dispatcher, file: Path) -> None:
    """MachineError, naming file and key, where it is known by now that no job could run."""
    if isinstance(dispatcher, RemoteDispatcher):
        try:
            dispatcher.reach()
        except DispatchError as error:
            raise MachineError(f"{file}: host: {error}; try `ssh HOST` by hand") from error
    elif isinstance(dispatcher, ClusterDispatcher) and (refused := dispatcher.refusals([PROBE])):
        raise MachineError("\n".join(f"{file}: {problem}" for problem in refused))


def _state(native_id: str, status: JobStatus) -> str:
    return f"job {native_id} is {status.state.value}{f': {status.reason}' if status.reason else ''}"


def _problem(folder: Path, status: JobStatus, wait_seconds: float) -> str | None:
    """Why it did not pass, None where its result is here."""
    if status.state in UNDER_WAY:
        return (
            f"it is still {status.state.value} after {wait_seconds:g} s"
            f"{f' ({status.reason})' if status.reason else ''}; it was cancelled"
        )
    result = read_result(folder)
    if result is None:
        return f"no result: {status.reason or 'it ended without one'}; see {folder / LOG}"
    return None if result.status == "done" else f"the calculation failed: {result.reason}"


def _host(folder: Path) -> str | None:
    submission = Submission.of(folder)
    started = Started.of(folder, submission.token) if submission else None
    return started.host if started else None


def _write_question(folder: Path) -> None:
    from ase.build import bulk

    crystal = Crystal.from_atoms(bulk("Cu", "fcc", a=3.6))
    settings = plugins.options_model(plugins.load("calculations", KIND))()
    engine_settings = plugins.options_model(plugins.load("engines", ENGINE))()
    write_input(
        folder,
        JobInput(
            id=job_id(crystal, KIND, settings, ENGINE, engine_settings),
            kind=KIND,
            engine=ENGINE,
            settings=settings.model_dump(mode="json"),
            engine_settings=engine_settings.model_dump(mode="json"),
            structure=crystal,
        ),
    )
