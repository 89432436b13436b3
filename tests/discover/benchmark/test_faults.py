"""The fault benchmark's own judgement: it must see what is lost, doubled or stuck, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from discover.benchmark.faults import is_finished, run, spec
from discover.benchmark.faults_kind import Alloys, append
from discover.benchmark.faults_outages import Killer, fill_disk, lock_stores, small_disk
from discover.benchmark.faults_record import (
    Event,
    ResultWatcher,
    judge_log,
    judge_store,
    read_log,
)
from discover.benchmark.faults_service import Found, kind_of
from discover.errors import CampaignError
from discover.folder import CampaignFolder
from discover.processes import Process
from discover.records import CalculationState
from discover.store import open_store
from discover.store.conformance import calculation, observation
from generators.conformance import GeneratorConformance

DONE, FAILED, RUNNING = CalculationState.DONE, CalculationState.FAILED, CalculationState.RUNNING


def event(what: str, at: float, pid: int = 1, job: str = "a", campaign: str = "one") -> Event:
    return Event(what, campaign, job, pid, at, 1.0)


def test_a_job_that_was_killed_and_computed_again_is_not_doubled() -> None:
    log = [
        event("begin", 1, pid=1),
        event("begin", 5, pid=2),
        event("end", 7, pid=2),
        event("begin", 1, pid=3, campaign="two"),  # the same question in another campaign
        event("end", 6, pid=3, campaign="two"),
    ]
    assert judge_log(log, {"one/a": 7.1, "two/a": 6.1}) == []


def test_what_runs_twice_at_once_or_after_its_result_is_doubled() -> None:
    at_once = [event("begin", 1), event("begin", 2, pid=2), event("end", 3), event("end", 4, pid=2)]
    assert judge_log(at_once, {"one/a": 9.0}) == ["one/a: two processes computed it at once"]
    again = [event("begin", 1), event("end", 3), event("begin", 4, pid=2), event("end", 5, pid=2)]
    assert judge_log(again, {"one/a": 3.1}) == ["one/a: computed again after its result was there"]


def test_the_store_is_compared_with_what_the_jobs_found() -> None:
    done = [calculation(n).model_copy(update={"state": DONE}) for n in range(2)]
    seen = [observation(n) for n in range(2)]
    values = {o.calculation or "": o.value for o in seen}
    assert judge_store("one", done, seen, values) == ([], [])
    lost, doubled = judge_store("one", done, seen[:1], values)
    assert ["calculation-1" in line for line in lost] == [True]
    assert not doubled
    running = [done[0], done[1].model_copy(update={"state": RUNNING})]
    assert len(judge_store("one", running, seen, values)[0]) == 1
    failed = [*done, calculation(2).model_copy(update={"state": FAILED, "reason": "killed"})]
    assert judge_store("one", failed, seen, values)[0] == ["one/calculation-2: failed: killed"]
    assert judge_store("one", done, seen, {})[0]  # done, and no job says so
    twice = seen[0].model_copy(update={"id": "again"})
    assert len(judge_store("one", done, [*seen, twice], values)[1]) == 1
    same_pick = done[1].model_copy(update={"order": done[0].order})
    assert len(judge_store("one", [done[0], same_pick], seen, values)[1]) >= 1


def test_the_log_of_the_jobs_leaves_out_what_a_kill_cut_short(tmp_path: Path) -> None:
    log = tmp_path / "jobs.log"
    assert read_log(log) == []
    append(log, "begin", tmp_path / "one" / "jobs" / "a", 2.0)
    with log.open("a") as file:
        file.write('{"event": "e')
    (only,) = read_log(log)
    assert (only.event, only.campaign, only.job, only.pid) == ("begin", "one", "a", os.getpid())


def test_a_result_that_is_written_again_is_noticed(tmp_path: Path) -> None:
    result = tmp_path / "one" / "jobs" / "a" / "result.json"
    result.parent.mkdir(parents=True)
    result.write_text("1")
    with ResultWatcher(tmp_path) as watcher:
        watcher.look()
        assert not watcher.changed
        result.write_text("2")
        watcher.look()
        assert watcher.changed == {result}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("python -m discover.calculations DIR", "job"),
        (
            "python -m discover.dispatch.local_job DIR -- python -m discover.calculations",
            "beside a job",
        ),
        ("python -m discover.page --port 4280", "page"),
        ("python -m flows.service", "service"),
        ("python -m discover up --foreground", "up"),
        ("python -m prefect server start --host 127.0.0.1", "server"),
        ("python -B -c|from multiprocessing.spawn import spawn_main; spawn_main(3)", "steering"),
        ("python -m prefect.engine", "steering"),
        ("python -B -c|from multiprocessing.resource_tracker import main;main(19)", "other"),
        ("squeue --noheader", "other"),
    ],
)
def test_processes_are_told_apart(words: str, kind: str) -> None:
    first, _, last = words.partition("|")
    assert kind_of([*first.split(), *([last] if last else [])]) == kind


def test_kills_are_the_same_for_a_seed_and_hit_only_what_belongs_to_the_service() -> None:
    started = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    try:
        kinds = ("job", "page", "other")
        found = [
            Found(kind, Process.of(one.pid), ("sleep",))
            for kind, one in zip(kinds, started, strict=True)
        ]
        told: list[str] = []
        killer = Killer(lambda: [f for f in found if f.process.is_alive], 1.0, 3, told.append)
        for _ in range(5):
            killer.kill_one()
            time.sleep(0.05)
        assert killer.killed == {"job": 1, "page": 1}
        assert len(told) == 2
        assert started[2].poll() is None
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_a_locked_store_is_out_of_reach_until_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with closing(open_store(path, "test")) as store:
        locked = threading.Event()
        locking = threading.Thread(target=lock_stores, args=([path], 1.0, locked.set))
        locking.start()
        assert locked.wait(60)
        before = time.monotonic()
        store.set_value("stop", True)  # waits as long as others write
        assert time.monotonic() - before > 0.2
        locking.join()
        assert store.value("stop") is True


def test_a_disk_is_full_for_a_while(tmp_path: Path) -> None:
    with small_disk(tmp_path, 4) as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here (it needs root)")
        filling = threading.Thread(target=fill_disk, args=(tmp_path, 0.3))
        filling.start()
        deadline = time.monotonic() + 20
        while shutil.disk_usage(tmp_path).free and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "x").write_bytes(bytes(5000))
        filling.join()
        (tmp_path / "x").write_bytes(bytes(5000))


def test_a_campaign_is_finished_when_its_store_says_so(tmp_path: Path) -> None:
    folder = CampaignFolder.at(tmp_path)
    assert not is_finished(folder)
    folder.spec_file.write_text(json.dumps(spec(0, 4, 1.0).model_dump(mode="json")))
    assert not is_finished(folder)
    with closing(folder.open_store(folder.load())) as store:
        store.set_value("stopped", "the space is exhausted")
        assert not is_finished(folder)
        store.set_value("stopped", "budget: 4 calculations")
    assert is_finished(folder)


class TestAlloys(GeneratorConformance):
    @pytest.fixture
    def make_generator(self) -> type[Alloys]:
        return Alloys


def test_an_own_folder_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(CampaignError, match="is not empty"):
        run(minutes=0.5, out=tmp_path)


def test_the_command_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "discover", "benchmark", "faults", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Kill every process" in done.stdout
