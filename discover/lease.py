"""Which process steers a campaign: a lease in the store, kept alive by a heartbeat."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from types import TracebackType

from discover.errors import LeaseHeldError, StoreError
from discover.processes import Process, process_ticks
from discover.records import Lease
from discover.store.base import Store

TTL_SECONDS = 60.0
HEARTBEAT_SECONDS = 5.0


class SteeringLease:
    """Holds the campaign's lease while the `with` block runs.

    Entering raises LeaseHeldError where another living process steers the campaign. A holder on this
    host whose process is gone is dead whatever its heartbeat says, and its lease is taken at once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._holder = uuid.uuid4().hex
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="lease-heartbeat")
        self.lost = threading.Event()

    def __enter__(self) -> SteeringLease:
        now = time.time()
        present = self._store.lease()
        wanted = Lease(
            holder=self._holder,
            host=socket.gethostname(),
            pid=os.getpid(),
            process_ticks=process_ticks(os.getpid()),
            acquired_at=now,
            heartbeat_at=now,
            ttl_seconds=TTL_SECONDS,
        )
        dead = present if present and not is_alive(present, now) else None
        self._store.acquire_lease(wanted, replacing=dead.holder if dead else None)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._store.release_lease(self._holder)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self._store.renew_lease(self._holder, time.time())
            except LeaseHeldError:
                self.lost.set()
                return
            except StoreError:
                continue  # the next beat tries again; the lease outlives several


def is_alive(lease: Lease, now: float) -> bool:
    """Whether the holder still steers: its heartbeat is fresh and, on this host, its process exists."""
    if now - lease.heartbeat_at > lease.ttl_seconds:
        return False
    if lease.host != socket.gethostname():
        return True
    if lease.process_ticks is None:
        return process_ticks(lease.pid) is not None
    return Process(lease.pid, lease.process_ticks).is_alive
