"""The embedded store: the conformance suite, real processes, kills, and files that are not right."""

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from discover.errors import StateConflictError, StoreError
from discover.records import CalculationState
from discover.store import FORMAT_VERSION, open_store
from discover.store.conformance import (
    StoreConformance,
    calculation,
    candidate,
    lease,
)

PROPOSED, SUBMITTED = CalculationState.PROPOSED, CalculationState.SUBMITTED


@pytest.fixture
def start():
    """Starts Python processes that run a script and are killed at the end of the test at the latest."""
    running = []

    def run(script, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, path):
        return lambda: open_store(path, "campaign")

    @pytest.fixture
    def make_newer(self, path):
        return lambda: execute(path, f"PRAGMA user_version = {FORMAT_VERSION + 1}")


def execute(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


# --- several processes and threads ----------------------------------------------------------------

RACE = """
import sys
from discover.errors import StateConflictError
from discover.records import CalculationState
from discover.store import open_store
from discover.store.conformance import calculation

path, name, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = open_store(path, "campaign")  # they race for laying out the file as well
for number in range(n):
    store.add_calculation(calculation(number))
    try:
        store.transition(
            f"calculation-{number}",
            CalculationState.PROPOSED,
            CalculationState.SUBMITTED,
            native_id=name,
        )
    except StateConflictError:
        continue
    print(number, flush=True)
"""


def test_of_racing_processes_exactly_one_makes_each_transition(path, start):
    n = 100
    processes = {name: start(RACE, path, name, n) for name in "abcd"}
    for process in processes.values():
        assert process.stdout.readline() == "ready\n"
    for process in processes.values():
        process.stdin.write("go\n")
        process.stdin.flush()
    won = {name: process.communicate()[0].split() for name, process in processes.items()}
    assert {process.returncode for process in processes.values()} == {0}
    with closing(open_store(path, "campaign")) as store:
        told = {f"calculation-{number}": name for name, all_ in won.items() for number in all_}
        assert {c.id: c.native_id for c in store.calculations()} == told
    assert sum(map(len, won.values())) == n


WRITE = """
import sys
from discover.records import CalculationState
from discover.store import open_store
from discover.store.conformance import calculation, candidate, observation

store = open_store(sys.argv[1], "campaign")
for number in range(int(sys.argv[2]), 10**9):
    store.add_candidates([candidate(20 * number + i) for i in range(20)])
    store.add_calculation(calculation(number))
    name = f"calculation-{number}"
    store.transition(name, CalculationState.PROPOSED, CalculationState.SUBMITTED)
    store.finish(name, CalculationState.SUBMITTED, [observation(number)])
    print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_acknowledged(path, start):
    acknowledged = []
    for first in range(0, 4 * 10**6, 10**6):
        process = start(WRITE, path, first)
        acknowledged += [int(process.stdout.readline()) for _ in range(25)]
        process.kill()
        acknowledged += map(int, process.communicate()[0].split())
        with closing(open_store(path, "campaign")) as store:
            done = {c.order for c in store.calculations(frozenset({CalculationState.DONE}))}
            assert set(acknowledged) <= done
            assert {o.candidate for o in store.observations()} == {f"candidate-{n}" for n in done}
            assert sum(store.count_candidates().values()) % 20 == 0  # batches come whole


def test_a_folder_copied_after_a_kill_holds_everything(path, start):
    process = start(WRITE, path, 0)
    acknowledged = [int(process.stdout.readline()) for _ in range(10)]
    process.kill()
    process.wait()
    copy = path.parent.with_name("copy")
    shutil.copytree(path.parent, copy)
    with closing(open_store(copy / path.name, "campaign")) as store:
        assert len(store.observations()) >= len(acknowledged)


def test_threads_share_a_store(path):
    with closing(open_store(path, "campaign")) as store:
        store.acquire_lease(lease("holder", 0.0))
        store.add_calculation(calculation(0))

        def work(number):
            store.renew_lease("holder", float(number))
            store.add_candidates([candidate(number)])
            try:
                store.transition("calculation-0", PROPOSED, SUBMITTED, native_id=str(number))
            except StateConflictError:
                return 0
            return len(list(store.candidates())) > 0

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(work, range(200))) == 1
        assert sum(store.count_candidates().values()) == 200


# --- what others may not write, and what is damaged -----------------------------------------------


def test_a_damaged_record(path):
    with closing(open_store(path, "campaign")) as store:
        store.add_calculation(calculation(1))
        execute(path, "UPDATE calculations SET record = '{}'")
        with pytest.raises(StoreError, match="damaged Calculation"):
            store.calculation("calculation-1")


@pytest.fixture
def protected(path):
    """The store's folder as somebody sees it who may read it and nothing else."""
    view = path.parent.with_name("read-only view")
    view.mkdir()
    mount = ["mount", "--bind", path.parent, view]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("file systems cannot be mounted here (not root, or a container)")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", view], check=True)
        yield view / path.name
    finally:
        subprocess.run(["umount", view], check=True)


def test_a_store_that_cannot_be_written_is_read(path, protected):
    with closing(open_store(path, "campaign")) as store:
        store.add_candidates([candidate(1)])
    with pytest.raises(StoreError, match="writ"):
        open_store(protected, "campaign")
    with closing(open_store(protected, "campaign", read_only=True)) as store:
        assert list(store.candidates()) == [candidate(1)]
        assert store.lease() is None


def test_a_store_that_somebody_else_writes_is_read(path, protected, start):
    process = start(WRITE, path, 0)
    acknowledged = [int(process.stdout.readline()) for _ in range(10)]
    with closing(open_store(protected, "campaign", read_only=True)) as store:
        assert len(store.observations()) >= len(acknowledged)
    process.kill()  # its write-ahead log stays
    process.wait()
    with closing(open_store(protected, "campaign", read_only=True)) as store:
        assert len(store.observations()) >= len(acknowledged)
