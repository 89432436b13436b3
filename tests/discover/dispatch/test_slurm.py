"""Jobs on a real Slurm of one node, whose daemons are killed in between."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from discover import plugins
from discover.calculations.job import read_result
from discover.dispatch.base import JobState
from discover.dispatch.conformance import DispatcherConformance, _job
from discover.dispatch.machines import MachineProfile
from discover.dispatch.scheduler import Request
from discover.dispatch.slurm import SlurmDispatcher, SlurmScheduler
from discover.dispatch.submission import Submission
from discover.errors import DispatchError

QUEUED, RUNNING, ENDED, LOST, UNKNOWN = JobState
QUICK = MachineProfile(scheduler="slurm", poll_seconds=0.3, answer_seconds=20, settle_seconds=2)
MACHINE = """\
scheduler: slurm
poll_seconds: 0.5
answer_seconds: 20
settle_seconds: 3
"""


class TestConformance(DispatcherConformance):
    @pytest.fixture
    def make_dispatcher(self, slurm, tmp_path):
        return lambda: SlurmDispatcher(tmp_path, machine=QUICK)


@pytest.fixture
def dispatcher(slurm, tmp_path):
    return SlurmDispatcher(tmp_path, machine=QUICK)


def wait_until(condition, what, heal=lambda: None):
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.2)
        heal()


def wait_until_known(slurm):
    """What a job has just begun, slurmctld saves within seconds."""
    now = time.time()
    wait_until(lambda: slurm.saved_at() > now or time.time() > now + 6, "slurmctld saves")


def ends(dispatcher, native_id, directory, heal=lambda: None):
    found = []

    def over():
        found[:] = dispatcher.poll([(native_id, directory)])
        return found[0].state in {ENDED, LOST}

    wait_until(over, "the job is over", heal)
    return found[0]


def held(machine, **changes):
    """A profile whose jobs wait for a file `go` before they compute."""
    wait = "touch begun; while [ ! -e go ]; do sleep 0.1; done"
    return machine.model_copy(
        update={"resources": machine.resources.model_copy(update={"pre": (wait,), **changes})}
    )


def test_killed_between_submission_and_the_note_of_it(slurm, dispatcher, tmp_path):
    """The job is found again by its name; one that never arrived is submitted, and only once."""
    before = slurm.submitted()
    directory = _job(tmp_path / "job", 3.6)
    native_id = dispatcher.submit(directory)
    noted = Submission.of(directory)
    noted.model_copy(update={"native_id": None, "submitted_at": None}).note(directory)
    assert SlurmDispatcher(tmp_path, machine=QUICK).submit(directory) == native_id
    lost = _job(tmp_path / "lost", 3.7)
    Submission(token="d0000000000000a").note(lost)
    second = dispatcher.poll([("", lost)])[0]
    assert second.state in {QUEUED, RUNNING}
    assert ends(dispatcher, native_id, directory).exit_code == 0
    assert ends(dispatcher, "", lost).exit_code == 0
    assert slurm.submitted() == before + 3  # one of them is the probe of `submitted` itself


def test_a_job_that_the_scheduler_puts_back_is_queued_and_not_over(slurm, tmp_path):
    """What its script noted when it was ended is not the end; it can be cancelled all the same."""
    dispatcher = SlurmDispatcher(tmp_path, machine=held(QUICK))
    directory = _job(tmp_path / "job", 3.6)
    native_id = dispatcher.submit(directory)
    wait_until((directory / "begun").exists, "it runs")
    subprocess.run(["scontrol", "requeuehold", native_id], check=True)
    wait_until((directory / "exit.json").exists, "its script was ended")
    assert json.loads((directory / "exit.json").read_text())["signal"] == "TERM"
    wait_until(lambda: dispatcher.poll([("", directory)])[0].state is QUEUED, "it waits again")
    assert dispatcher.submit(directory) == native_id
    dispatcher.cancel(native_id, directory)
    assert ends(dispatcher, native_id, directory).reason == "cancelled"


def test_a_refused_job_says_why(slurm, tmp_path):
    nowhere = held(QUICK, queue="nowhere")
    with pytest.raises(DispatchError, match=r"refused the job.*partition"):
        SlurmDispatcher(tmp_path, machine=nowhere).submit(_job(tmp_path / "job", 3.6))


def test_a_job_that_an_administrator_cancels_is_not_tried_again(slurm, tmp_path):
    dispatcher = SlurmDispatcher(tmp_path, machine=held(QUICK))
    directory = _job(tmp_path / "job", 3.6)
    native_id = dispatcher.submit(directory)
    wait_until((directory / "begun").exists, "it runs")
    subprocess.run(["scancel", native_id], check=True)
    status = ends(dispatcher, native_id, directory)
    assert (status.state, status.reason, status.retryable) == (ENDED, "cancelled", False)


def test_a_machine_is_checked(slurm, discover, tmp_path, monkeypatch):
    write_machine(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    answer = discover("machines", "check", "here", "--folder", tmp_path, "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["passed"], told["scheduler"]) == (0, True, "slurm"), answer
    assert told["host"]
    assert told["run_seconds"] > 0
    assert not list(tmp_path.glob("discover-check-*"))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{queue: nowhere}", r"here\.yaml: resources\.queue: slurm refuses 'nowhere'.*partition"),
        (
            "{directives: ['#SBATCH --constraint=none']}",
            r"here\.yaml: resources\.directives: .*feature",
        ),
        ("{modules: [none/1]}", r"'module purge' ended with.*modules and pre.*here\.yaml"),
        ("{pre: ['nothing \"of it\"']}", r"'nothing  of it ' ended with exit code 127.*here\.yaml"),
        ("{launcher: nothing}", r"exit code 127.*launcher.*here\.yaml"),
    ],
)
def test_a_wrong_profile_is_found_and_the_key_named(
    slurm, discover, tmp_path, monkeypatch, quick_campaign, resources, said
):
    write_machine(tmp_path, f"resources: {resources}\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    answer = discover("machines", "check", "here", "--folder", tmp_path)
    assert answer.code
    assert re.search(said, answer.err, re.DOTALL), answer
    if "queue" in resources:  # nor does a campaign begin
        spec = quick_campaign / "campaign.yaml"
        dispatch = "dispatch: {name: slurm, machine: here, jobs: 1, attempts: 30}"
        spec.write_text(spec.read_text().replace("dispatch: {jobs: 1, attempts: 30}", dispatch))
        answer = discover("validate", quick_campaign)
        assert answer.code
        assert re.search(rf"dispatch\.machine: .*{said}", answer.err), answer


def test_what_a_packed_job_s_allocation_asks_for_is_tried_as_well(slurm, tmp_path):
    machine = QUICK.model_validate(
        QUICK.model_dump(exclude_unset=True)
        | {
            "kinds": {"agl/emt": {"queue": "nowhere"}, "static": {"queue": "nowhere"}},
            "bulk": {
                "kinds": ["agl"],
                "resources": {"cores_per_task": 2, "wall_time_minutes": 10, "queue": "none"},
            },
        }
    )
    told = SlurmDispatcher(tmp_path, machine=machine).refusals([("agl", "emt"), ("static", "emt")])
    assert [line.partition(" slurm")[0] for line in told] == [
        "bulk.resources.queue:",
        "kinds.static.queue:",
    ]
    assert not SlurmDispatcher(tmp_path, machine=QUICK).refusals([("agl", "emt")])


def write_machine(folder, more=""):
    machines = folder / "config" / "discover" / "machines"
    machines.mkdir(parents=True)
    (machines / "here.yaml").write_text(MACHINE + more)


def test_no_answer_is_unknown_and_a_job_waits_to_be_handed_over(slurm, tmp_path):
    dispatcher = SlurmDispatcher(tmp_path, machine=held(QUICK))
    directory, later = _job(tmp_path / "job", 3.6), _job(tmp_path / "later", 3.7)
    native_id = dispatcher.submit(directory)
    wait_until((directory / "begun").exists, "it runs")
    wait_until_known(slurm)
    slurm.daemon("slurmctld").send(signal.SIGKILL)
    try:
        name = dispatcher.submit(later)
        jobs = [(native_id, directory), (name, later)]
        assert [status.state for status in dispatcher.poll(jobs)] == [UNKNOWN, UNKNOWN]
        (directory / "go").touch()
        assert ends(dispatcher, native_id, directory).state is ENDED  # its own record says so
        assert dispatcher.submit(later) == name
    finally:
        slurm.start("slurmctld")
    (later / "go").touch()
    assert ends(dispatcher, name, later, slurm.heal).exit_code == 0
    assert read_result(later).status == "done"


# --- a campaign, with everything killed in turn -----------------------------------------------------


def start(folder, environment):
    command = [sys.executable, "-m", "discover", "run", str(folder), "--no-dashboard", "--json"]
    with (folder / "run.log").open("ab") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def events(folder, event):
    counts = Counter()
    for history in folder.glob("jobs/*/history.jsonl"):
        lines = history.read_text().splitlines()
        counts[history.parent.name] = sum(json.loads(line)["event"] == event for line in lines)
    return counts


@pytest.mark.slow
def test_a_campaign_survives_the_death_of_everything(slurm, quick_campaign, tmp_path):
    write_machine(tmp_path)
    spec = quick_campaign / "campaign.yaml"
    text = spec.read_text().replace("calculations: 10", "calculations: 4")
    text = text.replace("initial: 3", "initial: 4")
    spec.write_text(text.replace("{jobs: 1, ", "{name: slurm, machine: here, jobs: 2, "))
    environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    steering = start(quick_campaign, environment)

    def begun(number):
        return lambda: events(quick_campaign, "start").total() >= number or steering.poll()

    try:
        wait_until(begun(1), "a first job runs")
        wait_until_known(slurm)
        slurm.daemon("slurmctld").send(signal.SIGKILL)
        time.sleep(1)
        slurm.start("slurmctld")
        wait_until(begun(2), "a second job runs", slurm.heal)
        slurm.daemon("slurmd").send(signal.SIGKILL)
        slurm.start("slurmd")
        wait_until(begun(3), "a third job runs", slurm.heal)
        steering.kill()
        steering.wait()
        steering = start(quick_campaign, environment)
        wait_until(lambda: steering.poll() is not None, "the campaign is at its end", slurm.heal)
        assert steering.wait() == 0, (quick_campaign / "run.log").read_text()[-3000:]
    finally:
        steering.kill()
    done = subprocess.run(
        [sys.executable, "-m", "discover", "status", str(quick_campaign), "--json"],
        check=True,
        capture_output=True,
    )
    counts = json.loads(done.stdout)["calculations"]
    assert counts["done"] == 4
    assert sum(counts.values()) == 4
    assert set(events(quick_campaign, "end").values()) == {1}


# --- without a cluster ------------------------------------------------------------------------------


def test_it_is_the_built_in_dispatcher():
    assert plugins.load("dispatchers", "slurm") is SlurmDispatcher


@pytest.mark.parametrize(
    ("word", "state", "cause"),
    [
        ("PD", QUEUED, ""),
        ("RQ", QUEUED, ""),
        ("R", RUNNING, ""),
        ("CG", RUNNING, ""),
        ("CD", ENDED, ""),
        ("F", ENDED, ""),
        ("TO", ENDED, "time"),
        ("OOM", ENDED, "memory"),
        ("NF", ENDED, "node"),
        ("PR", ENDED, "preempted"),
        ("CA", ENDED, "cancelled"),
        ("XY", UNKNOWN, ""),
    ],
)
def test_every_state_of_slurm_is_understood(word, state, cause):
    pytest.importorskip("qtoolkit")
    scheduler = SlurmScheduler(10)
    line = f"17<><> {word}<><> None<><> d1<><> me<><> debug<><> 1:00:00<><> 1<><> 1<><> 0:42<><> 0"
    native_id, seen = scheduler._seen(line)
    assert (native_id, seen.state, seen.cause, seen.said) == ("17", state, cause, word)


def test_the_header_asks_for_what_the_profile_says():
    pytest.importorskip("qtoolkit")
    machine = MachineProfile.model_validate(
        {
            "scheduler": "slurm",
            "resources": {
                "nodes": 2,
                "tasks_per_node": 16,
                "memory_per_node_gb": 64,
                "queue": "long",
                "account": "abc",
                "gpus_per_node": 4,
                "directives": ["#SBATCH --constraint=skylake"],
            },
        }
    )
    request = Request("d1", machine.resources, 3, 5400, 64000, array=7)
    lines = SlurmScheduler(10).script(request, "echo body\n").splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[-1] == "echo body"
    assert set(filter(None, lines[1:-1])) == {
        "#SBATCH --partition=long",
        "#SBATCH --job-name=d1",
        "#SBATCH --array=1-7",
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=16",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --mem=64000M",
        "#SBATCH --time=0-1:30:0",
        "#SBATCH --account=abc",
        "#SBATCH --output=scheduler.log",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --open-mode=append",
        "#SBATCH --constraint=skylake",
    }
