"""What befalls jobs on a cluster, provoked on a real Slurm: no memory, preemption, a node that fails."""

import subprocess
import time

import pytest

from discover.calculations.job import read_result
from discover.dispatch.base import JobState
from discover.dispatch.conformance import _job
from discover.dispatch.machines import MachineProfile
from discover.dispatch.slurm import SlurmDispatcher

QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState
HOLD = "touch begun; while [ ! -e go ]; do sleep 0.1; done"
# Takes 300 MB, and then becomes the calculation.
EATS = (
    "python3 -c 'import os, sys; x = bytearray(300 * 2**20); os.execvp(sys.argv[1], sys.argv[1:])'"
)


def dispatcher(folder, **resources):
    profile = {"scheduler": "slurm", "poll_seconds": 0.3, "answer_seconds": 20, "settle_seconds": 2}
    return SlurmDispatcher(
        folder, machine=MachineProfile.model_validate(profile | {"resources": resources})
    )


def wait_for(one, job, *states):
    deadline = time.monotonic() + 240
    while (status := one.poll([("", job)])[0]).state not in states:
        assert time.monotonic() < deadline, status
        time.sleep(0.2)
    return status


def wait_until(path):
    deadline = time.monotonic() + 240
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.1)


def ask(*command, check=True):
    subprocess.run(command, check=check, capture_output=True, timeout=60)


def test_out_of_memory_is_tried_again_with_more(slurm, tmp_path):
    if "TaskPlugin=task/cgroup" not in (slurm.folder / "slurm.conf").read_text():
        pytest.skip("no control group for memory can be made here: Slurm cannot limit memory")
    one = dispatcher(tmp_path, memory_per_node_gb=0.2, launcher=EATS)
    job = _job(tmp_path / "job", 3.6)
    one.submit(job)
    status = wait_for(one, job, ENDED, LOST)
    assert (status.state, status.exit_code, status.retryable) == (ENDED, -9, True)
    assert "memory" in status.reason
    assert "oom-kill" in (job / "scheduler.log").read_text()
    assert read_result(job) is None
    one.submit(job)
    assert "#SBATCH --mem=400M" in (job / "job.sh").read_text()
    assert wait_for(one, job, ENDED, LOST).exit_code == 0
    assert read_result(job).status == "done"


@pytest.mark.parametrize(("partition", "again"), [("debug", False), ("yields", True)])
def test_preempted(slurm, tmp_path, partition, again):
    """A job that Slurm puts back is waited for; one that it ends is handed over again."""
    one = dispatcher(tmp_path, pre=[HOLD], queue=partition, cores_per_task=2)
    job = _job(tmp_path / "job", 3.6)
    native_id = one.submit(job)
    wait_until(job / "begun")
    ask("sbatch", "-p", "urgent", "-c", "2", "--output=/dev/null", "--wrap=sleep 1")
    if again:
        status = wait_for(one, job, ENDED, LOST)
        assert (status.state, status.retryable) == (ENDED, True)
        assert status.reason == "it had to make way for other jobs"
        assert one.submit(job) != native_id
    else:
        wait_for(one, job, QUEUED)
        assert one.submit(job) == native_id
        ask("scontrol", "update", f"JobId={native_id}", "StartTime=now")
    (job / "go").touch()
    assert wait_for(one, job, ENDED, LOST).exit_code == 0
    assert read_result(job).status == "done"


@pytest.mark.parametrize("again", [False, True])
def test_its_node_fails(slurm, tmp_path, again):
    """Slurm puts the job back, or where that is forbidden says that the node failed."""
    more = ["#SBATCH --no-requeue"] if again else []
    one = dispatcher(tmp_path, pre=[HOLD], directives=more)
    job = _job(tmp_path / "job", 3.6)
    native_id = one.submit(job)
    wait_until(job / "begun")
    ask("scontrol", "update", f"NodeName={slurm.node}", "State=DOWN", "Reason=test")
    try:
        if again:
            status = wait_for(one, job, ENDED, LOST)
            assert (status.state, status.reason) == (ENDED, "its node failed")
            assert status.retryable
        else:
            wait_for(one, job, QUEUED)
    finally:
        # Refused where the node is back by itself.
        ask("scontrol", "update", f"NodeName={slurm.node}", "State=RESUME", check=False)
    if not again:  # Slurm has it wait for two minutes before it may start on this node again
        assert one.submit(job) == native_id
        one.cancel(native_id, job)
        return
    assert one.submit(job) != native_id
    (job / "go").touch()
    assert wait_for(one, job, ENDED, LOST).exit_code == 0
    assert read_result(job).status == "done"
