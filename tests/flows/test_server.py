"""The server behind the dashboard: found, started once, on loopback, and never in the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from discover.errors import MissingDependencyError, ServerError
from discover.processes import Process
from flows import server

ENSURE = "import flows.server; print(flows.server.ensure_server())"


LOOPBACK = "0100007F"
"""127.0.0.1 as in /proc/net/tcp."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return tmp_path / "home"


class _SomethingElse(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"Hello, I am no Prefect server.")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which something answers that is not Prefect."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _SomethingElse) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield other.server_port
        other.shutdown()


@pytest.mark.slow
def test_two_commands_start_one_server_beside_something_else(
    taken_port: int,
    own_home: Path,
    listening: Callable[[int], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISCOVER_DASHBOARD_PORT", str(taken_port))
    both = [
        subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        urls = {process.communicate(timeout=120)[0].strip() for process in both}
        (url,) = urls
        assert server.answers(url)
        assert f":{taken_port}/" not in url
        noted = server.read_daemon("server")
        assert noted is not None
        assert noted.url == url
        assert listening(noted.process.pid) == {LOOPBACK}
        log = (own_home / "server.log").read_text()
        assert log.count("Check out the dashboard") == 1
        assert server.running_server() == url
    finally:
        assert server.stop_daemon("server")
    assert not server.answers(url)
    assert not noted.process.is_alive
    assert not server.stop_daemon("server")


def test_a_server_that_the_user_chose_and_that_is_dead_is_an_error(
    quick_campaign: Path, own_home: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    done = subprocess.run(
        [sys.executable, "-m", "discover", "run", str(quick_campaign)],
        env={**os.environ, "PREFECT_API_URL": dead},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"PREFECT_API_URL is {dead}, but no Prefect server answers there" in done.stderr
    assert "--no-dashboard" in done.stderr
    assert not (own_home / "server.json").exists()
    assert not list(quick_campaign.glob("jobs/*/input.json"))


def test_something_else_is_no_server(taken_port: int) -> None:
    assert not server.answers(f"http://127.0.0.1:{taken_port}/api")
    assert not server.answers("nonsense")


def test_a_server_that_does_not_start_is_told_with_its_log(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "SERVER", (sys.executable, "-c", "exit('no room in here')"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("DISCOVER_DASHBOARD_PORT", str(probe.getsockname()[1]))
    with pytest.raises(ServerError, match="no room in here"):
        server.ensure_server()
    assert "PREFECT_API_URL" not in os.environ
    assert server.read_daemon("server") is None


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "4.2"])
def test_a_port_that_is_none_is_an_error_that_names_the_variable(
    port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVER_DASHBOARD_PORT", port)
    with pytest.raises(ServerError, match=f"DISCOVER_DASHBOARD_PORT is '{port}'"):
        server.ensure_server()


def test_without_prefect_the_extra_is_named_and_nothing_started(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prefect", None)  # Python's own way to make an import fail
    with pytest.raises(MissingDependencyError, match=r"discover-materials\[dashboard\]"):
        server.ensure_server()
    assert not own_home.exists()


def test_a_daemon_is_ended_with_its_children(
    processes_of_session: Callable[[int], list[Path]],
) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    started = server.start_daemon("thing", [sys.executable, "-c", child], "http://x/api", {})
    assert server.read_daemon("thing") == started
    assert os.getsid(started.process.pid) == started.process.pid
    while len(processes_of_session(started.process.pid)) < 2:
        assert started.process.is_alive
    assert server.stop_daemon("thing")
    assert not processes_of_session(started.process.pid)
    assert server.read_daemon("thing") is None


def test_a_daemon_that_ignores_sigterm_is_killed() -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)"
    )
    started = server.start_daemon("deaf", [sys.executable, "-c", deaf], "http://x/api", {})
    while "deaf" not in server.log_tail("deaf"):
        assert started.process.is_alive
    assert server.stop_daemon("deaf", patience_seconds=0.5)
    assert not started.process.is_alive


START = """
import os, sys
from flows import server
server.NOTE_SECONDS = 60.0

def read(name):  # asked for while the daemon starts: the first answer is the last thing this process does
    os.kill(os.getpid(), 9)
server.read_daemon = read
server.start_daemon("thing", [sys.executable, "-c", "input()"], "http://x/api", {})
"""


def test_a_daemon_notes_itself_though_its_starter_is_killed(
    own_home: Path, wait_until: Callable[[Callable[[], Any], str], Any]
) -> None:
    killed = subprocess.run([sys.executable, "-c", START], check=False)
    assert killed.returncode == -signal.SIGKILL
    noted = wait_until(lambda: server.read_daemon("thing"), "the note")
    assert noted.url == "http://x/api"
    assert noted.command == (sys.executable, "-c", "input()")
    assert server.stop_daemon("thing") or not noted.process.is_alive  # its input has ended
    assert server.read_daemon("thing") is None


def test_a_daemon_that_cannot_be_run_has_ended(
    wait_until: Callable[[Callable[[], Any], str], Any],
) -> None:
    started = server.start_daemon("thing", ["/no/such/program"], "http://x/api", {})
    wait_until(lambda: not started.process.is_alive, "its end")
    assert "No such file" in server.log_tail("thing")


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_what_is_no_address_of_this_machine_is_told(host: str) -> None:
    with pytest.raises(ServerError, match="no address of this machine"):
        server.is_free(4200, host)
    with pytest.raises(ServerError, match="no address of this machine"):
        server.free_port(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:42"),
        ("0.0.0.0", "http://127.0.0.1:42"),
        ("::", "http://[::1]:42"),
        ("node7", "http://node7:42"),
    ],
)
def test_addresses_under_which_this_machine_asks(host: str, expected: str) -> None:
    assert server.address(host, 42) == expected


@pytest.mark.parametrize("note", ["", "{", "[]", '{"process": 3}', '{"process": "x", "url": "y"}'])
def test_a_damaged_note_is_no_daemon(note: str, own_home: Path) -> None:
    own_home.mkdir()
    (own_home / "server.json").write_text(note)
    assert server.read_daemon("server") is None
    assert not server.stop_daemon("server")


def test_a_pid_that_is_used_again_is_not_signalled(own_home: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        ticks = Process.of(bystander.pid).ticks
        assert ticks is not None
        own_home.mkdir()
        (own_home / "server.json").write_text(
            f'{{"process": "{bystander.pid}:{ticks - 1}", "url": "http://x/api"}}'
        )
        assert not server.stop_daemon("server")
        assert bystander.poll() is None
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.communicate()
