"""Who steers: living, dead and silent holders."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from discover.errors import LeaseHeldError
from discover.lease import SteeringLease, is_alive
from discover.processes import process_ticks
from discover.records import Lease
from discover.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite", "test")
    yield opened
    opened.close()


def lease_of(pid: int, ticks: int | None, host: str | None = None, age: float = 0.0) -> Lease:
    return Lease(
        holder="somebody",
        host=host or socket.gethostname(),
        pid=pid,
        process_ticks=ticks,
        acquired_at=time.time() - age,
        heartbeat_at=time.time() - age,
        ttl_seconds=60.0,
    )


def test_second_holder_is_refused_and_the_lease_is_given_back(store: Store) -> None:
    with SteeringLease(store):
        with pytest.raises(LeaseHeldError), SteeringLease(store):
            pass
        held = store.lease()
        assert held is not None
        assert held.pid == os.getpid()
    assert store.lease() is None
    with SteeringLease(store):
        pass


def test_a_dead_process_of_this_host_loses_its_lease_at_once(store: Store) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    ticks = process_ticks(child.pid)
    child.wait()
    store.acquire_lease(lease_of(child.pid, ticks))
    with SteeringLease(store) as lease:
        assert not lease.lost.is_set()


def test_of_two_that_saw_the_same_dead_holder_one_steers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    dead = lease_of(child.pid, process_ticks(child.pid))
    child.wait()
    store.acquire_lease(dead)
    with SteeringLease(store):
        held = store.lease()
        with monkeypatch.context() as slow:
            slow.setattr(store, "lease", lambda: dead)  # the second one looked before
            with pytest.raises(LeaseHeldError), SteeringLease(store):
                pass
        assert store.lease() == held


def test_a_pid_that_is_used_again_is_not_the_holder() -> None:
    ticks = process_ticks(os.getpid())
    assert ticks is not None
    assert is_alive(lease_of(os.getpid(), ticks), time.time())
    assert not is_alive(lease_of(os.getpid(), ticks - 1), time.time())


def test_another_host_is_believed_until_its_heartbeat_is_old() -> None:
    assert is_alive(lease_of(1, None, host="elsewhere", age=10), time.time())
    assert not is_alive(lease_of(1, None, host="elsewhere", age=100), time.time())


def test_the_loser_of_a_stolen_lease_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discover.lease.HEARTBEAT_SECONDS", 0.05)
    with SteeringLease(store) as lease:
        robbed = store.lease()
        assert robbed is not None
        store.acquire_lease(lease_of(os.getpid(), None), replacing=robbed.holder)
        assert lease.lost.wait(10)
    held = store.lease()
    assert held is not None
    assert held.holder == "somebody"
