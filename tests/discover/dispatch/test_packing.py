"""Packed jobs on a real Slurm: arrays of allocations, and allocations that are killed.

The contract of dispatchers is checked in test_remote.py, through SSH.
"""

import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from discover.calculations.job import HISTORY, read_result
from discover.dispatch.base import JobState
from discover.dispatch.conformance import _job
from discover.dispatch.machines import MachineProfile
from discover.dispatch.slurm import SlurmDispatcher
from discover.errors import DispatchError

QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState
BULK = {
    "resources": {"cores_per_task": 2, "wall_time_minutes": 10},
    "idle_seconds": 1,
    "gather_seconds": 0.2,
    "save_seconds": 5,
}
HOLD = "touch begun; while [ ! -e go ]; do sleep 0.1; done"


def profile(pre=(), **bulk):
    return MachineProfile.model_validate(
        {
            "scheduler": "slurm",
            "poll_seconds": 0.3,
            "answer_seconds": 20,
            "settle_seconds": 2,
            "resources": {"pre": pre},
            "bulk": BULK | bulk,
        }
    )


def wait_until(condition, what):
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)


def test_an_allocation_is_killed_and_nothing_is_lost_or_repeated(slurm, tmp_path):
    """Four jobs, asked for as one array of two; what the killed one had begun goes on in a third."""
    one_core = BULK["resources"] | {"cores_per_task": 1}
    machine = profile([HOLD], resources=one_core, allocations=2, idle_seconds=3)
    dispatcher = SlurmDispatcher(tmp_path / "slots", machine=machine)
    before = slurm.submitted()
    jobs = [_job(tmp_path / name, 3.6 + 0.01 * i) for i, name in enumerate("abcd")]
    asked = [(dispatcher.submit(job), job) for job in jobs]

    def states():
        return [status.state for status in dispatcher.poll(asked)]

    wait_until(lambda: states().count(RUNNING) == 2, "two of them run")
    allocations = tmp_path / "slots" / "bulk" / "allocations"
    ids = {
        path.name: json.loads((path / "submission.json").read_text())["native_id"]
        for path in allocations.iterdir()
    }
    assert len(ids) == 2
    assert {native_id.partition("_")[2] for native_id in ids.values()} == {"1", "2"}
    assert len({native_id.partition("_")[0] for native_id in ids.values()}) == 1
    begun = [job for job in jobs if (job / "begun").exists()]
    (begun[0] / "go").touch()
    wait_until(lambda: states().count(ENDED) == 1, "one is done")
    (claim,) = allocations.glob(f"*/claims/*-{token(begun[1])}.json")
    killed = claim.parents[1]
    (begun[1] / "begun").unlink()
    kill_in(killed)
    wait_until(lambda: states() and not claim.exists(), "its job is put back")
    (past,) = tmp_path.glob(f"slots/bulk/past/{killed.name}")
    assert json.loads((past / "exit.json").read_text())["cause"] == "lost"
    assert slurm.submitted() >= before + 3  # an array of two, and the probe of `submitted` itself
    wait_until(lambda: not processes_in(begun[1]) or (begun[1] / "begun").exists(), "Slurm ends it")
    for job in jobs:
        (job / "go").touch()
    wait_until(lambda: states() == [ENDED] * 4, "all are done")
    assert (begun[1] / "begun").exists()  # it was started anew
    for job in jobs:
        assert read_result(job).status == "done"
        assert (job / HISTORY).read_text().count('"start"') == 1
    wait_until(lambda: states() and not list(allocations.iterdir()), "allocations end when idle")


def kill_in(folder):
    """SIGKILL to the script of an allocation and to what serves as one, so that nobody notes anything."""
    for process in processes_in(folder):
        with suppress(OSError):
            os.kill(process, signal.SIGKILL)


def processes_in(folder):
    """Processes whose working directory this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


def test_an_allocation_that_waits_is_waited_for(slurm, tmp_path):
    """One alone is an array too, and seen as such; nobody asks for a second one meanwhile."""
    hold = BULK["resources"] | {"directives": ["#SBATCH --hold"]}
    machine = profile(resources=hold).model_copy(update={"settle_seconds": 0})
    dispatcher = SlurmDispatcher(tmp_path / "slots", machine=machine)
    job = _job(tmp_path / "job", 3.6)
    asked = [(dispatcher.submit(job), job)]
    bulk = tmp_path / "slots" / "bulk"
    wait_until(lambda: dispatcher.poll(asked) and list(bulk.glob("allocations/*")), "it is asked")
    (allocation,) = bulk.glob("allocations/*")
    for _ in range(3):
        dispatcher._queue.forget()
        assert dispatcher.poll(asked)[0].state is QUEUED
    assert list(bulk.glob("allocations/*")) == [allocation]
    assert not list(bulk.glob("past/*"))
    subprocess.run(["scontrol", "release", token(allocation, "native_id")], check=True)
    wait_until(lambda: dispatcher.poll(asked)[0].state is ENDED, "it is done")
    assert read_result(job).status == "done"


def token(job, key="token"):
    return json.loads((job / "submission.json").read_text())[key]


def test_allocations_that_cannot_begin_fail_their_jobs_with_a_reason(slurm, tmp_path):
    """A wrong partition at once; a python that is not there after a few tries."""
    nowhere = profile(resources=BULK["resources"] | {"queue": "nowhere"})
    broken = profile(resources=BULK["resources"] | {"python": "/nowhere/python"})
    for name, machine, reason in (
        ("a", nowhere, "partition"),
        ("b", broken, "3 allocations in a row .* exit code 127"),
    ):
        dispatcher = SlurmDispatcher(tmp_path / f"slots-{name}", machine=machine)
        job = _job(tmp_path / name, 3.6)
        asked = [(dispatcher.submit(job), job)]
        wait_until(lambda d=dispatcher, a=asked: d.poll(a)[0].state is ENDED, "it is given up")
        status = dispatcher.poll(asked)[0]
        assert re.search(reason, status.reason), status.reason
        assert not status.retryable


def test_a_job_that_fits_into_no_allocation_is_refused(slurm, tmp_path):
    dispatcher = SlurmDispatcher(tmp_path / "slots", machine=profile(), threads=64)
    with pytest.raises(DispatchError, match=r"asks for 64 cores.*an allocation has 2"):
        dispatcher.submit(_job(tmp_path / "job", 3.6))
