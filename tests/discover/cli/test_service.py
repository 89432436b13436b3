"""`discover up` and `down` around the campaign page; with Prefect they are tried in tests/flows."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from discover.processes import Process, process_ticks

Discover = Callable[..., Any]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, discover: Discover) -> Iterator[Path]:
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DISCOVER_PAGE_PORT", str(free_port()))
    for name in ("DISCOVER_TOKEN", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path / "home"
    discover("down")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def status(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def note(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "page.json").read_text())
    return found


@pytest.mark.slow
def test_the_page_is_served_with_a_token_beyond_loopback_and_ended(
    discover: Discover, own_home: Path, quick_campaign: Path
) -> None:
    up = ("up", "--no-dashboard")
    told = discover(*up, quick_campaign)
    assert told.code == 0, told.err
    local = note(own_home)
    assert f"page:       {local['url']}\n" in told.out
    assert "token" not in told.out
    (shown,) = json.load(urllib.request.urlopen(f"{local['url']}/api/campaigns"))
    assert shown["folder"] == str(quick_campaign)
    assert discover(*up, quick_campaign).code == 0
    assert note(own_home) == local  # what serves just this is left alone

    told = discover(*up, quick_campaign, "--host", "0.0.0.0")
    assert told.code == 0, told.err
    token = re.search(r"^token: +(\S+) ", told.out, re.MULTILINE)
    assert token
    assert stat.S_IMODE((own_home / "token").stat().st_mode) == 0o600
    remote = note(own_home)
    assert remote["process"] != local["process"]
    assert status(f"{remote['url']}/api/campaigns") == 401
    bearer = f"Bearer {token[1]}"
    assert status(f"{remote['url']}/api/campaigns", authorization=bearer) == 200
    assert token[1] not in Path(f"/proc/{remote['process'].split(':')[0]}/cmdline").read_text()

    assert "page: ended" in discover("down").out
    assert "page: was not running" in discover("down").out


@pytest.mark.slow
def test_a_page_that_is_killed_comes_back_until_down(discover: Discover, own_home: Path) -> None:
    assert discover("up", "--no-dashboard").code == 0
    first = note(own_home)
    os.kill(int(first["process"].split(":")[0]), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            if note(own_home)["process"] != first["process"] and status(f"{first['url']}/health"):
                break
        time.sleep(0.1)
    assert note(own_home)["url"] == first["url"]
    assert status(f"{first['url']}/health") == 200
    keeper = Process.parse(json.loads((own_home / "keeper.json").read_text())["process"])
    assert keeper is not None
    assert process_ticks(keeper.pid) == keeper.ticks
    assert "page: ended" in discover("down").out
    assert process_ticks(keeper.pid) != keeper.ticks
    assert not (own_home / "page.json").exists()


def test_the_cap_of_local_jobs_is_kept_and_lifted(discover: Discover, own_home: Path) -> None:
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    for jobs, kept in (("3", "3\n"), ("0", None)):
        told = discover("up", "--no-dashboard", "--port", port, "--jobs", jobs)
        assert told.code == 2
        assert f"port {port} is taken" in told.err
        file = own_home / "local-jobs"
        assert (file.read_text() if file.exists() else None) == kept
    taken.close()


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        (("--host", "203.0.113.7"), {}, "no address of this machine"),
        ((), {"DISCOVER_PAGE_PORT": "x"}, "DISCOVER_PAGE_PORT is 'x'"),
        (("--host", "0.0.0.0"), {"DISCOVER_TOKEN": "short"}, "DISCOVER_TOKEN"),
        ((), {"DISCOVER_TOKEN": "short"}, "at least 16"),
    ],
)
def test_what_cannot_be_served_is_told_before_anything_starts(
    words: tuple[str, ...],
    variables: dict[str, str],
    message: str,
    discover: Discover,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = discover("up", "--no-dashboard", *words)
    assert told.code == 2
    assert message in told.err
    assert not (own_home / "page.json").exists()
