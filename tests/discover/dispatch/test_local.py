"""Local jobs as real processes: slots, limits, and every process killed at every stage."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from discover import plugins
from discover.dispatch.base import JobState
from discover.dispatch.conformance import DispatcherConformance
from discover.dispatch.local import LocalDispatcher
from discover.dispatch.local_job import machine_cap, machine_cap_file
from discover.errors import DispatchError
from discover.processes import Process, process_ticks

QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState

JOB = """
import json, os, signal, subprocess, sys, time
from pathlib import Path

directory = Path(sys.argv[1])
plan = json.loads((directory / "input.json").read_text())
with (directory / "runs").open("a") as runs:
    print(os.getpid(), Path.cwd(), os.environ["OMP_NUM_THREADS"], file=runs)
if plan.get("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if plan.get("leaves_a_process"):
    rank = subprocess.Popen(["sleep", "1000"], close_fds=False)
    (directory / "rank").write_text(str(rank.pid))
print("computing")
(directory / "begun").touch()
while plan.get("waits") and not (directory / "go").exists():
    time.sleep(0.02)
if "signal" in plan:
    os.kill(os.getpid(), plan["signal"])
if "exit" in plan:
    sys.exit(plan["exit"])
(directory / "result.json").write_text("{}")
"""
COMMAND = (sys.executable, "-c", JOB)


class TestConformance(DispatcherConformance):
    @pytest.fixture
    def make_dispatcher(self, tmp_path):
        return lambda: LocalDispatcher(tmp_path / ".slots", jobs=2)


class Machine:
    """Job directories below one folder and dispatchers that share their slots."""

    def __init__(self, root):
        self.root = root
        self.directories = []

    def dispatcher(self, jobs=2, wall_time_minutes=5.0):
        return LocalDispatcher(
            self.root / ".slots",
            jobs=jobs,
            threads=3,
            wall_time_minutes=wall_time_minutes,
            command=COMMAND,
        )

    def job(self, **plan):
        directory = self.root / f"job {len(self.directories)}"
        directory.mkdir(parents=True)
        (directory / "input.json").write_text(json.dumps(plan))
        self.directories.append(directory)
        return directory


@pytest.fixture
def machine(tmp_path):
    machine = Machine(tmp_path / "a campaign's jobs")
    yield machine
    for directory in machine.directories:
        machine.dispatcher().cancel("", directory)


def wait_until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def state(dispatcher, directory):
    return dispatcher.poll([("", directory)])[0].state


def wait_for(dispatcher, directory, *states):
    wait_until(lambda: state(dispatcher, directory) in states, f"{directory} is {states}")
    return dispatcher.poll([("", directory)])[0]


def begun(directory):
    wait_until((directory / "begun").exists, f"{directory} has begun")


def runs(directory):
    path = directory / "runs"
    return path.read_text().splitlines() if path.exists() else []


def pid_of_job(directory):
    return Process.parse(json.loads((directory / "started.json").read_text())["process"]).pid


# --- a job's life ---------------------------------------------------------------------------------


def test_a_job_runs_to_its_end(machine):
    dispatcher, directory = machine.dispatcher(), machine.job()
    before = time.time()
    native_id = dispatcher.submit(directory)
    status = wait_for(dispatcher, directory, ENDED)
    assert (status.exit_code, status.reason) == (0, None)
    assert before <= status.started_at <= status.ended_at <= time.time()
    assert (directory / "native_id").read_text() == native_id
    (run,) = runs(directory)
    assert run.endswith(f" {directory} 3")
    assert "computing" in (directory / "job.log").read_text()


@pytest.mark.parametrize(
    ("plan", "exit_code", "reason"),
    [
        ({"exit": 3}, 3, "it ended with exit code 3"),
        ({"signal": signal.SIGKILL}, -9, "it was killed by SIGKILL"),
        ({"signal": signal.SIGSEGV}, -11, "it was killed by SIGSEGV"),
    ],
)
def test_a_job_that_fails(machine, plan, exit_code, reason):
    dispatcher, directory = machine.dispatcher(), machine.job(**plan)
    dispatcher.submit(directory)
    status = wait_for(dispatcher, directory, ENDED)
    assert (status.exit_code, status.reason, status.retryable) == (exit_code, reason, True)


def test_a_job_with_its_result_is_not_run_again(machine):
    dispatcher, directory = machine.dispatcher(), machine.job()
    native_id = dispatcher.submit(directory)
    wait_for(dispatcher, directory, ENDED)
    wait_until(lambda: not Process.parse(native_id).is_alive, "the job's lock is free")
    assert dispatcher.submit(directory) == native_id
    assert state(dispatcher, directory) == ENDED
    assert len(runs(directory)) == 1


def test_a_job_that_failed_is_run_again_with_the_log_kept(machine):
    dispatcher, directory = machine.dispatcher(), machine.job(exit=1)
    first = dispatcher.submit(directory)
    wait_for(dispatcher, directory, ENDED)
    wait_until(lambda: not Process.parse(first).is_alive, "the job's lock is free")
    (directory / "input.json").write_text("{}")
    assert dispatcher.submit(directory) != first
    wait_until((directory / "result.json").exists, "the second attempt has its result")
    assert wait_for(dispatcher, directory, ENDED).exit_code == 0
    log = (directory / "job.log").read_text()
    assert log.count("=== submitted at") == log.count("computing") == len(runs(directory)) == 2


def test_a_job_that_nobody_submitted_is_lost(machine):
    dispatcher, directory = machine.dispatcher(), machine.job()
    assert state(dispatcher, directory) == LOST
    assert state(dispatcher, directory / "nowhere") == LOST


def test_ended_jobs_leave_no_zombies(machine):
    dispatcher = machine.dispatcher()
    directories = [machine.job() for _ in range(3)]
    ids = [dispatcher.submit(d) for d in directories]
    pids = [int(native_id.partition(":")[0]) for native_id in ids]

    def all_gone():
        dispatcher.poll([])
        return not any(os.path.exists(f"/proc/{pid}") for pid in pids)  # noqa: PTH110

    wait_until(all_gone, "all processes beside the jobs are reaped")
    assert all(state(dispatcher, d) == ENDED for d in directories)


# --- slots ----------------------------------------------------------------------------------------


def test_jobs_wait_for_a_slot_whoever_submitted_them(machine):
    first, second = machine.dispatcher(jobs=2), machine.dispatcher(jobs=2)
    directories = [machine.job(waits=True) for _ in range(4)]
    for dispatcher, directory in zip((first, second, first, second), directories, strict=True):
        dispatcher.submit(directory)
    waiting = set(directories)
    while waiting:
        slots_taken = min(2, len(waiting))
        wait_until(lambda n=slots_taken: len(running(waiting)) == n, "all slots are taken")
        in_slots = running(waiting)
        assert {state(second, d) for d in in_slots} == {RUNNING}
        assert {state(second, d) for d in waiting - in_slots} <= {QUEUED}
        released = min(in_slots)
        (released / "go").touch()
        assert wait_for(second, released, ENDED).exit_code == 0
        waiting.remove(released)
    assert most_at_once(directories) == 2


def test_the_jobs_of_all_campaigns_share_the_slots_of_the_machine(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    machine_cap_file().write_text("1\n")
    other = Machine(tmp_path / "another campaign's jobs")
    directories = [machine.job(), other.job(), machine.job(), other.job()]
    for place, directory in zip((machine, other, machine, other), directories, strict=True):
        place.dispatcher(jobs=2).submit(directory)
    for directory in directories:
        assert wait_for(machine.dispatcher(), directory, ENDED).exit_code == 0
    assert most_at_once(directories) == 1


@pytest.mark.parametrize(
    ("file", "variable", "cap"),
    [
        (None, None, None),
        ("3\n", None, 3),
        ("3", "5", 5),
        ("3", "0", None),
        ("0", None, None),
        ("many", None, None),
        ("3", "", None),
    ],
)
def test_the_cap_of_the_machine(file, variable, cap, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))
    monkeypatch.delenv("DISCOVER_LOCAL_JOBS", raising=False)
    if file is not None:
        machine_cap_file().write_text(file)
    if variable is not None:
        monkeypatch.setenv("DISCOVER_LOCAL_JOBS", variable)
    assert machine_cap() == cap


def running(directories):
    return {d for d in directories if (d / "begun").exists()}


def most_at_once(directories):
    ends = [json.loads((d / "exit.json").read_text()) for d in directories]
    return max(
        sum(other["started_at"] <= one["started_at"] < other["ended_at"] for other in ends)
        for one in ends
    )


# --- limits and cancelling ------------------------------------------------------------------------


def test_a_job_is_ended_after_its_wall_time(machine):
    dispatcher = machine.dispatcher(wall_time_minutes=0.01)
    directory = machine.job(waits=True)
    dispatcher.submit(directory)
    status = wait_for(dispatcher, directory, ENDED)
    assert status.exit_code == -signal.SIGTERM
    assert status.reason == "its wall time of 0.01 min was over"
    assert not status.retryable
    assert process_ticks(pid_of_job(directory)) is None


def test_a_running_job_is_cancelled_with_all_its_processes(machine):
    dispatcher = machine.dispatcher()
    directory = machine.job(waits=True, stubborn=True, leaves_a_process=True)
    native_id = dispatcher.submit(directory)
    begun(directory)
    machine.dispatcher().cancel(native_id, directory)
    status = dispatcher.poll([(native_id, directory)])[0]
    assert (status.state, status.reason, status.retryable) == (ENDED, "cancelled", False)
    assert status.exit_code == -signal.SIGKILL
    assert process_ticks(int((directory / "rank").read_text())) is None
    dispatcher.cancel(native_id, directory)


def test_what_a_job_leaves_behind_is_ended(machine):
    dispatcher, directory = machine.dispatcher(), machine.job(leaves_a_process=True)
    dispatcher.submit(directory)
    assert wait_for(dispatcher, directory, ENDED).exit_code == 0
    rank = int((directory / "rank").read_text())
    wait_until(lambda: process_ticks(rank) is None, "the process left behind has ended")


def test_a_queued_job_is_cancelled_and_its_slot_stays_free(machine):
    dispatcher = machine.dispatcher(jobs=1)
    busy, queued = machine.job(waits=True), machine.job()
    dispatcher.submit(busy)
    begun(busy)
    native_id = dispatcher.submit(queued)
    assert state(dispatcher, queued) == QUEUED
    dispatcher.cancel(native_id, queued)  # it may not even be up yet
    status = dispatcher.poll([(native_id, queued)])[0]
    assert (status.state, status.reason, status.exit_code) == (ENDED, "cancelled", None)
    assert runs(queued) == []
    assert state(dispatcher, busy) == RUNNING


def test_cancelling_what_is_over_changes_nothing(machine):
    dispatcher, done, never = machine.dispatcher(), machine.job(), machine.job()
    dispatcher.submit(done)
    before = wait_for(dispatcher, done, ENDED)
    dispatcher.cancel("", done)
    dispatcher.cancel("", never)
    assert dispatcher.poll([("", done)]) == [before]
    assert not (never / "exit.json").exists()


def test_a_cancelled_job_can_be_submitted_again(machine):
    dispatcher, directory = machine.dispatcher(), machine.job(waits=True)
    dispatcher.submit(directory)
    begun(directory)
    dispatcher.cancel("", directory)
    (directory / "go").touch()
    dispatcher.submit(directory)
    wait_until((directory / "result.json").exists, "it has its result")
    assert wait_for(dispatcher, directory, ENDED).exit_code == 0
    assert len(runs(directory)) == 2


# --- kills ----------------------------------------------------------------------------------------


def test_the_process_beside_a_job_is_killed(machine):
    """The job goes on, keeps its slot, is not started twice, and its result counts."""
    dispatcher = machine.dispatcher(jobs=1)
    directory, queued = machine.job(waits=True), machine.job()
    native_id = dispatcher.submit(directory)
    begun(directory)
    Process.parse(native_id).send(signal.SIGKILL)
    wait_until(lambda: not Process.parse(native_id).is_alive, "it is dead")
    assert state(dispatcher, directory) == RUNNING
    assert machine.dispatcher().submit(directory) == native_id
    dispatcher.submit(queued)
    assert state(dispatcher, queued) == QUEUED
    (directory / "go").touch()
    assert wait_for(dispatcher, directory, ENDED).exit_code is None
    assert wait_for(dispatcher, queued, ENDED).exit_code == 0
    assert len(runs(directory)) == 1


@pytest.mark.parametrize("wall_time_minutes", [0.02, 5.0])
def test_a_job_without_the_process_beside_it_can_be_ended(machine, wall_time_minutes):
    """By its wall time when somebody polls, or by cancelling it."""
    dispatcher = machine.dispatcher(wall_time_minutes=wall_time_minutes)
    directory = machine.job(waits=True)
    native_id = dispatcher.submit(directory)
    begun(directory)
    Process.parse(native_id).send(signal.SIGKILL)
    if wall_time_minutes == 5.0:
        machine.dispatcher().cancel("", directory)
    status = wait_for(dispatcher, directory, ENDED)
    assert status.reason == (
        "cancelled" if wall_time_minutes == 5.0 else "its wall time of 0.02 min was over"
    )
    assert not status.retryable
    assert process_ticks(pid_of_job(directory)) is None


def test_a_job_is_killed(machine):
    dispatcher, directory = machine.dispatcher(), machine.job(waits=True)
    dispatcher.submit(directory)
    begun(directory)
    os.kill(pid_of_job(directory), signal.SIGKILL)
    status = wait_for(dispatcher, directory, ENDED)
    assert (status.exit_code, status.reason) == (-9, "it was killed by SIGKILL")
    assert status.retryable


def test_both_are_killed_and_the_job_is_run_again(machine):
    dispatcher, directory = machine.dispatcher(jobs=1), machine.job(waits=True)
    native_id = dispatcher.submit(directory)
    begun(directory)
    Process.parse(native_id).send(signal.SIGKILL)
    os.kill(pid_of_job(directory), signal.SIGKILL)
    status = wait_for(dispatcher, directory, LOST)
    assert status.retryable
    (directory / "go").touch()
    assert dispatcher.submit(directory) != native_id
    assert wait_for(dispatcher, directory, ENDED).exit_code == 0
    assert len(runs(directory)) == 2


def test_the_process_beside_a_queued_job_is_killed(machine):
    dispatcher = machine.dispatcher(jobs=1)
    busy, queued = machine.job(waits=True), machine.job()
    dispatcher.submit(busy)
    begun(busy)
    Process.parse(dispatcher.submit(queued)).send(signal.SIGKILL)
    wait_for(dispatcher, queued, LOST)
    assert runs(queued) == []


SUBMIT = """
import sys, time
from pathlib import Path
from discover.dispatch.local import LocalDispatcher
from discover.dispatch.local_job import machine_cap, machine_cap_file

slots, command, *directories = sys.argv[1:]
dispatcher = LocalDispatcher(Path(slots), jobs=2, threads=3, command=(sys.executable, "-c", command))
for directory in directories:
    print(dispatcher.submit(Path(directory)), flush=True)
time.sleep(1000)
"""


def steering_process(machine, directories):
    return subprocess.Popen(
        [sys.executable, "-c", SUBMIT, machine.root / ".slots", JOB, *directories],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_submitting_process_is_killed(machine):
    finished, running, other, queued = (
        machine.job(),
        machine.job(waits=True),
        machine.job(waits=True),
        machine.job(),
    )
    directories = [finished, running, other, queued]
    dispatcher = machine.dispatcher(jobs=2)
    steering = [steering_process(machine, [finished])]
    wait_for(dispatcher, finished, ENDED)
    steering.append(steering_process(machine, [running, other]))
    begun(running)
    begun(other)
    steering.append(steering_process(machine, [queued]))
    ids = [process.stdout.readline().strip() for process in (*steering[:2], *steering[1:])]
    for process in steering:
        process.kill()
        process.communicate()

    expected = [ENDED, RUNNING, RUNNING, QUEUED]
    statuses = dispatcher.poll(list(zip(ids, directories, strict=True)))
    assert [s.state for s in statuses] == expected
    assert [dispatcher.submit(d) for d in directories] == ids
    for directory in (running, other):
        (directory / "go").touch()
    for directory in directories:
        assert wait_for(dispatcher, directory, ENDED).exit_code == 0
        assert len(runs(directory)) == 1


def test_a_job_submitted_by_many_at_once_runs_once(machine):
    directory = machine.job(waits=True)
    processes = [steering_process(machine, [directory]) for _ in range(2)]
    dispatchers = [machine.dispatcher() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda n: dispatchers[n % 4].submit(directory), range(16)))
    ids += [process.stdout.readline().strip() for process in processes]
    for process in processes:
        process.kill()
        process.communicate()
    (directory / "go").touch()
    assert wait_for(dispatchers[0], directory, ENDED).exit_code == 0
    assert len(set(ids)) == 1
    assert len(runs(directory)) == 1


# --- what is not right ----------------------------------------------------------------------------


def test_a_directory_that_is_not_there(machine):
    with pytest.raises(DispatchError, match="nowhere"):
        machine.dispatcher().submit(machine.root / "nowhere")


def test_a_record_that_cannot_be_read_is_unknown_not_failed(machine):
    dispatcher, directory = machine.dispatcher(), machine.job()
    dispatcher.submit(directory)
    wait_for(dispatcher, directory, ENDED)
    (directory / "exit.json").write_text("{")
    status = dispatcher.poll([("", directory)])[0]
    assert status.state == UNKNOWN
    assert str(directory) in status.reason


def test_it_is_the_built_in_dispatcher(machine):
    assert plugins.load("dispatchers", "local") is LocalDispatcher
    options = {"slots_directory": machine.root, "jobs": 0}
    (problem,) = plugins.option_problems(LocalDispatcher, options)
    assert problem[0] == "jobs"
