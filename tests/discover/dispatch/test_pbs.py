"""PBS without a PBS: its script, and what its programs say, as recorded (PBS Pro's manual and sites)."""

import os
import stat
from dataclasses import replace

import pytest

from discover import plugins
from discover.dispatch.base import JobState
from discover.dispatch.conformance import _job
from discover.dispatch.machines import MachineProfile
from discover.dispatch.pbs import PBSDispatcher, PBSScheduler
from discover.dispatch.scheduler import NoAnswerError, Request
from discover.dispatch.submission import Submission
from discover.errors import DispatchError, MachineError, MissingDependencyError

pytest.importorskip("qtoolkit")
QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState

JOB = """\
Job Id: {id}
    Job_Name = {name}
    Job_Owner = me@login1.cluster
    resources_used.cpupercent = 98
    resources_used.cput = 00:41:07
    resources_used.mem = 1806028kb
    resources_used.ncpus = 4
    resources_used.walltime = 00:10:42
    job_state = {state}
    queue = workq
    server = pbs01
    Error_Path = login1.cluster:/home/me/jobs/a/scheduler.log
    Join_Path = oe
    Output_Path = login1.cluster:/home/me/jobs/a/scheduler.log
    Rerunable = True
    Resource_List.mem = 4000mb
    Resource_List.ncpus = 4
    Resource_List.nodect = 1
    Resource_List.place = scatter
    Resource_List.select = 1:ncpus=4:mpiprocs=2:ompthreads=2:mem=4000mb
    Resource_List.walltime = 01:00:00
    substate = 42
    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=C,PBS_O_WORKDIR=/home/me/jobs/a
    comment = Job run at Fri Nov 20 at 10:00 on (node07:ncpus=4:mem=4096000kb)
    {more}
    project = _pbs_project_default

"""


def job(native_id="12.pbs01", name="d1", state="R", more="etime = Fri Nov 20 09:59:58 2026"):
    return JOB.format(id=native_id, name=name, state=state, more=more)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Programs that say what is recorded: each prints its files `NAME.out` and `NAME.err`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PBSScheduler.programs:
        path = folder / name
        path.write_text(
            f'#!/bin/sh\necho "$@" >>{folder}/{name}.asked\ncat {folder}/{name}.out 2>/dev/null\n'
            f"cat {folder}/{name}.err >&2 2>/dev/null\nexit $(cat {folder}/{name}.code)\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def says(name, out="", err="", code=0):
        for ending, text in (("out", out), ("err", err), ("code", str(code))):
            (folder / f"{name}.{ending}").write_text(text)

    for name in PBSScheduler.programs:
        says(name)
    says.folder = folder
    return says


def test_the_header_asks_for_what_the_profile_says():
    machine = MachineProfile.model_validate(
        {
            "scheduler": "pbs",
            "resources": {
                "nodes": 2,
                "tasks_per_node": 16,
                "memory_per_node_gb": 64,
                "queue": "long",
                "account": "abc",
                "gpus_per_node": 4,
                "directives": ["#PBS -l filesystems=home"],
            },
        }
    )
    request = Request("d0123456789abcd", machine.resources, 3, 5400, 64000)
    lines = PBSScheduler(10).script(request, "echo body\n").splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == "echo body"
    assert set(filter(None, lines[1:-1])) == {
        "#PBS -q long",
        "#PBS -N d0123456789abcd",
        "#PBS -A abc",
        "#PBS -l select=2:ncpus=48:mpiprocs=16:ompthreads=3:ngpus=4:mem=64000mb",
        "#PBS -l walltime=1:30:0",
        "#PBS -l place=scatter",
        "#PBS -o scheduler.log",
        "#PBS -j oe",
        "#PBS -l filesystems=home",
    }


def test_an_array_is_asked_for_at_once_and_seen_one_by_one(programs):
    """As the server shows it: `qstat -t` and `qstat 12[2].pbs01`; a job of one is no array."""
    scheduler = PBSScheduler(10)
    request = Request("d1", MachineProfile(scheduler="pbs").resources, 1, 60, None)
    lines = scheduler.script(replace(request, array=3), "echo body\n").splitlines()
    assert "#PBS -J 1-3" in lines
    assert "#PBS -o scheduler.log.^array_index^" in lines
    assert "-J" not in scheduler.script(replace(request, array=1), "echo body\n")
    programs("qselect", "12[].pbs01\n")
    (found,) = scheduler.find("d1")
    ids = [scheduler.element(found, index) for index in (1, 2)]
    assert ids == ["12[1].pbs01", "12[2].pbs01"]
    assert scheduler.element("13.pbs01", 1) == "13.pbs01"
    programs("qstat", job(ids[0], state="R") + job(ids[1], state="X", more="Exit_status = -29"))
    seen = scheduler.look(ids)
    assert [seen[native_id].state for native_id in ids] == [RUNNING, ENDED]
    assert seen[ids[1]].cause == "time"


@pytest.mark.parametrize(
    ("state", "more", "told", "cause"),
    [
        ("Q", "", QUEUED, ""),
        ("H", "", QUEUED, ""),
        ("W", "", QUEUED, ""),
        ("R", "", RUNNING, ""),
        ("E", "", RUNNING, ""),
        ("S", "", RUNNING, ""),
        ("F", "Exit_status = 0", ENDED, ""),
        ("F", "Exit_status = 1", ENDED, ""),
        ("F", "Exit_status = 271", ENDED, ""),
        ("F", "Exit_status = -29", ENDED, "time"),
        ("F", "Exit_status = -27", ENDED, "memory"),
        ("F", "Exit_status = -20", ENDED, "node"),
        ("Z", "", UNKNOWN, ""),
    ],
)
def test_every_state_of_pbs_is_understood(programs, state, more, told, cause):
    programs("qstat", job(state=state, more=more or "etime = now") + job("13.pbs01", "d2"))
    seen = PBSScheduler(10).look(["12.pbs01", "13.pbs01"])
    assert (seen["12.pbs01"].state, seen["12.pbs01"].cause) == (told, cause)
    assert (seen["13.pbs01"].state, seen["13.pbs01"].name) == (RUNNING, "d2")
    assert seen["13.pbs01"].running_seconds == 642
    asked = (programs.folder / "qstat.asked").read_text()
    assert asked == "-x -f -w 12.pbs01 13.pbs01\n"


def test_forgotten_jobs_are_left_out_and_no_answer_is_told_apart(programs):
    scheduler = PBSScheduler(10)
    programs("qstat", job(), "qstat: Unknown Job Id 11.pbs01\n", 153)
    assert set(scheduler.look(["11.pbs01", "12.pbs01"])) == {"12.pbs01"}
    programs("qstat", "", "qstat: cannot connect to server pbs01 (errno=111)\n", 2)
    with pytest.raises(NoAnswerError, match="cannot connect"):
        scheduler.look(["12.pbs01"])


def test_a_job_from_submission_to_its_end_as_pbs_tells_it(programs, tmp_path):
    profile = MachineProfile.model_validate(
        {
            "scheduler": "pbs",
            "poll_seconds": 0.1,
            "settle_seconds": 0,
            "resources": {"memory_per_node_gb": 2},
        }
    )
    dispatcher = PBSDispatcher(tmp_path, machine=profile)
    directory = _job(tmp_path / "job", 3.6)
    programs("qsub", "12.pbs01\n")
    assert dispatcher.submit(directory) == "12.pbs01"
    name = Submission.of(directory).token

    def told():
        dispatcher._queue.forget()
        dispatcher._queue._retry_at = 0.0
        return dispatcher.poll([("12.pbs01", directory)])[0]

    programs("qstat", job(name=name, state="Q"))
    assert told().state is QUEUED
    assert dispatcher.submit(directory) == "12.pbs01"
    programs("qstat", "", "qstat: cannot connect to server pbs01 (errno=111)\n", 2)
    assert told().state is UNKNOWN
    programs("qstat", job(name=name))
    assert told().state is RUNNING
    programs("qstat", job(name=name, state="F", more="Exit_status = -27"))
    status = told()
    assert (status.state, status.retryable) == (ENDED, True)
    assert "more memory" in status.reason
    programs("qstat", "", "qstat: Unknown Job Id 12.pbs01\n", 153)
    assert told() == status  # the server forgets, the directory does not

    programs("qsub", "13.pbs01\n")
    assert dispatcher.submit(directory) == "13.pbs01"
    assert "mem=4000mb" in (directory / "job.sh").read_text()
    assert (directory / f".revoked-{name}").exists()
    name = Submission.of(directory).token
    programs("qstat", job("13.pbs01", name, "F", "Exit_status = -27"))
    assert not told().retryable  # once is enough
    programs("qsub", "", "qsub: Unknown queue\n", 170)
    with pytest.raises(DispatchError, match="Unknown queue"):
        dispatcher.submit(directory)


def test_a_job_that_is_cancelled(programs, tmp_path):
    profile = MachineProfile(scheduler="pbs", poll_seconds=0.1, settle_seconds=0)
    dispatcher = PBSDispatcher(tmp_path, machine=profile)
    directory = _job(tmp_path / "job", 3.6)
    programs("qsub", "12.pbs01\n")
    native_id = dispatcher.submit(directory)
    dispatcher.cancel(native_id, directory)
    programs("qdel", "", "qdel: Job has finished 12.pbs01\n", 35)
    dispatcher.cancel(native_id, directory)
    programs("qstat", "", "qstat: Unknown Job Id 12.pbs01\n", 153)
    status = dispatcher.poll([(native_id, directory)])[0]
    assert (status.state, status.reason, status.retryable) == (ENDED, "cancelled", False)


def test_what_does_not_fit(tmp_path, monkeypatch):
    assert plugins.load("dispatchers", "pbs") is PBSDispatcher
    with pytest.raises(MachineError, match=r"is one of slurm, not of pbs: set dispatch.name"):
        PBSDispatcher(tmp_path, machine="slurm")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="qsub, qstat, qselect, qdel"):
        PBSDispatcher(tmp_path, machine="pbs")
