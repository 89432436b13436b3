"""When a service that asks for nothing is ended: against processes and a server of the test's own."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from discover.processes import Process
from flows.polling import Polling
from flows.server import Daemon, note_daemon

SILENT_SECONDS = 0.5


class Server(ThreadingHTTPServer):
    """Answers as Prefect's server does, or not at all."""

    polled: str | None = "2026-01-01T00:00:00Z"
    answers = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = (
            True
            if self.path.endswith("/health")
            else {"id": "1", "last_polled": self.server.polled}
        )
        self.send_response(200 if self.server.answers else 500)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))
    with Server(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def service(server: Server) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        note_daemon("service", Daemon(Process.of(process.pid), server.url))
        yield process
        process.kill()


def looked_at(polling: Polling, seconds: float, server: Server, polls: bool = False) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if polls:
            server.polled = str(time.monotonic())
        polling.look()
        time.sleep(0.02)


def test_one_that_asks_lives_and_one_that_does_not_is_killed(
    server: Server, service: subprocess.Popen[bytes]
) -> None:
    told: list[str] = []
    polling = Polling(told.append, SILENT_SECONDS)
    looked_at(polling, 3 * SILENT_SECONDS, server, polls=True)
    assert (service.poll(), told) == (None, [])
    looked_at(polling, 0.6 * SILENT_SECONDS, server)
    assert service.poll() is None
    looked_at(polling, SILENT_SECONDS, server)
    assert service.wait(timeout=5) == -9
    assert len(told) == 1


def test_silence_counts_only_while_the_server_answers(
    server: Server, service: subprocess.Popen[bytes]
) -> None:
    polling = Polling(print, SILENT_SECONDS)
    for _ in range(4):
        looked_at(polling, 0.6 * SILENT_SECONDS, server)
        server.answers = False
        polling.look()
        server.answers = True
    assert service.poll() is None


def test_one_that_has_not_asked_yet_gets_twice_the_time_after_each_kill(server: Server) -> None:
    told: list[float] = []
    polling = Polling(lambda _: told.append(time.monotonic()), SILENT_SECONDS)
    began = []
    for _ in range(2):
        with subprocess.Popen(["sleep", "60"]) as process:
            note_daemon("service", Daemon(Process.of(process.pid), server.url))
            began.append(time.monotonic())
            while process.poll() is None:
                polling.look()
                time.sleep(0.02)
    first, second = (end - start for start, end in zip(began, told, strict=True))
    assert SILENT_SECONDS <= first < 2 * SILENT_SECONDS <= second
