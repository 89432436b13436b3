"""The file of a store: how it is opened, files that are not right, signals, a full disk."""

import os
import signal
import sqlite3
import threading
from contextlib import closing

import pytest

from discover.errors import StoreError
from discover.store import FORMAT_VERSION, open_store
from discover.store.conformance import candidate, lease, observation


def execute(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_signal_while_the_write_lock_is_waited_for_leaves_nothing_begun(path):
    """It is raised once SQLite has the lock: what comes next must be able to take it again."""
    with (
        closing(open_store(path, "c")) as store,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        unlocked = threading.Timer(0.6, other.execute, ["COMMIT"])
        unlocked.start()
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            with pytest.raises(KeyboardInterrupt):
                store.set_value("key", 1)
        finally:
            signal.signal(signal.SIGALRM, before)
            unlocked.join()
        store.set_value("key", 2)
        assert store.value("key") == 2


def test_a_newer_store_is_left_untouched(path):
    open_store(path, "campaign").close()
    execute(path, f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError):
        open_store(path, "campaign")
    assert path.read_bytes() == before


def test_an_older_store_is_used_and_then_left_to_newer_versions(path):
    with closing(open_store(path, "campaign")) as store:
        store.add_candidates([candidate(1)])
    execute(path, "UPDATE candidates SET record = replace(record, '\"structure\"', '\"crystal\"')")
    execute(path, "PRAGMA user_version = 1")
    with closing(open_store(path, "campaign")) as store:
        assert list(store.candidates()) == [candidate(1)]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (FORMAT_VERSION,)


def test_a_file_that_is_no_database(path):
    path.write_text("name: campaign\n" * 100)
    with pytest.raises(StoreError, match=r"store\.sqlite: .*not a SQLite database"):
        open_store(path, "campaign")
    assert path.read_text().startswith("name: campaign")


def test_a_database_of_something_else(path):
    execute(path, "CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="something else"):
        open_store(path, "campaign")


def test_a_damaged_file(path):
    with closing(open_store(path, "campaign")) as store:
        store.add_candidates([candidate(n) for n in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:] = os.urandom(len(content) - 8192)
    path.write_bytes(content)
    with (
        pytest.raises(StoreError, match=r"store\.sqlite: .*damaged"),
        closing(open_store(path, "campaign")) as store,
    ):
        list(store.candidates())


@pytest.mark.parametrize("folder", ["/proc", "/no such folder"])
def test_a_folder_that_cannot_be_written(folder):
    with pytest.raises(StoreError, match="check that the folder exists and can be written"):
        open_store(f"{folder}/store.sqlite", "campaign")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_cannot_be_written(path):
    open_store(path, "campaign").close()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="writable"):
            open_store(path, "campaign")
    finally:
        path.parent.chmod(0o755)


def test_a_store_that_is_read_is_left_as_it_is(path):
    with closing(open_store(path, "campaign")) as store:
        store.add_candidates([candidate(1)])
    before = path.read_bytes()
    with closing(open_store(path, "campaign", read_only=True)) as store:
        assert list(store.candidates()) == [candidate(1)]
        for write in (
            lambda: store.add_candidates([candidate(2)]),
            lambda: store.acquire_lease(lease("holder", 0.0)),
            lambda: store.release_lease("holder"),
            lambda: store.set_value("stop", True),
        ):
            with pytest.raises(StoreError, match="for reading only"):
                write()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_only_a_store_can_be_read(path):
    with pytest.raises(StoreError, match="check that the folder exists"):
        open_store(path, "campaign", read_only=True)
    assert not path.exists()
    execute(path, "CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="something else"):
        open_store(path, "campaign", read_only=True)
    open_store(path.with_name("other"), "campaign").close()
    execute(path.with_name("other"), f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    with pytest.raises(StoreError, match="update discover"):
        open_store(path.with_name("other"), "campaign", read_only=True)


def test_a_full_disk_loses_nothing(path):
    with closing(open_store(path, "campaign")) as store:
        store.add_candidates([candidate(n) for n in range(20)])
        pages = store._file.select("PRAGMA page_count")[0][0]
        store._file.select(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own full disk
        with pytest.raises(StoreError, match="disk is full"):
            store.add_candidates([candidate(n) for n in range(20, 500)])
        assert len(list(store.candidates())) == 20
        store._file.select("PRAGMA max_page_count = 1000000")
        store.add_candidates([candidate(20)])
        assert len(list(store.candidates())) == 21


def test_a_closed_store_cannot_be_used(path):
    store = open_store(path, "campaign")
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.add_observations([observation(1)])


def test_writes_are_synced(path):
    with closing(open_store(path, "campaign")) as store:
        assert store._file.select("PRAGMA journal_mode") == [("wal",)]
        assert store._file.select("PRAGMA synchronous") == [(2,)]
