"""Processes are killed at random moments: nothing is lost, nothing is done twice.

The embedded-atom potential stands in for DFT, so that a campaign takes seconds; everything else is
real: the command line, the store, the jobs' processes and, in some runs, Prefect with its server.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from discover.processes import Process

KILLS = ["steering"] * 10 + ["job"] * 6 + ["server"] * 2 + ["steering with server"] * 2
LONGEST_SECONDS = 6.0
CALCULATIONS = 20


def start(folder: Path, environment: dict[str, str], *, dashboard: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "discover", "run", str(folder), "--json"]
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--dashboard" if dashboard else "--no-dashboard"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def ask(folder: Path, *command: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "discover", *command, str(folder), "--json"],
        check=True,
        capture_output=True,
    )
    return json.loads(done.stdout)


def results(folder: Path) -> dict[str, tuple[int, float]]:
    return {row["calculation"]: (row["order"], row["value"]) for row in ask(folder, "results")}


def runs_to_the_end(folder: Path) -> Counter[str]:
    ends: Counter[str] = Counter()
    for history in folder.glob("jobs/*/history.jsonl"):
        for line in history.read_text().splitlines():
            ends[history.parent.name] += json.loads(line)["event"] == "end"
    return ends


def processes_of(folder: Path) -> list[int]:
    """Processes of the campaign's jobs: the job itself and the one beside it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            modules = {b"discover.calculations", b"discover.dispatch.local_job"}
            if modules & set(words) and any(str(folder).encode() in word for word in words):
                found.append(int(process.name))
    return found


def read_server(home: Path) -> Process | None:
    note = home / "server.json"
    return Process.parse(json.loads(note.read_text())["process"]) if note.exists() else None


def kill(target: str, steering: subprocess.Popen[bytes], folder: Path, home: Path) -> str:
    if target == "job":
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and steering.poll() is None:
            for victim in processes_of(folder)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    return target
            time.sleep(0.01)
    if target == "server" and (server := read_server(home)) is not None and server.is_alive:
        server.send_to_group(signal.SIGKILL)
        return target
    steering.kill()
    return "steering"


@pytest.mark.slow
def test_random_kills_change_nothing(
    quick_campaign: Path, tmp_path: Path, service_environment: dict[str, str]
) -> None:
    random.seed(20)
    spec = quick_campaign / "campaign.yaml"
    text = spec.read_text().replace("elements: [", "elements: [Al, Pt, Au, ")
    spec.write_text(text.replace("calculations: 10", f"calculations: {CALCULATIONS}"))
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(quick_campaign, undisturbed)
    assert start(undisturbed, service_environment, dashboard=False).wait(300) == 0

    killed: Counter[str] = Counter()
    home = Path(service_environment["DISCOVER_HOME"])
    try:
        for target in random.sample(KILLS, len(KILLS)):
            steering = start(quick_campaign, service_environment, dashboard="server" in target)
            deadline = time.monotonic() + random.uniform(0.5, LONGEST_SECONDS)
            while steering.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if steering.poll() is None:
                killed[kill(target, steering, quick_campaign, home)] += 1
            if steering.poll() is None:
                time.sleep(random.uniform(0.0, 2.0))
                steering.kill()
            steering.wait(60)
        last = start(quick_campaign, service_environment, dashboard=True)
        assert last.wait(300) == 0, (quick_campaign / "run.log").read_text()[-3000:]
    finally:
        subprocess.run(
            [sys.executable, "-m", "discover", "down"], env=service_environment, check=False
        )

    assert results(quick_campaign) == results(undisturbed)
    counts = ask(quick_campaign, "status")["calculations"]
    assert counts == ask(undisturbed, "status")["calculations"]
    assert counts["done"] + counts["failed"] == CALCULATIONS
    assert set(runs_to_the_end(quick_campaign).values()) == {1}
    assert not processes_of(quick_campaign)
    assert killed["job"] >= 1
    assert killed["server"] >= 1
    assert sum(killed.values()) >= 18, killed  # the last ones may find the campaign at its end
