"""A MongoDB server that is killed, frozen, protected by a password or replicated."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pymongo
import pytest
import yaml

from discover.errors import LeaseHeldError, StoreError, StoreOutageError
from discover.folder import CampaignFolder
from discover.records import CalculationState
from discover.results import ranking
from discover.runner import run_campaign
from discover.store import open_store
from discover.store.conformance import calculation, candidate, lease, observation
from discover.store.mongo import MongoStore
from discover.store.transfer import copy, inventory

MongoServer = Any
"""Of this folder's conftest."""
StartMongod = Callable[..., MongoServer]
KIND = Path(__file__).parents[3] / "discover/benchmark/faults_kind.py"
PASSWORD = "pass:w/rd"
ESCAPED = "pass%3Aw%2Frd"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("discover.outages.FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setattr("discover.store.mongo_server.ANSWER_MILLISECONDS", 500)


@pytest.fixture(scope="module")
def server(start_mongod: StartMongod) -> MongoServer:
    return start_mongod()


@pytest.fixture
def opened(server: MongoServer, campaign: str) -> Iterator[MongoStore]:
    store = MongoStore.connect(server.uri, campaign)
    yield store
    store.close()


def test_a_campaign_waits_for_a_server_that_was_killed(
    server: MongoServer, quick_campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice, at moments that differ; its jobs go on meanwhile, and each of them is run once."""
    jobs = quick_campaign / "jobs.log"
    monkeypatch.setenv("DISCOVER_FAULTS_LOG", str(jobs))
    spec = yaml.safe_load((quick_campaign / "campaign.yaml").read_text())
    spec["calculation"] = {
        "kind": f"{KIND}:Rehearsal",
        "engine": "potential",
        "engine_settings": {"potential": "emt"},
        "settings": {"seconds": 0},
    }
    spec["budget"]["calculations"] = 3
    spec["store"] = server.uri
    (quick_campaign / "campaign.yaml").write_text(yaml.safe_dump(spec))
    folder = CampaignFolder.at(quick_campaign)
    told: list[str] = []
    starting: list[threading.Timer] = []

    def listen(line: str) -> None:
        told.append(line)
        if "started" in line and len(starting) < 2:
            server.kill()
        if line.startswith("waiting") and (not starting or starting[-1].finished.is_set()):
            starting.append(threading.Timer(0.5, server.start))
            starting[-1].start()

    stop = run_campaign(folder, listen)
    for timer in starting:
        timer.join()
    assert stop.reason == "budget: 3 calculations"
    waited = [line for line in told if line.startswith("waiting, nothing is lost")]
    assert len(waited) >= 2
    assert all(len(line) < 200 for line in waited), "the driver's description of itself is left out"
    with closing(folder.open_store(folder.load())) as store:
        assert [c.state for c in store.calculations()] == [CalculationState.DONE] * 3
        assert len(ranking(store, folder.load())) == 3
        ids = [c.id for c in store.calculations()]
    begun = Counter(
        line.split('"job": "')[1][:16]
        for line in jobs.read_text().splitlines()
        if '"begin"' in line
    )
    assert begun == dict.fromkeys(ids, 1)


def renewed_soon(store: MongoStore) -> None:
    """Renew the lease once the driver sees that the server is back: it looks every half a second."""
    deadline = time.monotonic() + 30.0
    while True:
        try:
            return store.renew_lease("first", 101.0)
        except StoreOutageError:
            assert time.monotonic() < deadline


def test_what_was_acknowledged_survives_kills_of_the_server(
    server: MongoServer, opened: MongoStore
) -> None:
    opened.acquire_lease(lease("first", 100.0))
    opened.fence("first")
    kills = [threading.Timer(0.1, server.kill)]
    kills[0].start()
    acknowledged: list[str] = []
    outages = 0
    number = 0
    while outages < 3:
        number += 1
        try:
            opened.add_candidates([candidate(number)])
            acknowledged.append(f"candidate-{number}")
        except StoreOutageError:
            outages += 1
            kills[-1].join()
            server.start()
            renewed_soon(opened)
            if outages < 3:
                kills.append(threading.Timer(0.1, server.kill))
                kills[-1].start()
    held = [c.id for c in opened.candidates()]
    assert set(acknowledged) <= set(held)
    assert len(held) == len(set(held)) <= number


def test_a_frozen_server_is_an_outage(
    server: MongoServer, campaign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has taken in before it froze it does when it thaws; nothing is doubled."""
    monkeypatch.setattr("discover.store.mongo_server.WORK_MILLISECONDS", 300)
    with closing(MongoStore.connect(server.uri, campaign)) as store:
        store.add_calculation(calculation(1))
        for new in (CalculationState.SUBMITTED, CalculationState.RUNNING):
            store.transition("calculation-1", store.calculation("calculation-1").state, new)
        store.acquire_lease(lease("first", 100.0))
        store.fence("first")
        store.set_value("known", 1)
        server.freeze()
        with pytest.raises(StoreOutageError):
            store.set_value("known", 2)
        server.thaw()
        done = store.finish("calculation-1", CalculationState.RUNNING, [observation(1)])
        assert store.calculation("calculation-1") == done
        assert store.observations() == [observation(1)]
        assert store.value("known") in {1, 2}


def test_of_many_who_take_the_lease_one_has_it(server: MongoServer, campaign: str) -> None:
    stores = [MongoStore.connect(server.uri, campaign) for _ in range(4)]

    def take(number: int) -> bool:
        try:
            stores[number % 4].acquire_lease(lease(f"holder-{number}", 100.0))
        except LeaseHeldError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(16))) == 1
    for store in stores:
        store.close()


def test_a_campaign_is_copied_to_the_server_and_back(
    opened: MongoStore, server: MongoServer, campaign: str
) -> None:
    with (
        closing(open_store(":memory:", campaign)) as file,
        closing(open_store(":memory:", campaign)) as back,
    ):
        file.add_candidates([candidate(1), candidate(2)])
        file.add_calculation(calculation(1))
        file.add_observations([observation(1)])
        file.set_value("position", [17])
        copy(file, opened)
        copy(opened, back)
        assert inventory(back) == inventory(opened) == inventory(file)


def test_a_protected_server_asks_for_the_password(start_mongod: StartMongod, campaign: str) -> None:
    server = start_mongod("--auth")
    to_write = {"role": "readWrite", "db": "discover_test"}
    root = f"mongodb://root:{ESCAPED}@127.0.0.1:{server.port}"
    for who, by, role in (("root", server.uri, "root"), ("me", root, to_write)):
        client: pymongo.MongoClient[Any] = pymongo.MongoClient(by)
        client.admin.command("createUser", who, pwd=PASSWORD, roles=[role])
        client.close()
    address = server.uri.replace("//", "//me:{}@") + "?authSource=admin"
    with closing(open_store(address.format(ESCAPED), campaign)) as store:
        store.set_value("known", 1)
        assert store.value("known") == 1
    for wrong in (server.uri, address.format("wrong-secret"), address.format("w/rong-secret")):
        with pytest.raises(StoreError) as told:
            open_store(wrong, campaign)
        assert not isinstance(told.value, StoreOutageError)
        assert "rong-secret" not in str(told.value)
    server.kill()


def test_a_replica_set_without_a_primary_is_an_outage(
    start_mongod: StartMongod, campaign: str
) -> None:
    """It is over once one is elected; a document that fills its journal's entry is taken."""
    server = start_mongod("--replSet", "rs", "--oplogSize", "200")
    member = f"127.0.0.1:{server.port}"
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(server.uri, directConnection=True)
    client.admin.command("replSetInitiate", {"_id": "rs", "members": [{"_id": 0, "host": member}]})
    deadline = time.monotonic() + 20
    while not client.admin.command("hello")["isWritablePrimary"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with closing(MongoStore.connect(f"{server.uri}?replicaSet=rs", campaign)) as store:
        store.acquire_lease(lease("first", 100.0))
        store.fence("first")
        store.set_value("large", "x" * (15 * 2**20))
        client.admin.command("replSetStepDown", 2, force=True)
        with pytest.raises(StoreOutageError):
            store.set_value("known", 1)
        while True:
            assert time.monotonic() < deadline
            try:
                store.renew_lease("first", 101.0)
            except StoreOutageError:
                continue
            break
        store.set_value("known", 2)
        assert store.value("known") == 2
        assert len(store.value("large")) == 15 * 2**20
    client.close()
    server.kill()
