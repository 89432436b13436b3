"""Prefect's server: found where one answers, else started in the background, on loopback and quiet."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from discover.errors import MissingDependencyError, ServerError
from discover.files import write_atomically
from discover.home import home
from discover.processes import Process

HOST = "127.0.0.1"
PREFECT_PORT = 4200
START_SECONDS = 90.0

WATCH_SECONDS = 2.0
SERVER = (sys.executable, "-m", "prefect", "server", "start", "--host", HOST)

QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
}
FAST_INGESTION = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
}


@dataclass(frozen=True)
class Daemon:
    """A background process of ours and the API address that it serves or uses."""

    process: Process
    url: str


def default_port() -> int:
    """Port of the dashboard: `DISCOVER_DASHBOARD_PORT` (ServerError for no port), or Prefect's own."""
    chosen = os.environ.get("DISCOVER_DASHBOARD_PORT") or str(PREFECT_PORT)
    if not chosen.isdecimal() or not 0 < int(chosen) < 2**16:
        raise ServerError(
            f"DISCOVER_DASHBOARD_PORT is {chosen!r}: give a port from 1 to 65535, or unset it"
        )
    return int(chosen)


def ensure_server() -> str:
    """API address of a server that answers, started where none does; sets `PREFECT_API_URL`.

    Call before Prefect is imported. Raises ServerError where `PREFECT_API_URL` is set and does not
    answer (a server that a user chose is never replaced in silence), or the start fails, and
    MissingDependencyError where Prefect is not installed.
    """
    if importlib.util.find_spec("prefect") is None:
        raise MissingDependencyError(
            "the dashboard needs Prefect, which is not installed: pip install "
            "'discover-materials[dashboard]', or `discover run --no-dashboard`"
        )
    chosen = os.environ.get("PREFECT_API_URL")
    if chosen:
        if not answers(chosen):
            raise ServerError(
                f"PREFECT_API_URL is {chosen}, but no Prefect server answers there; start it, unset "
                "the variable, or run with --no-dashboard"
            )
        return chosen
    url = running_server() or _start_server()
    os.environ["PREFECT_API_URL"] = url
    return url


def running_server() -> str | None:
    """API address of our own server or of one on the default port; None where none answers."""
    noted = read_daemon("server")
    urls = [noted.url] if noted and noted.process.is_alive else []
    for url in (*urls, _api_url(default_port())):
        if answers(url):
            return url
    return None


def answers(api_url: str) -> bool:
    """Whether a Prefect server answers at this address."""
    try:
        with urllib.request.urlopen(f"{api_url}/health", timeout=3) as response:  # noqa: S310
            return bool(response.read().strip() == b"true")
    except (OSError, urllib.error.URLError, ValueError):
        return False


def dashboard_url(api_url: str) -> str:
    """The dashboard that belongs to an API address."""
    return api_url.removesuffix("/api")


def start_daemon(name: str, command: list[str], url: str, extra: Mapping[str, str]) -> Daemon:
    """Start a background process that outlives this one; its log is `<home>/<name>.log`."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **QUIET, **extra},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=home(),
        )
    daemon = Daemon(Process.of(process.pid), url)
    content = json.dumps({"process": str(daemon.process), "url": url})
    write_atomically(home() / f"{name}.json", content)
    return daemon


def read_daemon(name: str) -> Daemon | None:
    """What was noted of a background process, None where there is no readable note."""
    try:
        note = json.loads((home() / f"{name}.json").read_text(encoding="utf-8"))
        process = Process.parse(str(note["process"]))
        return Daemon(process, note["url"]) if process else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def stop_daemon(name: str, patience_seconds: float = 15.0) -> bool:
    """End a background process of ours with its children; False where it was not running."""
    daemon = read_daemon(name)
    (home() / f"{name}.json").unlink(missing_ok=True)
    if daemon is None or not daemon.process.is_alive:
        return False
    daemon.process.send_to_group(signal.SIGTERM)
    if not _ends(daemon.process, patience_seconds):
        daemon.process.send_to_group(signal.SIGKILL)
        _ends(daemon.process, patience_seconds)
    return True


def log_tail(name: str, lines: int = 5) -> str:
    """Last lines of a background process's log."""
    try:
        text = (home() / f"{name}.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def kept_alive() -> Iterator[None]:
    """While the block runs, start our own server again, at its address, where it was killed.

    The campaign never needs the server, but Prefect's client slows it down while none answers.
    """
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            noted = read_daemon("server")
            if noted is not None and not noted.process.is_alive:
                with suppress(ServerError):
                    _start_server(urlsplit(noted.url).port)

    watcher = threading.Thread(target=watch, daemon=True, name="server-keeper")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(WATCH_SECONDS)


def _start_server(port: int | None = None) -> str:
    """Start a server on a port (a free one by default) and wait until it answers; one at a time."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = running_server()
        if present is not None:
            return present
        if port is None:
            port = default_port() if _is_free(default_port()) else _free_port()
        url = _api_url(port)
        server = start_daemon("server", [*SERVER, "--port", str(port)], url, _server_env(port))
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if answers(url):
                return url
            time.sleep(0.2)
            if not server.process.is_alive:
                break
        stop_daemon("server")
    raise ServerError(
        f"Prefect's server did not start; the end of {home() / 'server.log'}:\n{log_tail('server')}\n"
        "run with --no-dashboard to do without"
    )


def _server_env(port: int) -> dict[str, str]:
    url = _api_url(port)
    return {
        **FAST_INGESTION,
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": url,
        "PREFECT_API_URL": url,
    }


def _ends(process: Process, seconds: float) -> bool:
    """Whether a process is gone within this time."""
    deadline = time.monotonic() + seconds
    while process.is_alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _api_url(port: int) -> str:
    return f"http://{HOST}:{port}/api"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
