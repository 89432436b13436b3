"""A Prefect server of the tests' own, started by the commands and asked by REST."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.processes import Process

DEADLINE_SECONDS = 120.0


@dataclass(frozen=True)
class Command:
    """Commands in an environment whose server is not the user's."""

    environment: dict[str, str]

    @property
    def home(self) -> Path:
        return Path(self.environment["DISCOVER_HOME"])

    def start(self, *words: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, words)],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: object, code: int = 0, **environment: str) -> str:
        started = self.start(*words, **environment)
        told, _ = started.communicate(timeout=DEADLINE_SECONDS)
        assert started.returncode == code, told
        return told

    def daemon(self, name: str) -> tuple[Process, str]:
        """Process and API address of the server or the service."""
        note = json.loads((self.home / f"{name}.json").read_text())
        process = Process.parse(note["process"])
        assert process is not None
        return process, note["url"]


@dataclass(frozen=True)
class Prefect:
    """A Prefect server's REST interface."""

    url: str

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}{path}", data, {"content-type": "application/json"}
        )
        for _ in range(10):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != BUSY:
                    raise
            time.sleep(1)
        raise AssertionError(f"{path}: the server's database stays locked")

    def refusal(self, path: str, body: Any) -> tuple[int, str]:
        """Status and detail of a request that must not succeed."""
        with pytest.raises(urllib.error.HTTPError) as error:
            self.ask(path, body)
        return error.value.code, json.load(error.value)["detail"]

    def flow_runs(self, name: str) -> list[Any]:
        found: list[Any] = self.ask(
            "/flow_runs/filter",
            {"flow_runs": {"name": {"any_": [name]}}, "sort": "START_TIME_ASC"},
        )
        return found

    def task_runs(self, flow_run: Any) -> list[Any]:
        """Task runs of a flow run; they reach the server some time after they ended."""
        only = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
        found: list[Any] = _wait_until(
            lambda: _all_final(self.ask("/task_runs/filter", only)), "task runs that ended"
        )
        return found

    def artifacts(self, flow_run: Any) -> list[Any]:
        found: list[Any] = self.ask(
            "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [flow_run["id"]]}}}
        )
        return found

    def ended(self, flow_run_id: str) -> Any:
        """The state in which a flow run ends."""

        def state() -> Any:
            present = self.ask(f"/flow_runs/{flow_run_id}")["state"]
            return present if present["type"] in FINAL else None

        return _wait_until(state, f"end of flow run {flow_run_id}")


BUSY = 503
"""Prefect's answer while its SQLite file is locked; every client is to ask again."""
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}


def _all_final(task_runs: list[Any]) -> list[Any] | None:
    final = task_runs and all(run["state_type"] in FINAL for run in task_runs)
    return task_runs if final else None


def _wait_until(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for: {what}")


@pytest.fixture(scope="session")
def processes_of_session() -> Callable[[int], list[Path]]:
    """Entries in /proc of the living processes whose session has this leader."""

    def find(leader: int) -> list[Path]:
        found = []
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if process.name.isdecimal() and os.getsid(int(process.name)) == leader:
                    found.append(process)
        return [process for process in found if Process.of(int(process.name)).is_alive]

    return find


@pytest.fixture(scope="session")
def listening(processes_of_session: Callable[[int], list[Path]]) -> Callable[[int], set[str]]:
    """Addresses, as in /proc/net/tcp, on which the processes of a session listen."""

    def find(leader: int) -> set[str]:
        inodes: set[str] = set()
        for process in processes_of_session(leader):
            for handle in (process / "fd").iterdir():
                with suppress(OSError):
                    inodes.add(str(handle.readlink()))
        addresses = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:  # 0A: it listens
                    addresses.add(fields[1].split(":")[0])
        return addresses

    return find


@pytest.fixture(scope="session")
def command(service_environment: dict[str, str]) -> Iterator[Command]:
    """Commands in the tests' own environment; what they started in the background is ended."""
    made = Command(service_environment)
    yield made
    made.run("discover", "down")


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], Any], str], Any]:
    """What a function finds, as soon as it finds something; AssertionError after a long time."""
    return _wait_until


@pytest.fixture(scope="session")
def prefect_at() -> type[Prefect]:
    """The server at an API address."""
    return Prefect


@pytest.fixture(scope="session")
def quick_spec(finished_run: Any) -> str:
    """Text of the quick campaign's file."""
    text: str = (finished_run.folder / "campaign.yaml").read_text()
    return text


@pytest.fixture
def quick(tmp_path: Path, quick_spec: str) -> Callable[..., Path]:
    """A quick campaign of a name, with changes to the keys of its file."""

    def make(name: str, **changes: Any) -> Path:
        spec = yaml.safe_load(quick_spec)
        folder = tmp_path / name
        folder.mkdir()
        for key, value in {"name": name, **changes}.items():
            spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
        (folder / "campaign.yaml").write_text(yaml.safe_dump(spec))
        return folder

    return make
