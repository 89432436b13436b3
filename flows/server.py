"""Prefect's server: found where one answers, else started in the background, quiet, on loopback.

Beyond loopback it listens only where that is asked for, and then asks for user and password.
"""

from __future__ import annotations

import errno
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from discover.errors import MissingDependencyError, ServerError
from discover.files import write_atomically
from discover.home import home
from discover.page.access import ensure_token, is_loopback, known_token, prefect_auth
from discover.processes import Process

HOST = "127.0.0.1"
PREFECT_PORT = 4200
START_SECONDS = 300.0
"""A loaded machine takes minutes for what an idle one does in five seconds."""

WATCH_SECONDS = 2.0
NOTE_SECONDS = 20.0
SERVER = (sys.executable, "-m", "prefect", "server", "start")
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not listened on
"""Addresses that stand for every interface, and the one under which this machine reaches them."""

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
    """A background process of ours, the address that it serves or uses, and where it listens."""

    process: Process
    url: str
    listen: str = HOST
    command: tuple[str, ...] = ()


def default_port() -> int:
    """Port of the dashboard: `DISCOVER_DASHBOARD_PORT` (ServerError for no port), or Prefect's own."""
    chosen = os.environ.get("DISCOVER_DASHBOARD_PORT") or str(PREFECT_PORT)
    if not chosen.isdecimal() or not 0 < int(chosen) < 2**16:
        raise ServerError(
            f"DISCOVER_DASHBOARD_PORT is {chosen!r}: give a port from 1 to 65535, or unset it"
        )
    return int(chosen)


def ensure_server(listen: str | None = None) -> str:
    """API address of a server that answers, started where none does; sets `PREFECT_API_URL`.

    One that is started listens on `listen` (loopback by default); beyond loopback it asks for the token
    as password of the user `discover`, which is set in `PREFECT_API_AUTH_STRING` here. Call before
    Prefect is imported. Raises ServerError where `PREFECT_API_URL` is set and does not answer (a server
    that a user chose is never replaced in silence), the start fails, or our own server listens
    elsewhere, and MissingDependencyError where Prefect is not installed.
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
    url = running_server() or _start_server(listen=listen or HOST)
    noted = read_daemon("server")
    if noted is not None and noted.url == url:
        if listen is not None and noted.listen != listen:
            raise ServerError(
                f"a Prefect server of yours listens on {noted.listen}, not on {listen}: "
                "end it with `discover down`, and start anew"
            )
        if not is_loopback(noted.listen):
            _authenticate()
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


def start_daemon(
    name: str, command: Sequence[str], url: str, extra: Mapping[str, str], listen: str = HOST
) -> Daemon:
    """Start a background process that outlives this one; its log is `<home>/<name>.log`.

    It notes itself in `<home>/<name>.json` before it becomes the command, so that a kill of this process
    leaves none behind that nobody knows of.
    """
    home().mkdir(parents=True, exist_ok=True)
    content = json.dumps({"url": url, "listen": listen, "command": [*command]})
    with (home() / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.daemon", _note(name), content, *command],
            env={**os.environ, **QUIET, **extra},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=home(),
        )
    daemon = Daemon(Process.of(process.pid), url, listen, tuple(command))
    deadline = time.monotonic() + NOTE_SECONDS
    while read_daemon(name) != daemon and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return daemon


def read_daemon(name: str) -> Daemon | None:
    """What was noted of a background process, None where there is no readable note."""
    try:
        note = json.loads(_note(name).read_text(encoding="utf-8"))
        process = Process.parse(str(note["process"]))
        command = tuple(note.get("command", ()))
        return Daemon(process, note["url"], note.get("listen", HOST), command) if process else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def stop_daemon(name: str, patience_seconds: float = 15.0) -> bool:
    """End a background process of ours with its children; False where it was not running."""
    daemon = read_daemon(name)
    _note(name).unlink(missing_ok=True)
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


def kept_alive() -> AbstractContextManager[None]:
    """While the block runs, start our own server again, at its address, where it was killed.

    The campaign never needs the server, but Prefect's client slows it down while none answers.
    """

    def look() -> None:
        noted = read_daemon("server")
        if noted is not None and not noted.process.is_alive:
            start_server_again(urlsplit(noted.url).port, noted.listen)

    return watching(look, "server-keeper")


@contextmanager
def watching(look: Callable[[], None], name: str) -> Iterator[None]:
    """While the block runs, look every two seconds, in a thread; what fails is tried again."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(WATCH_SECONDS):
            with suppress(ServerError, OSError):
                look()

    watcher = threading.Thread(target=watch, daemon=True, name=name)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join(WATCH_SECONDS)


def start_server_again(port: int | None, listen: str) -> str:
    """Start our own server where it was; its address, ServerError where it does not start."""
    return _start_server(port, listen)


def note_daemon(name: str, daemon: Daemon) -> None:
    """Note a process that was not started by `start_daemon`, so that others find it."""
    home().mkdir(parents=True, exist_ok=True)
    content = {
        "process": str(daemon.process),
        "url": daemon.url,
        "listen": daemon.listen,
        "command": [*daemon.command],
    }
    write_atomically(_note(name), json.dumps(content))


def _start_server(port: int | None = None, listen: str = HOST) -> str:
    """Start a server on a port (a free one by default) and wait until it answers; one at a time."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        present = running_server()
        if present is not None:
            return present
        server = read_daemon("server")
        if server is None or not server.process.is_alive:
            server = _new_server(port, listen)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if answers(server.url):
                return server.url
            time.sleep(0.2)
            if not server.process.is_alive:
                break
        stop_daemon("server")
    raise ServerError(
        f"Prefect's server did not start; the end of {home() / 'server.log'}:\n{log_tail('server')}\n"
        "run with --no-dashboard to do without"
    )


def _new_server(port: int | None, listen: str) -> Daemon:
    if port is None:
        port = default_port() if is_free(default_port(), listen) else free_port(listen)
    environment = _server_env(port, listen)
    command = [*SERVER, "--host", listen, "--port", str(port)]
    return start_daemon("server", command, _api_url(port, listen), environment, listen)


def _server_env(port: int, listen: str) -> dict[str, str]:
    shown = socket.getfqdn() if listen in ANYWHERE else listen
    environment = {
        **FAST_INGESTION,
        "PREFECT_SERVER_API_HOST": listen,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": os.environ.get("PREFECT_UI_API_URL") or _api_url(port, shown),
        "PREFECT_API_URL": _api_url(port, listen),
    }
    if not is_loopback(listen):
        environment["PREFECT_SERVER_API_AUTH_STRING"] = prefect_auth(ensure_token())
    return environment


def _authenticate() -> None:
    """Tell Prefect's client, in this process and those it starts, the password of our server."""
    token = known_token()
    if token is None:
        raise ServerError(
            "the Prefect server asks for a token, and there is none here: set DISCOVER_TOKEN"
        )
    os.environ["PREFECT_API_AUTH_STRING"] = prefect_auth(token)


def _ends(process: Process, seconds: float) -> bool:
    """Whether a process is gone within this time."""
    deadline = time.monotonic() + seconds
    while process.is_alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def address(host: str, port: int) -> str:
    """Address under which this machine reaches what listens on a host."""
    name = ANYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether something could listen there; ServerError where the host is none of this machine's."""
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EACCES:
                raise ServerError(f"port {port} is not yours to listen on: {error}") from error
            raise _no_such_host(host, error) from error
        return True


def free_port(host: str = HOST) -> int:
    """A port that is free now; ServerError where the host is none of this machine's."""
    with socket.socket(_family(host)) as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise _no_such_host(host, error) from error
        return int(probe.getsockname()[1])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _no_such_host(host: str, error: OSError) -> ServerError:
    return ServerError(f"{host!r} is no address of this machine to listen on: {error}")


def _api_url(port: int, host: str = HOST) -> str:
    return f"{address(host, port)}/api"


def _note(name: str) -> Path:
    return home() / f"{name}.json"
