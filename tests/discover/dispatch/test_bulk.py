"""What runs in an allocation: jobs side by side, each with its own end, none lost when time is over."""

import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover.dispatch.bulk import Allocation
from discover.dispatch.bulk_folder import BulkFolder, Packed, read
from discover.dispatch.machines import Resources
from discover.dispatch.scripts import body
from discover.dispatch.submission import EXIT, SCRIPT, Exit, revoke

NAME = "d1.1"


@pytest.fixture
def folder(tmp_path):
    made = BulkFolder(tmp_path / "bulk")
    made.make()
    (made.allocations / NAME).mkdir()
    return made


@pytest.fixture
def add(folder, tmp_path):
    """Puts a job into the queue that runs these lines of shell."""

    def one(name, lines, **needs):
        directory = tmp_path / name
        directory.mkdir()
        text = body(str(directory), name, Resources(), 1, ["bash", "-c", lines])
        (directory / SCRIPT).write_text(text)
        needs = {"cores": 1, "memory_mb": None, "wall_seconds": 60} | needs
        folder.add(Packed(token=name, directory=directory, **needs))
        return directory

    return one


def allocation(folder, **changes):
    usual = {
        "cores": 2,
        "memory_mb": None,
        "ends_at": time.time() + 60,
        "idle_seconds": 0.0,
        "most_cut_offs": 5,
    }
    return Allocation(folder, NAME, **usual | changes)


def test_jobs_run_side_by_side_with_their_own_ends(folder, add, tmp_path):
    """The two meet, as only those do that run at once; a third one that fails is told apart."""
    meet = "touch here; until [ -e {other}/here ]; do sleep 0.05; done; exit {code}"
    first = add("da", meet.format(other=tmp_path / "db", code=0))
    second = add("db", meet.format(other=tmp_path / "da", code=3))
    killed = add("dc", "kill -9 $PPID")
    allocation(folder).run()
    ends = [Exit.of(directory, directory.name) for directory in (first, second, killed)]
    assert [end.exit_code for end in ends] == [0, 3, -9]
    assert [end.cause for end in ends] == ["", "", "memory"]
    assert not folder.waiting()
    assert not folder.claimed()


def test_what_is_cut_off_goes_on_later_and_what_is_done_is_not_repeated(folder, add):
    """SIGTERM, as the scheduler sends it when time is over; the next allocation takes the job up."""
    done = add("da", "echo once >>runs")
    cut = add("db", "echo step >>steps; [ $(wc -l <steps) = 2 ] || sleep 60")
    command = [sys.executable, "-m", "discover.dispatch.bulk", "--cores", "2", "--seconds", "60"]
    command += ["--idle-seconds", "5", "--cut-offs", "5"]
    process = subprocess.Popen(command, cwd=folder.allocations / NAME, stderr=subprocess.DEVNULL)
    while not ((done / EXIT).exists() and (cut / "steps").exists()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert read(folder.waiting()["db"]).cut_offs == 1
    allocation(folder).run()
    assert Exit.of(cut, "db").exit_code == 0
    assert (done / "runs").read_text() == "once\n"


def test_it_ends_before_its_time_is_over_and_gives_up_what_never_fits_in(folder, add):
    cut = add("da", "sleep 60")
    allocation(folder, ends_at=time.time() + 0.3, most_cut_offs=1).run()
    assert not (Exit.of(cut, "da") and Exit.of(cut, "da").final)
    allocation(folder, ends_at=time.time() + 0.3, most_cut_offs=1).run()
    end = Exit.of(cut, "da")
    assert (end.verdict, end.cause) == (True, "cut off")
    assert "cut it off 2 times" in end.reason
    assert not folder.waiting()


def test_a_job_is_ended_that_was_cancelled_or_ran_for_too_long(folder, add):
    early, late = add("da", "touch begun"), add("db", "touch .revoked-db; sleep 60")
    long = add("dc", "sleep 60", wall_seconds=1)
    revoke(early, "da")
    allocation(folder, cores=3).run()
    causes = [Exit.of(job, job.name).cause for job in (early, late, long)]
    assert causes == ["cancelled", "cancelled", "time"]
    assert not (early / "begun").exists()


def test_cores_and_memory_are_not_given_twice(folder, add):
    """Two jobs that need it all run one after the other; one that fits beside goes first."""
    alone = "mkdir ../alone || exit 9; sleep 0.3; rmdir ../alone"
    jobs = [add(name, alone, cores=1, memory_mb=800) for name in ("da", "db")]
    allocation(folder, memory_mb=1000).run()
    jobs += [add(name, alone, cores=2) for name in ("dc", "dd")]
    (folder.allocations / NAME / "closed").unlink()
    allocation(folder).run()
    assert [Exit.of(job, job.name).exit_code for job in jobs] == [0] * 4


def test_only_one_allocation_gets_a_job(folder, add):
    add("da", "true")
    (path,) = folder.waiting().values()
    (folder.allocations / "d2.1").mkdir()
    taken = [folder.claim(path, name) for name in (NAME, "d2.1")]
    assert taken[0].exists()
    assert taken[1] is None
    assert folder.claim(path, NAME) == taken[0]  # the answer to the first try got lost


@settings(max_examples=20)
@given(
    st.builds(
        Packed,
        token=st.from_regex(r"d[0-9a-f]{14}", fullmatch=True),
        directory=st.from_regex(r"/[a-z ]{1,20}", fullmatch=True),
        memory_mb=st.none() | st.integers(1, 10**6),
    )
)
def test_what_is_put_into_the_queue_is_read_again(tmp_path_factory, job):
    folder = BulkFolder(tmp_path_factory.mktemp("bulk"))
    folder.make()
    folder.add(job)
    assert read(folder.waiting()[job.token]) == job
