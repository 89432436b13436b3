"""The MongoDB server of the fault benchmark: it goes away and comes back with what was written."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from discover.benchmark.faults import spec
from discover.benchmark.faults_mongod import Mongod
from discover.store import open_store


@pytest.fixture
def mongod(tmp_path: Path) -> Mongod:
    if Mongod.program() is None:
        pytest.skip("no mongod here: deploy/setup.sh test installs one")
    return Mongod(tmp_path / "mongod")


def test_a_store_on_it_outlives_an_outage(mongod: Mongod) -> None:
    mongod.start()
    try:
        with closing(open_store(mongod.store, "test")) as store:
            store.set_value("stop", True)
            outage = threading.Thread(target=mongod.go_away, args=(1.0,))
            outage.start()
            outage.join()
            assert store.value("stop") is True
    finally:
        mongod.stop()


def test_every_other_pair_of_campaigns_is_stored_there(mongod: Mongod) -> None:
    stores = [spec(number, 4, 1.0, None, mongod).store for number in range(4)]
    assert stores == [None, None, mongod.store, mongod.store]
