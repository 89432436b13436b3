"""Dask's workers as jobs of a real Slurm: a campaign's own relaxations, and jobs that are killed."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from discover.campaign import Tasks
from discover.errors import MachineError
from discover.folder import CampaignFolder
from discover.store import open_store
from discover.supply import CandidateSupply
from discover.workers import Workers, open_workers, tasks
from discover.workers.base import Threads
from discover.workers.clusters import open_cluster

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("dask_jobqueue") is None, reason="the extra 'cluster' is not installed"
)

SECTIONS = """
relaxation: {enabled: true, max_steps: 30}
tasks: {runner: dask, workers: 2, chunk: 2, machine: here}
"""
MACHINES = {
    "here": "",
    "refused": ", queue: nowhere",
    "broken": ", pre: [echo no such module >&2, exit 3]",
}
MACHINE = """\
scheduler: slurm
poll_seconds: 0.3
answer_seconds: 20
resources: {{memory_per_node_gb: 1, wall_time_minutes: 10{}}}
"""
WAITING = '''
"""A descriptor that notes the job in which it runs, and waits."""

import os
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


class Waiting:
    names = ("length",)

    def describe(self, candidates):
        (HERE / f"begun-{os.environ['SLURM_JOB_ID']}").touch()
        while not (HERE / "go").exists():
            time.sleep(0.05)
        return np.array([[float(len(candidate.id))] for candidate in candidates])
'''


@pytest.fixture(scope="module")
def campaign(
    slurm: Any, quick_campaign_text: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CampaignFolder]:
    """A campaign whose workers are jobs, and the profiles of its machine."""
    folder = tmp_path_factory.mktemp("campaign")
    machines = folder / "discover" / "machines"
    machines.mkdir(parents=True)
    for name, more in MACHINES.items():
        (machines / f"{name}.yaml").write_text(MACHINE.format(more))
    text = quick_campaign_text.replace("relaxation: {enabled: false}\n", SECTIONS)
    (folder / "campaign.yaml").write_text(text)
    (folder / "waiting.py").write_text(WAITING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield CampaignFolder.at(folder)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def workers(campaign: CampaignFolder, told: list[str]) -> Iterator[Workers]:
    campaign.workers.mkdir()
    (campaign.workers / ".dask-jobqueue.worker.key.left").touch()  # by one that was killed
    with open_workers(campaign, campaign.load(), told.append) as opened:
        assert len(list(campaign.workers.glob(".dask-jobqueue.worker.key.*"))) == 1
        yield opened


def jobs() -> list[str]:
    """Ids of workers' jobs that are queued or run."""
    asked = ["squeue", "--noheader", "--states=PD,R", "--name=dask-worker", "--format=%i"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def screened(campaign: CampaignFolder, workers: Workers, store: Path) -> list[Any]:
    """What becomes of the first candidates, as the loop has them relaxed and described."""
    with closing(open_store(store, "test")) as opened:
        supply = CandidateSupply(campaign, campaign.load(), opened, workers)
        supply.recover()
        candidates = supply.screen(supply.propose(6))
    return [(c.id, c.state, c.reason, c.crystal, c.features) for c in candidates]


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ("refused", "slurm refuses the jobs of workers: .*nvalid partition"),
        ("broken", "3 jobs of workers in a row ended before they began.*no such module"),
    ],
)
def test_jobs_that_never_work_are_no_endless_wait(
    campaign: CampaignFolder, tmp_path: Path, machine: str, message: str
) -> None:
    asked = Tasks(runner="dask", machine=machine)
    before = signal.getsignal(signal.SIGINT)
    with (
        pytest.raises(MachineError, match=message),
        open_cluster(asked, tmp_path / "workers") as opened,
    ):
        opened.map(tasks.describe, [""])
    assert signal.getsignal(signal.SIGINT) is before


def test_jobs_of_slurm_relax_as_threads_do(
    campaign: CampaignFolder, workers: Workers, tmp_path: Path
) -> None:
    by_jobs = screened(campaign, workers, tmp_path / "jobs.sqlite")
    assert len(jobs()) == 2
    with closing(Threads(2)) as threads:
        assert by_jobs == screened(campaign, threads, tmp_path / "threads.sqlite")
    assert any(features for *_, features in by_jobs)


def test_work_goes_on_where_its_job_is_cancelled(
    campaign: CampaignFolder, workers: Workers, told: list[str], metal: Callable[..., Any]
) -> None:
    asked = tasks.Describe(
        base=campaign.root,
        potential="emt",
        descriptors=("waiting.py:Waiting",),
        candidates=(metal(id="four"),),
    )
    answers: list[Any] = []
    work = threading.Thread(
        target=lambda: answers.extend(workers.map(tasks.describe, [asked.model_dump_json()]))
    )
    work.start()

    def begun() -> list[Path]:
        return sorted(campaign.root.glob("begun-*"))

    wait_until(begun)
    job = begun()[0].name.removeprefix("begun-")
    subprocess.run(["scancel", job], check=True)
    wait_until(lambda: len(begun()) == 2 and told)
    (campaign.root / "go").touch()
    work.join()
    assert tasks.CANDIDATES.validate_json(answers[0])[0].features == (4.0,)
    assert told == [f"a worker's job, {job}, has ended (cancelled): another is asked for"]
    assert len(jobs()) == 2
    assert job not in jobs()


def test_a_folder_that_dask_jobqueue_cannot_write_into_a_script(
    campaign: CampaignFolder, tmp_path: Path
) -> None:
    with (
        pytest.raises(MachineError, match="without spaces"),
        open_cluster(Tasks(runner="dask", machine="here"), tmp_path / "my workers"),
    ):
        pass
