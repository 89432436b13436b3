"""A campaign in a real Prefect dashboard: what is shown, and what becomes of it after kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

pytestmark = pytest.mark.slow

PICKY_ENGINE = '''
"""An engine that does not converge for copper oxides."""

from discover.calculations.engines import PotentialEngine
from discover.errors import CalculationError


class Picky(PotentialEngine):
    def calculator(self, atoms, directory):
        if {"Cu", "O"} <= set(atoms.symbols):
            raise CalculationError("no convergence")
        return super().calculator(atoms, directory)
'''
STEPS = {"propose", "relax", "train", "select", "calculate", "collect"}


class Shown(NamedTuple):
    """A campaign that was killed early and resumed, and where it is shown."""

    folder: Path
    prefect: Any
    killed: dict[str, Any]
    ended: dict[str, Any]


def wait_for_line(process: subprocess.Popen[str], what: str) -> None:
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if what in line:
            return
    raise AssertionError("".join(told))


@pytest.fixture(scope="module")
def shown(command: Any, prefect_at: Any, tmp_path_factory: Any, quick_spec: str) -> Shown:
    folder = tmp_path_factory.mktemp("shown")
    spec = yaml.safe_load(quick_spec)
    spec["name"] = "Shown.1"
    spec["calculation"] |= {
        "engine": "picky.py:Picky",
        "engine_settings": {"potential": "emt"},
    }
    spec["budget"]["calculations"] = 6
    (folder / "picky.py").write_text(PICKY_ENGINE)
    (folder / "campaign.yaml").write_text(yaml.safe_dump(spec))

    first = command.start("discover", "run", folder)
    try:
        wait_for_line(first, "started")
    finally:
        first.kill()
        first.communicate()
    told = command.run("discover", "run", folder)
    assert "this run: http://127.0.0.1:" in told
    prefect = prefect_at(command.daemon("server")[1])
    killed, ended = prefect.flow_runs("Shown.1")
    return Shown(folder, prefect, killed, ended)


def test_the_flow_run_ends_with_the_reason_of_the_stop(shown: Shown) -> None:
    assert shown.ended["state"]["type"] == "COMPLETED"
    assert shown.ended["state"]["message"] == "budget: 6 calculations"
    assert shown.ended["parameters"] == {"name": "Shown.1", "directory": str(shown.folder)}


def test_a_flow_run_whose_process_was_killed_is_closed_by_the_next(shown: Shown) -> None:
    assert shown.killed["state"]["type"] == "CRASHED"
    assert "killed" in shown.killed["state"]["message"]


def test_tasks_read_like_the_campaign(shown: Shown) -> None:
    runs = shown.prefect.task_runs(shown.ended)
    assert {run["task_key"].rsplit("-", 1)[0] for run in runs} == STEPS
    names = Counter(run["name"] for run in runs)
    assert names["propose 3"] >= 1
    assert names["relax 3"] >= 1
    assert names["train on 3"] == 1
    assert all(run["name"].split()[0] in STEPS for run in runs)


def test_calculations_end_as_their_jobs(command: Any, shown: Shown) -> None:
    told = {
        run["name"]: (run["state_type"], run["state"]["message"])
        for run in shown.prefect.task_runs(shown.ended)
        if run["name"].startswith("calculate ")
    }
    assert len(told) in {5, 6}  # the first may have ended before the campaign was resumed
    for name, (state, message) in told.items():
        if name.startswith("calculate CuO "):
            assert state == "FAILED"
            assert "no convergence" in message
        else:
            assert state == "COMPLETED", message
    assert {state for state, _ in told.values()} == {"COMPLETED", "FAILED"}
    counts = json.loads(command.run("discover", "status", shown.folder, "--json"))["calculations"]
    assert counts["failed"] >= 1
    assert counts["done"] + counts["failed"] == 6


def test_report_and_progress_are_shown(shown: Shown) -> None:
    artifacts = {artifact["key"]: artifact for artifact in shown.prefect.artifacts(shown.ended)}
    assert set(artifacts) == {"shown-1-report", "shown-1-progress"}
    assert artifacts["shown-1-progress"]["data"] == 100
    report = artifacts["shown-1-report"]["data"]
    assert "| # | compound | structure |" in report
    assert "| 1 | " in report
    assert "![The search so far](data:image/png;base64," in report
    assert "Ended: budget: 6 calculations." in report
    assert "failed" in report


def test_the_log_is_what_the_terminal_shows_and_nothing_else(shown: Shown) -> None:
    logs = shown.prefect.ask(
        "/logs/filter",
        {"logs": {"flow_run_id": {"any_": [shown.ended["id"]]}}, "sort": "TIMESTAMP_ASC"},
    )
    assert {(line["name"], line["level"]) for line in logs} == {("prefect.flow_runs", 20)}
    messages = [line["message"] for line in logs]
    assert any(message.startswith("trained gp on 3 observations") for message in messages)
    assert any(": failed: " in message for message in messages)


def test_the_page_of_the_flow_run(shown: Shown, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed: the page is not looked at")
    page = shown.prefect.url.removesuffix("/api") + f"/runs/flow-run/{shown.ended['id']}"
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync "
        "--virtual-time-budget=20000 --dump-dom"
    )
    done = subprocess.run(
        [chromium, *flags.split(), f"--user-data-dir={tmp_path}", page],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "Shown.1" in done.stdout
    assert "Completed" in done.stdout
    assert "Cannot reach" not in done.stdout


def test_a_server_killed_in_the_middle_changes_nothing(
    command: Any, prefect_at: Any, quick: Any, finished_run: Any
) -> None:
    folder = quick("kept-alive", budget={"calculations": 6})
    running = command.start("discover", "run", folder)
    wait_for_line(running, "W/m/K")
    process, url = command.daemon("server")
    os.killpg(process.pid, signal.SIGKILL)
    told, _ = running.communicate(timeout=240)
    assert running.returncode == 0, told
    another, same_url = command.daemon("server")
    assert another != process
    assert another.is_alive
    assert same_url == url

    def results(campaign: Path) -> list[Any]:
        rows = json.loads(command.run("discover", "results", campaign, "--json"))
        return [{key: row[key] for key in row if key != "seconds"} for row in rows]

    assert results(folder) == results(finished_run.folder)
    (flow_run,) = prefect_at(url).flow_runs("kept-alive")
    assert flow_run["state"]["type"] == "COMPLETED"
    started = time.time()
    command.run("discover", "run", folder)  # nothing is left to do, and nothing is done
    assert results(folder) == results(finished_run.folder)
    assert not [job for job in folder.glob("jobs/*/started.json") if job.stat().st_mtime > started]
