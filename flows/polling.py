"""Sees that the service still asks for campaigns to launch, and ends it where it does not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress

from discover.errors import ServerError
from discover.processes import Process
from flows.launched import last_polled
from flows.server import answers, read_daemon

SILENT_SECONDS = 120.0
"""So long without a question, of which there is one every ten seconds, the service asks no more."""


class Polling:
    """Kills the service where it is alive and asks no more; whoever keeps it starts it again.

    Running campaigns go on, and what was to be launched is launched by the new one. Time counts while
    Prefect's server answers only. A service that is ended without having asked gets twice the time next:
    on a crowded machine it takes long to start.
    """

    def __init__(self, told: Callable[[str], None], silent_seconds: float = SILENT_SECONDS) -> None:
        self._told = told
        self._first_seconds = self._silent_seconds = silent_seconds
        self._seen: tuple[Process, str] | None = None
        self._since = 0.0

    def look(self) -> None:
        """Look at it once; what keeps Prefect's server from answering is waited for."""
        service = read_daemon("service")
        polled = None
        if service is not None and service.process.is_alive and answers(service.url):
            with suppress(ServerError):
                polled = last_polled(service.url)
        if service is None or polled is None:
            self._seen = None
            return
        seen = service.process, polled
        now = time.monotonic()
        if seen != self._seen:
            if self._seen is not None and seen[0] == self._seen[0]:
                self._silent_seconds = self._first_seconds
            self._seen, self._since = seen, now
        elif now > self._since + self._silent_seconds:
            self._told(
                f"service asked for nothing in {now - self._since:.0f} s and is ended, "
                "to be started again"
            )
            service.process.send(signal.SIGKILL)
            self._silent_seconds *= 2
            self._seen = None
