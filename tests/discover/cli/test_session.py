"""A campaign's process: how it is stopped, by whom, and how it goes on afterwards."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from discover.files import JsonLines
from discover.folder import CampaignFolder
from discover.jobs import Jobs
from discover.records import ACTIVE_STATES, CalculationState

Discover = Callable[..., Any]
DEADLINE_SECONDS = 120.0


class Session:
    """`discover run` in a process of its own, on a campaign whose jobs wait to be let go."""

    def __init__(self, root: Path) -> None:
        self.folder = CampaignFolder.at(root)
        self.spec = self.folder.load()
        self.store = self.folder.open_store(self.spec)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "discover", "run", str(root), "--no-dashboard"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if self.process.poll() is not None and time.monotonic() < deadline:
                deadline = time.monotonic() + 1.0  # it may have been the last thing that it did
            assert time.monotonic() < deadline, f"never: {what}\n{self.process.communicate()}"
            time.sleep(0.02)

    def counts(self) -> dict[str, int]:
        calculations = self.store.calculations()
        counts = {state.value: 0 for state in CalculationState}
        for calculation in calculations:
            counts[calculation.state.value] += 1
        return counts

    def wait_for_a_job(self) -> None:
        self.wait_until(lambda: self.counts()["running"], "a job is running")

    def let_go(self) -> None:
        (self.folder.root / "go").touch()

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, out, err

    def events(self) -> list[list[Any]]:
        return sorted(
            [line["event"] for line in JsonLines(path).read()]
            for path in self.folder.root.glob("jobs/*/history.jsonl")
        )


@pytest.fixture
def session(held_campaign: Path) -> Iterator[Session]:
    started = Session(held_campaign)
    try:
        started.wait_for_a_job()
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate()
        from discover.dispatch.local import LocalDispatcher

        dispatcher = LocalDispatcher(started.folder.slots)
        Jobs(started.folder, started.spec, started.store, dispatcher).cancel_active()
        started.store.close()


def resume_to_the_end(session: Session, discover: Discover) -> dict[str, Any]:
    answer = discover("resume", session.folder.root, "--no-dashboard", "--json")
    assert answer.code == 0
    told: dict[str, Any] = json.loads(answer.out)
    assert told["state"] == "finished"
    assert told["reason"] == "budget: 2 calculations"
    assert told["calculations"]["done"] == 2
    return told


def status(session: Session, discover: Discover) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(discover("status", session.folder.root, "--json").out)
    return told


def test_ctrl_c_stops_after_the_running_jobs(session: Session, discover: Discover) -> None:
    assert status(session, discover)["state"] == "running"
    second = discover("run", session.folder.root, "--no-dashboard")
    assert second.code == 2
    (line,) = second.err.splitlines()
    assert f"process {session.process.pid} on" in line
    assert "already steers this campaign" in line

    session.process.send_signal(signal.SIGINT)
    session.wait_until(lambda: session.store.value("stop"), "the stop is noted")
    assert session.counts()["running"] == 1
    session.let_go()
    code, out, err = session.end()
    assert code == 0, err
    assert err == ""
    assert "stopping after the running jobs" in out
    assert out.splitlines()[-1].startswith("stopped by the user: 1 calculations done in")
    told = status(session, discover)
    assert told["state"] == "stopped"
    assert told["reason"] == "stopped by the user"
    assert told["calculations"]["done"] == 1
    assert sum(told["calculations"].values()) == 1

    resume_to_the_end(session, discover)
    assert session.events() == [["start", "end"]] * 2


def test_the_second_signal_ends_at_once_and_the_jobs_go_on(
    session: Session, discover: Discover
) -> None:
    session.process.send_signal(signal.SIGTERM)
    session.wait_until(lambda: session.store.value("stop"), "the stop is noted")
    session.process.send_signal(signal.SIGTERM)
    code, _, err = session.end()
    assert code not in {0, 2}, err
    assert "Traceback" not in err
    assert session.counts()["running"] == 1
    assert session.store.lease() is None
    assert status(session, discover)["state"] == "interrupted"

    session.let_go()
    resume_to_the_end(session, discover)
    assert session.events() == [["start", "end"]] * 2


def test_another_process_asks_for_a_stop(session: Session, discover: Discover) -> None:
    answer = discover("stop", session.folder.root)
    assert (answer.code, answer.out) == (0, "asked to stop after the running jobs\n")
    assert session.counts()["running"] == 1
    session.let_go()
    code, out, err = session.end()
    assert code == 0, err
    assert out.splitlines()[-1].startswith("stopped by the user: 1 calculations done in")
    assert session.counts()["done"] == 1
    assert not session.store.calculations(ACTIVE_STATES)


def test_stop_now_cancels_the_running_jobs(session: Session, discover: Discover) -> None:
    answer = discover("stop", session.folder.root, "--now")
    assert (answer.code, answer.out) == (0, "asked to stop; running jobs are cancelled\n")
    code, out, err = session.end()
    assert code == 0, err
    assert out.splitlines()[-1].startswith("stopped by the user: 0 calculations done in")
    told = status(session, discover)
    assert told["state"] == "stopped"
    assert told["calculations"]["cancelled"] == 1
    assert sum(told["calculations"].values()) == 1

    session.let_go()
    resume_to_the_end(session, discover)
    # what was cancelled may have begun before, but only once did a job run to its end
    assert all(events[-1] == "end" and events.count("end") == 1 for events in session.events())
    assert len(session.events()) == 2


def test_a_campaign_whose_engine_always_fails_ends_with_its_failure_budget(
    held_campaign: Path, discover: Discover
) -> None:
    (held_campaign / "go").touch()
    (held_campaign / "refuse").touch()
    spec = held_campaign / "campaign.yaml"
    text = spec.read_text().replace("failures_in_a_row: 50", "failures_in_a_row: 2")
    spec.write_text(text.replace("calculations: 2", "calculations: 9"))
    answer = discover("run", held_campaign, "--no-dashboard")
    assert answer.code == 1
    assert answer.out.count("failed: the engine refuses") == 2
    assert answer.out.splitlines()[-1].startswith("failure budget: 2 calculations failed in a row")
    told = json.loads(discover("status", held_campaign, "--json").out)
    assert told["calculations"]["failed"] == 2
