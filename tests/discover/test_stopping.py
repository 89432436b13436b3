"""Who a request to stop is meant for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from discover.processes import Process
from discover.stopping import StopRequest, ask_to_stop, clear_request, request_of
from discover.store import Store, open_store

ME, ANOTHER = Process(100, 5), Process(100, 6)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite", "test")
    yield opened
    opened.close()


@pytest.mark.parametrize("request_", StopRequest)
def test_a_request_is_for_one_process(store: Store, request_: StopRequest) -> None:
    assert request_of(store, ME) is None
    ask_to_stop(store, request_, ME)
    assert request_of(store, ME) is request_
    assert request_of(store, ANOTHER) is None
    clear_request(store)
    assert request_of(store, ME) is None
