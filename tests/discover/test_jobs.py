"""Jobs from the pick to the result, with the real dispatcher and real (quick) calculations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from discover.calculations.job import RESULT
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.local import LocalDispatcher
from discover.errors import DispatchError, StateConflictError
from discover.files import JsonLines
from discover.folder import CampaignFolder
from discover.jobs import Jobs, retry_failed
from discover.records import ACTIVE_STATES, Calculation, CalculationState, Candidate, Prediction
from discover.store import Store

Metal = Callable[..., Candidate]
DEADLINE_SECONDS = 60.0


class Bench:
    """A campaign's jobs, and what steering does with them, one call at a time."""

    def __init__(self, root: Path) -> None:
        self.folder = CampaignFolder.at(root)
        self.spec = self.folder.load()
        self.store: Store = self.folder.open_store(self.spec)
        self.jobs = self.another()

    def another(self) -> Jobs:
        """The jobs as a process sees them that has just been started."""
        dispatcher = LocalDispatcher(self.folder.slots, jobs=self.spec.dispatch.jobs)
        return Jobs(self.folder, self.spec, self.store, dispatcher)

    def add(self, candidate: Candidate) -> Candidate:
        self.store.add_candidates([candidate])
        return candidate

    def pick(self, candidate: Candidate, order: int = 0) -> Calculation:
        calculation = self.jobs.pick(self.add(candidate), order, "initial", None)
        assert calculation is not None
        return calculation

    def wait_for(self, calculation_id: str, state: CalculationState) -> Calculation:
        """Poll, and collect what is over, until the calculation is in this state."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            ended, _ = self.jobs.poll()
            for over in ended:
                self.jobs.collect(over)
            calculation = self.store.calculation(calculation_id)
            if calculation.state is state:
                return calculation
            time.sleep(0.02)
        raise AssertionError(f"{calculation}, not {state}")

    def events(self, calculation_id: str) -> list[Any]:
        history = JsonLines(self.folder.job(calculation_id) / "history.jsonl")
        return [line["event"] for line in history.read()]


@pytest.fixture
def bench(held_campaign: Path) -> Iterator[Bench]:
    spec = held_campaign / "campaign.yaml"
    spec.write_text(spec.read_text().replace("attempts: 30", "attempts: 2"))
    made = Bench(held_campaign)
    yield made
    made.jobs.cancel_active()
    made.store.close()


def let_go(bench: Bench) -> None:
    (bench.folder.root / "go").touch()


def test_pick_poll_collect(bench: Bench, metal: Metal) -> None:
    prediction = Prediction(mean=1.0, std=0.1, score=2.0, model="card")
    candidate = bench.add(metal("Cu"))
    picked = bench.jobs.pick(candidate, 0, "logei", prediction)
    assert picked is not None
    assert picked.state is CalculationState.SUBMITTED
    assert bench.store.calculation(picked.id) == picked
    running = bench.wait_for(picked.id, CalculationState.RUNNING)
    assert running.started_at is not None
    assert bench.jobs.poll() == ((), 1)

    let_go(bench)
    done = bench.wait_for(picked.id, CalculationState.DONE)
    assert (done.candidate, done.picked_by, done.prediction) == (candidate.id, "logei", prediction)
    assert done.fidelity == "agl/held.py:Held"
    assert done.attempts == 0
    assert done.seconds is not None
    assert done.finished_at is not None
    assert done.finished_at > running.started_at
    observations = {o.property: o for o in bench.store.observations(quarantined=True)}
    assert set(observations) == {
        "thermal_conductivity",
        "bulk_modulus",
        "debye_temperature",
        "gruneisen_parameter",
    }
    # fcc Cu with EMT: 134 GPa (Jacobsen, Stoltze and Norskov, Surf. Sci. 366, 394 (1996))
    assert observations["bulk_modulus"].value == pytest.approx(134, rel=0.1)
    assert observations["bulk_modulus"].unit == "GPa"
    assert observations["bulk_modulus"].source == f"jobs/{picked.id}"
    assert bench.jobs.poll() == ((), 0)
    with pytest.raises(StateConflictError):
        bench.jobs.collect(picked.id)
    assert bench.events(picked.id) == ["start", "end"]


def test_the_same_question_is_not_asked_twice(bench: Bench, metal: Metal) -> None:
    picked = bench.pick(metal("Cu"))
    assert bench.jobs.pick(metal("Cu"), 1, "initial", None) is None
    twin = bench.add(metal("Cu", id="another candidate, the same crystal"))
    assert bench.jobs.pick(twin, 1, "initial", None) is None
    other = bench.pick(metal("Ni"), order=1)
    assert [c.id for c in bench.store.calculations()] == [picked.id, other.id]


def test_a_lost_job_is_started_again(bench: Bench, metal: Metal) -> None:
    (bench.folder.root / "crashes").write_text("1")
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    done = bench.wait_for(picked.id, CalculationState.DONE)
    assert done.attempts == 1
    assert bench.events(picked.id) == ["start", "start", "end"]


def test_a_job_that_is_lost_again_and_again_fails_with_its_last_words(
    bench: Bench, metal: Metal
) -> None:
    (bench.folder.root / "crashes").write_text("9")
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    failed = bench.wait_for(picked.id, CalculationState.FAILED)
    assert failed.attempts == 2
    assert failed.reason is not None
    assert "no result after 2 attempt(s)" in failed.reason
    assert "exit code 3" in failed.reason
    assert failed.reason.endswith(f"last line of {picked.id}/job.log: out of memory")
    assert failed.finished_at is not None
    assert bench.events(picked.id) == ["start", "start"]
    assert bench.store.observations(quarantined=True) == []


def test_a_job_that_vanished_with_all_its_processes_has_an_end(bench: Bench, metal: Metal) -> None:
    candidate = bench.add(metal("Cu"))
    picked = bench.pick(candidate)
    bench.wait_for(picked.id, CalculationState.RUNNING)
    bench.jobs.cancel_active()
    directory = bench.folder.job(picked.id)
    (directory / "exit.json").unlink()  # as after a power cut
    bench.store.transition(picked.id, CalculationState.CANCELLED, CalculationState.PROPOSED)
    bench.store.transition(picked.id, CalculationState.PROPOSED, CalculationState.SUBMITTED)
    bench.store.transition(
        picked.id, CalculationState.SUBMITTED, CalculationState.RUNNING, attempts=1, started_at=1.0
    )
    assert bench.jobs.poll() == ((picked.id,), 0)
    failed = bench.jobs.collect(picked.id)
    assert failed.state is CalculationState.FAILED
    assert "its processes disappeared" in (failed.reason or "")
    assert failed.finished_at is not None


def test_a_failed_result_keeps_its_reason_and_is_not_repeated(bench: Bench, metal: Metal) -> None:
    (bench.folder.root / "refuse").touch()
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    failed = bench.wait_for(picked.id, CalculationState.FAILED)
    assert failed.reason is not None
    assert "the engine refuses" in failed.reason
    assert failed.finished_at is not None
    assert bench.events(picked.id) == ["start", "end"]


def test_a_damaged_result_is_never_believed(bench: Bench, metal: Metal) -> None:
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not bench.jobs.poll()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    result = bench.folder.job(picked.id) / "result.json"
    result.write_text(result.read_text()[:100])
    failed = bench.jobs.collect(picked.id)
    assert failed.state is CalculationState.FAILED
    assert "is damaged" in (failed.reason or "")
    assert bench.store.observations(quarantined=True) == []


def test_what_was_decided_before_a_kill_is_started_on_resume(bench: Bench, metal: Metal) -> None:
    picked = bench.pick(metal("Cu"))
    bench.jobs.cancel_active()
    # the store as a kill between the decision and the submission leaves it
    bench.store.transition(
        picked.id, CalculationState.CANCELLED, CalculationState.PROPOSED, native_id=None
    )
    bench.jobs = bench.another()
    let_go(bench)
    bench.jobs.resume()
    assert bench.store.calculation(picked.id).state is CalculationState.SUBMITTED
    bench.wait_for(picked.id, CalculationState.DONE)


def test_a_restarted_process_finds_running_jobs_again(bench: Bench, metal: Metal) -> None:
    picked = bench.pick(metal("Cu"))
    bench.wait_for(picked.id, CalculationState.RUNNING)
    bench.jobs = bench.another()
    bench.jobs.resume()
    assert bench.jobs.poll() == ((), 1)
    let_go(bench)
    bench.wait_for(picked.id, CalculationState.DONE)
    assert bench.events(picked.id) == ["start", "end"]


def test_cancelled_jobs_are_started_again_on_resume(bench: Bench, metal: Metal) -> None:
    first = bench.pick(metal("Cu"))
    bench.wait_for(first.id, CalculationState.RUNNING)
    queued = bench.pick(metal("Ni"), order=1)
    bench.jobs.cancel_active()
    assert bench.store.calculations(ACTIVE_STATES) == []
    cancelled = bench.store.calculation(first.id)
    assert cancelled.state is CalculationState.CANCELLED
    assert cancelled.reason == "cancelled by the user"
    assert cancelled.finished_at is not None
    bench.jobs.cancel_active()  # there is nothing left to cancel

    let_go(bench)
    bench.jobs = bench.another()
    bench.jobs.resume()
    for calculation in (first, queued):
        done = bench.wait_for(calculation.id, CalculationState.DONE)
        assert done.reason is None
        assert done.attempts == 0
        assert done.started_at is not None
        assert done.started_at > cancelled.finished_at
        assert bench.events(calculation.id)[-1] == "end"


def test_a_job_that_cannot_be_submitted_fails_with_the_reason(bench: Bench, metal: Metal) -> None:
    bench.folder.slots.parent.mkdir()
    bench.folder.slots.write_text("in the way")
    failed = bench.pick(metal("Cu"))
    assert failed.state is CalculationState.FAILED
    assert "could not be submitted" in (failed.reason or "")
    assert failed.finished_at is not None


def test_failed_calculations_are_computed_again_when_asked_to(
    held_campaign: Path, metal: Metal
) -> None:
    for told in ("go", "refuse"):
        (held_campaign / told).touch()
    bench = Bench(held_campaign)
    try:
        picked = bench.pick(metal("Cu"))
        failed = bench.wait_for(picked.id, CalculationState.FAILED)
        (held_campaign / "refuse").unlink()
        assert retry_failed(bench.folder, bench.store) == 1
        waiting = bench.store.calculation(picked.id)
        assert (waiting.state, waiting.reason, waiting.finished_at) == ("proposed", None, None)
        bench.jobs.resume()
        bench.wait_for(picked.id, CalculationState.DONE)
        kept = bench.folder.job(picked.id) / "result.failed-1.json"
        assert failed.reason is not None
        assert failed.reason in kept.read_text()
        assert retry_failed(bench.folder, bench.store) == 0
    finally:
        bench.jobs.cancel_active()
        bench.store.close()


def test_a_job_that_ended_before_a_stop_is_collected_not_cancelled(
    bench: Bench, metal: Metal
) -> None:
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not bench.jobs.poll()[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    bench.jobs.cancel_active()
    assert bench.store.calculation(picked.id).state is not CalculationState.CANCELLED
    assert bench.jobs.collect(picked.id).state is CalculationState.DONE


def test_a_submission_that_is_refused_once_is_tried_again(
    bench: Bench, metal: Metal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discover.jobs.RESUBMIT_SECONDS", 0.01)
    real, refused = LocalDispatcher.submit, []

    def busy(self: LocalDispatcher, directory: Path) -> str:
        if not refused:
            refused.append(directory)
            raise DispatchError("no process can be started now")
        return real(self, directory)

    monkeypatch.setattr(LocalDispatcher, "submit", busy)
    let_go(bench)
    picked = bench.pick(metal("Cu"))
    assert refused
    bench.wait_for(picked.id, CalculationState.DONE)


class Silent(LocalDispatcher):
    """A dispatcher whose scheduler does not answer until it is asked to."""

    answers = False

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        if self.answers:
            return super().poll(jobs)
        return [JobStatus(JobState.UNKNOWN, reason="the login node is away") for _ in jobs]


@pytest.mark.parametrize("heard_while_it_runs", [True, False])
def test_why_a_job_is_unknown_is_kept_while_it_is(
    bench: Bench, metal: Metal, *, heard_while_it_runs: bool
) -> None:
    dispatcher = Silent(bench.folder.slots, jobs=1)
    bench.jobs = Jobs(bench.folder, bench.spec, bench.store, dispatcher)
    job = bench.pick(metal()).id
    assert bench.wait_for(job, CalculationState.UNKNOWN).reason == "the login node is away"
    if heard_while_it_runs:
        dispatcher.answers = True
        assert bench.wait_for(job, CalculationState.RUNNING).reason is None
    (bench.folder.root / "go").touch()
    while not (bench.folder.job(job) / RESULT).exists():
        time.sleep(0.02)
    dispatcher.answers = True
    assert bench.wait_for(job, CalculationState.DONE).reason is None
