"""A campaign whose store or disk goes away for a while: it waits and goes on, nothing lost or doubled."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import mongomock
import pymongo.errors
import pytest
import yaml

from discover.benchmark.faults_outages import fill_disk, small_disk
from discover.errors import DiskFullError, LeaseHeldError, StoreOutageError
from discover.folder import CampaignFolder
from discover.lease import SteeringLease
from discover.outages import check_room, outlast
from discover.records import CalculationState
from discover.results import ranking
from discover.runner import run_campaign
from discover.store import Store, open_store
from discover.store.conformance import lease
from discover.store.mongo import MongoStore

KIND = "discover/benchmark/faults_kind.py"
NO_SERVER = pymongo.errors.ServerSelectionTimeoutError("127.0.0.1:27017: connection refused")
DROPPED = pymongo.errors.AutoReconnect("connection closed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discover.outages.FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("discover.store.sqlite_file.BUSY_SECONDS", 0.2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite", "test")
    yield opened
    opened.close()


@pytest.fixture
def campaign(quick_campaign: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignFolder:
    """Three jobs of nothing but their start."""
    monkeypatch.setenv("DISCOVER_FAULTS_LOG", str(quick_campaign / "jobs.log"))
    spec = yaml.safe_load((quick_campaign / "campaign.yaml").read_text())
    kind = Path(__file__).parents[2] / KIND
    spec["calculation"] = {
        "kind": f"{kind}:Rehearsal",
        "engine": "potential",
        "engine_settings": {"potential": "emt"},
        "settings": {"seconds": 0},
    }
    spec["budget"]["calculations"] = 3
    (quick_campaign / "campaign.yaml").write_text(yaml.safe_dump(spec))
    return CampaignFolder.at(quick_campaign)


def is_whole(store: Store, folder: CampaignFolder) -> None:
    """Three results, each of one job that ran once."""
    calculations = store.calculations()
    assert [c.state for c in calculations] == [CalculationState.DONE] * 3
    assert [c.order for c in calculations] == [0, 1, 2]
    assert len(ranking(store, folder.load())) == 3
    begun = Counter(
        line.split('"job": "')[1][:16]
        for line in (folder.root / "jobs.log").read_text().splitlines()
        if '"begin"' in line
    )
    assert begun == dict.fromkeys((c.id for c in calculations), 1)


def test_work_is_done_again_once_the_store_is_back(store: Store, tmp_path: Path) -> None:
    failures: list[Exception] = [
        StoreOutageError("gone"),
        OSError(errno.ENOSPC, "No space left on device"),
        DiskFullError("full"),
    ]
    told: list[str] = []

    def work() -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    with SteeringLease(store) as held:
        assert outlast(work, held, tmp_path, told.append) == "done"
        failures.append(OSError(errno.EIO, "broken"))
        with pytest.raises(OSError, match="broken"):
            outlast(work, held, tmp_path, told.append)
    assert len([line for line in told if line.startswith("waiting, nothing is lost")]) == 3


def test_who_lost_the_campaign_while_waiting_ends(store: Store, tmp_path: Path) -> None:
    def work() -> None:
        taken = store.lease()
        assert taken is not None
        store.acquire_lease(lease("other", 1e12), replacing=taken.holder)
        raise StoreOutageError("gone")

    with pytest.raises(LeaseHeldError), SteeringLease(store) as held:
        outlast(work, held, tmp_path, lambda _: None)
    assert store.lease() == lease("other", 1e12)


def test_a_full_disk_is_seen_before_a_job_is_started(tmp_path: Path) -> None:
    with small_disk(tmp_path, 8) as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here (it needs root)")
        check_room(tmp_path / "job")
        filling = threading.Thread(target=fill_disk, args=(tmp_path, 0.5))
        filling.start()
        deadline = time.monotonic() + 20
        while shutil.disk_usage(tmp_path).free and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(DiskFullError, match="No space left on device: make room"):
            check_room(tmp_path / "job")
        filling.join()
        check_room(tmp_path / "job")
        assert not list((tmp_path / "job").iterdir())


def test_a_campaign_waits_for_a_store_that_is_locked(campaign: CampaignFolder) -> None:
    told: list[str] = []
    locked = threading.Event()
    unlock = threading.Event()

    def lock() -> None:
        with closing(sqlite3.connect(campaign.store_file)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            locked.set()
            unlock.wait(60)

    locking = threading.Thread(target=lock)

    def listen(line: str) -> None:
        told.append(line)
        if "started" in line and not locked.is_set():
            locking.start()
            assert locked.wait(60)
        if "waiting" in line:
            unlock.set()

    stop = run_campaign(campaign, listen)
    unlock.set()
    locking.join()
    assert stop.reason == "budget: 3 calculations"
    assert [line for line in told if line.startswith("waiting, nothing is lost")], told
    with closing(campaign.open_store(campaign.load())) as store:
        is_whole(store, campaign)


class Flaky:
    """A MongoDB collection whose connection drops: before a write arrives, or before its answer does."""

    def __init__(self, collection: Any, drops: dict[str, list[str]]) -> None:
        self._collection = collection
        self._drops = drops

    def __getattr__(self, name: str) -> Any:
        work = getattr(self._collection, name)
        drops = self._drops.get(name)
        if not drops:
            return work

        def dropping(*args: Any, **options: Any) -> Any:
            drop = drops.pop(0) if drops else ""
            if drop == "before":
                raise NO_SERVER
            answer = work(*args, **options)
            if drop == "after":
                raise DROPPED
            return answer

        return dropping


def test_a_campaign_waits_for_a_server_whose_connection_drops(
    campaign: CampaignFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Any = mongomock.MongoClient().get_database("discover")
    store = MongoStore(database, "quick")
    every_third = ["", "", "before", "", "", "after"]
    drops = {
        "calculations": {
            "bulk_write": ["after", "before", "", "after"],
            "update_one": [*every_third],
            "find": [""] * 20 + ["before"],
        },
        "observations": {"bulk_write": ["after"]},
        "meta": {"update_one": [""] * 10 + every_third},
    }
    for what, of_this in drops.items():
        store._collections[what] = Flaky(store._collections[what], of_this)  # type: ignore[assignment]
    told: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(CampaignFolder, "open_store", lambda *_: store)
        patched.setattr(store, "close", lambda: None)
        stop = run_campaign(campaign, told.append)
    assert stop.reason == "budget: 3 calculations"
    assert len([line for line in told if line.startswith("waiting")]) >= 5
    is_whole(MongoStore(database, "quick"), campaign)
    assert not [c for c in store.candidates() if c.reason and "very same structure" in c.reason]


def test_of_two_processes_one_steers(campaign: CampaignFolder) -> None:
    run = [sys.executable, "-m", "discover", "run", str(campaign.root), "--no-dashboard"]
    both = [
        subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [one.communicate(timeout=120)[0] for one in both]
    assert sorted(one.returncode for one in both) == [0, 2], told
    assert [line for text in told for line in text.splitlines() if "steers this campaign" in line]
    with closing(campaign.open_store(campaign.load())) as store:
        is_whole(store, campaign)


def test_what_was_frozen_for_too_long_changes_nothing_when_it_wakes(
    store: Store, campaign: CampaignFolder, tmp_path: Path
) -> None:
    """Its lease went to another one: whatever it was about to write is refused."""
    changes: list[Callable[[], object]] = [
        lambda: store.set_value("stopped", "budget"),
        lambda: store.add_candidates([]),
        lambda: store.update_candidates([]),
    ]
    with SteeringLease(store):
        mine = store.lease()
        assert mine is not None
        changes[0]()
        with closing(open_store(tmp_path / "store.sqlite", "test")) as other:
            other.acquire_lease(lease("other", 1e12), replacing=mine.holder)
        for change in changes:
            with pytest.raises(LeaseHeldError, match="lost its lease"):
                change()
    store.release_lease("other")
    assert os.getpid() == mine.pid
    changes[0]()
