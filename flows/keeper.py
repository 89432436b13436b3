"""Keeps what `discover up` started: what was killed is started again, launched campaigns included.

`discover up --foreground` does so itself, `discover up` starts `python -m flows.keeper` for it. One
process keeps at a time; another one that wants to waits until it is gone.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from discover.errors import DiscoverError
from discover.home import home
from discover.processes import Process
from flows.launched import LaunchedCampaigns
from flows.polling import Polling
from flows.server import (
    Daemon,
    answers,
    read_daemon,
    start_daemon,
    start_server_again,
    stop_daemon,
    watching,
)

KEEPER = "keeper"
DAEMONS = ("service", "server", "page")
LOOK_SECONDS = 1.0
LOOK_AT_CAMPAIGNS_SECONDS = 5.0
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""After so long a daemon is no longer one that ends as soon as it is started."""
PATIENCE_SECONDS = 60.0


@dataclass
class Pauses:
    """How long to wait before something is started again: longer each time, until it runs steadily."""

    started_at: float = -STEADY_SECONDS
    pause_seconds: float = 0.0

    def is_over(self, now: float) -> bool:
        """Whether it may be started again."""
        return now >= self.started_at + self.pause_seconds

    def begin(self, now: float) -> None:
        """Note that it is started now."""
        steady = now - self.started_at - self.pause_seconds > STEADY_SECONDS
        self.pause_seconds = (
            FIRST_PAUSE_SECONDS
            if steady
            else min(2 * max(self.pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        )
        self.started_at = now


class KeptDaemon:
    """One daemon: looked at, and started again by its own command where it is gone."""

    def __init__(self, name: str, told: Callable[[str], None]) -> None:
        self._name = name
        self._told = told
        self._pauses = Pauses()
        self._failed: Daemon | None = None

    def look(self) -> None:
        """Start it where it was started once, is gone, and its pause is over."""
        noted = read_daemon(self._name) or self._failed
        now = time.monotonic()
        if noted is None or noted.process.is_alive or not self._pauses.is_over(now):
            return
        if self._name == "service" and not answers(noted.url):
            return  # it would only end again: the server comes first
        self._pauses.begin(now)
        self._told(f"{self._name} is gone and is started again")
        self._failed = noted
        if self._name == "server":
            start_server_again(urlsplit(noted.url).port, noted.listen)
        else:
            url = {"PREFECT_API_URL": noted.url} if self._name == "service" else {}
            start_daemon(self._name, noted.command, noted.url, url, noted.listen)
        self._failed = None


def keep(over: threading.Event, told: Callable[[str], None]) -> None:
    """Keep everything until `over`; what goes wrong with one is told and tried again."""
    looks: list[tuple[Callable[[], None], float]] = [
        (KeptDaemon(name, told).look, LOOK_SECONDS) for name in DAEMONS
    ]
    looks.append((LaunchedCampaigns(told).look, LOOK_AT_CAMPAIGNS_SECONDS))
    looks.append((Polling(told).look, LOOK_AT_CAMPAIGNS_SECONDS))

    def repeat(look: Callable[[], None], seconds: float) -> None:
        while not over.wait(seconds):
            try:
                look()
            except (DiscoverError, OSError, ValueError) as error:
                told(str(error))

    with _only_keeper(over):
        threads = [threading.Thread(target=repeat, args=one, daemon=True) for one in looks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def start_keeper_again() -> None:
    """Start the process in the background that keeps, where there was one and it was killed."""
    noted = read_daemon(KEEPER)
    if noted is not None and noted.command and not noted.process.is_alive:
        start_daemon(KEEPER, noted.command, noted.url, {}, noted.listen)


def stop_keeper() -> bool:
    """End the process that keeps, before what it keeps is ended; False where none does."""
    noted = read_daemon(KEEPER)
    if noted is None or not noted.process.is_alive or noted.process.pid == os.getpid():
        return False
    noted.process.send(signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while noted.process.is_alive and time.monotonic() < deadline:
        time.sleep(0.1)
    stop_daemon(KEEPER)
    return True


@contextmanager
def ended_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set."""
    over = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: over.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield over
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def say(line: str) -> None:
    """A line with the time on standard output, where that can be written."""
    try:
        print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}", flush=True)  # noqa: T201
    except OSError:
        return  # a full disk under the log


@contextmanager
def _only_keeper(over: threading.Event) -> Iterator[None]:
    """Hold the lock of the one that keeps, as soon as it is free."""
    home().mkdir(parents=True, exist_ok=True)
    with (home() / f"{KEEPER}.lock").open("w") as lock:
        while not over.is_set():
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                over.wait(LOOK_SECONDS)
        yield


def note_keeper() -> None:
    """Note this process as the one that keeps, so that `discover down` ends it first."""
    from flows.server import note_daemon

    note_daemon(KEEPER, Daemon(Process.of(os.getpid()), ""))


def _main() -> None:
    own = Process.of(os.getpid())
    with ended_by_signals() as over:

        def look() -> None:
            noted = read_daemon(KEEPER)
            if noted is not None and noted.process != own:
                over.set()

        with watching(look, "superseded"):
            keep(over, say)


if __name__ == "__main__":
    _main()
