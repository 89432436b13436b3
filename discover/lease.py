"""Which process steers a campaign: a lease in the store, kept alive by a heartbeat."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType

from discover.errors import LeaseHeldError, StoreError, StoreOutageError
from discover.processes import Process, process_ticks
from discover.records import Lease
from discover.store.base import Store

TTL_SECONDS = 60.0
HEARTBEAT_SECONDS = 5.0


class SteeringLease:
    """Holds the campaign's lease while the `with` block runs.

    Entering raises LeaseHeldError where another living process steers the campaign. On this host the
    process itself says whether it lives, whatever its heartbeat: while the store was away, a living one
    could not renew it, and the lease of a dead one is taken at once. Inside the block the store is
    fenced: once the lease is lost nothing is changed any more through it.
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
        if present is not None and is_alive(present, now):
            raise LeaseHeldError(
                f"process {present.pid} on {present.host} steers this campaign (heartbeat"
                f" {now - present.heartbeat_at:.0f} s ago): stop it, or end it"
            )
        self._store.acquire_lease(wanted, replacing=present.holder if present else None)
        self._store.fence(self._holder)
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
        with suppress(StoreOutageError):  # then it is the lease of a process that is gone
            self._store.release_lease(self._holder)
        self._store.fence(None)

    def renew(self) -> None:
        """Tell the store that this process lives.

        LeaseHeldError where another one steers by now, StoreOutageError where the store is away.
        """
        try:
            self._store.renew_lease(self._holder, time.time())
        except LeaseHeldError:
            self.lost.set()
            raise

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                self.renew()
            except LeaseHeldError:
                return
            except StoreError:
                continue  # the next beat tries again; the lease outlives several


def is_alive(lease: Lease, now: float) -> bool:
    """Whether the holder still steers: here its process exists, elsewhere its heartbeat is fresh."""
    fresh = now - lease.heartbeat_at <= lease.ttl_seconds
    if lease.host != socket.gethostname():
        return fresh
    if lease.process_ticks is None:
        return fresh and process_ticks(lease.pid) is not None
    return Process(lease.pid, lease.process_ticks).is_alive
