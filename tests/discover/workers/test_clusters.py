"""A real Dask cluster on this machine: the same answers, also where its workers are killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from discover.campaign import Tasks
from discover.dispatch.machines import MachineProfile
from discover.errors import MachineError
from discover.workers import tasks
from discover.workers.base import InTurn, Lost, spread
from discover.workers.clusters import DaskWorkers, dask_jobqueue, job_options, open_cluster

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

TWO = Tasks(runner="dask", workers=2)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskWorkers]:
    with open_cluster(TWO, tmp_path_factory.mktemp("workers")) as opened:
        yield opened


def processes(workers: DaskWorkers) -> set[int]:
    """Of the workers; one that is being started has none yet."""
    return {nanny.pid for nanny in workers.cluster.workers.values() if nanny.pid}


def without_seconds(answers: list[Any]) -> list[Any]:
    return [(a.crystal, a.problem, a.record.model_copy(update={"seconds": 0.0})) for a in answers]


def test_it_listens_on_loopback_and_is_encrypted(workers: DaskWorkers) -> None:
    assert workers.cluster.scheduler_address.startswith("tls://127.0.0.1:")


def test_a_campaign_goes_on_where_a_worker_is_killed(
    workers: DaskWorkers, to_relax: Any, metals: Any
) -> None:
    read = tasks.relaxed_crystals().validate_json
    before = processes(workers)
    victim = threading.Timer(0.3, os.kill, (min(before), signal.SIGKILL))
    victim.start()
    answers = spread(workers, tasks.relax_crystals, metals * 4, 4, to_relax, read)
    victim.join()
    more = spread(workers, tasks.relax_crystals, metals, 4, to_relax, read)
    alone = spread(InTurn(), tasks.relax_crystals, metals, 4, to_relax, read)
    assert without_seconds(more) == without_seconds(alone)
    assert without_seconds(answers) == without_seconds(alone * 4)
    assert min(before) not in processes(workers)


def test_a_chunk_is_done_again_and_lost_only_where_that_goes_on(
    workers: DaskWorkers, to_describe: Any, metal: Callable[..., Any], base: Path
) -> None:
    chunks = [to_describe([metal(id=name)]) for name in ("once", "always", "plain")]
    once, always, plain = workers.map(tasks.describe, chunks)
    assert (base / "died").exists()
    for answer in (once, plain):
        assert isinstance(answer, str)
        assert tasks.CANDIDATES.validate_json(answer)[0].features is not None
    assert isinstance(always, Lost)
    assert "every worker that was to do it died" in always.reason


def test_what_is_done_is_kept_where_its_worker_dies_later(
    workers: DaskWorkers, to_describe: Any, metal: Callable[..., Any], base: Path
) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 30
        while not (base / "described early").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        for process in processes(workers):
            os.kill(process, signal.SIGKILL)
        (base / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    answers = workers.map(tasks.describe, [to_describe([metal(id=i)]) for i in ("early", "later")])
    killer.join()
    assert not any(isinstance(answer, Lost) for answer in answers)
    assert (base / "described early").read_text() == "1"


PROFILE: dict[str, Any] = {
    "scheduler": "slurm",
    "resources": {
        "cores_per_task": 8,
        "memory_per_node_gb": 16,
        "wall_time_minutes": 90,
        "queue": "gpu",
        "account": "me",
        "gpus_per_node": 1,
        "modules": ["cuda/12"],
        "environment": {"MY": "it's"},
        "python": "/opt/python",
    },
}


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("slurm", ("#SBATCH --cpus-per-task=8", "#SBATCH --gpus-per-node=1", "#SBATCH -p gpu")),
        ("pbs", ("#PBS -l select=1:ncpus=8:mem=16gb:ngpus=1", "#PBS -A me", "#PBS -q gpu")),
    ],
)
def test_a_profile_says_what_a_worker_on_a_cluster_asks_for(
    scheduler: str, expected: tuple[str, ...]
) -> None:
    if importlib.util.find_spec("dask_jobqueue") is None:
        pytest.skip("the extra 'cluster' is not installed")
    jobqueue = dask_jobqueue()
    profile = MachineProfile.model_validate(PROFILE | {"scheduler": scheduler})
    sort = {"slurm": jobqueue.slurm.SLURMJob, "pbs": jobqueue.pbs.PBSJob}[scheduler]
    job = sort("tls://10.0.0.1:1234", name="worker", **job_options(profile, TWO))
    script = job.job_script()
    for line in (*expected, "module load cuda/12", "export OMP_NUM_THREADS=8", "01:30:00"):
        assert line in script
    assert "PRE_SPAWN_ENVIRON='{\"MALLOC_TRIM_THRESHOLD_\": None}'" in script
    assert "--dashboard-address 127.0.0.1:0" in script
    assert "--lifetime 4860s --lifetime-stagger 270s" in script
    assert "export MY='it'\"'\"'s'" in script
    assert "/opt/python -m distributed.cli.dask_worker" in script


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 2}, "a worker is one process on one node"),
        ({"memory_per_node_gb": None}, "a worker must know its memory"),
    ],
)
def test_a_profile_that_fits_no_worker_is_refused(change: dict[str, Any], message: str) -> None:
    resources = PROFILE["resources"] | change
    profile = MachineProfile.model_validate(PROFILE | {"resources": resources})
    with pytest.raises(MachineError, match=message):
        job_options(profile, TWO)


def test_a_machine_behind_ssh_is_refused() -> None:
    behind = {"host": "login", "remote_dir": "/scratch", "remote_python": "/opt/python"}
    with pytest.raises(MachineError, match="on a login node"):
        job_options(MachineProfile.model_validate(PROFILE | behind), TWO)
