"""Workers on a Dask cluster: processes of this machine, or jobs of its scheduler."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import math
import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from discover import plugins
from discover.campaign import Tasks
from discover.dispatch.machines import MachineProfile, load_machine
from discover.errors import MachineError, MissingDependencyError
from discover.workers.base import Lost, Work
from discover.workers.queued import WorkerJobs

CLOSING_SECONDS = 10.0
LOOK_SECONDS = 1.0
DEATHS = 1
"""Workers that may die at a chunk, or at another that they had beside it, and it is done again."""
LIFETIME, STAGGER = 0.9, 0.05
"""Shares of a job's wall time: after the first, about, its worker hands back what it has and ends."""
TRIMMING = "MALLOC_TRIM_THRESHOLD_"
"""Dask sets it for its workers, to give memory back at once, at which relaxations take twice as long."""
NO_DASHBOARD = "127.0.0.1:0"
"""Scheduler and workers serve their state by HTTP, without a password: on loopback, at a free port."""


class DaskWorkers:
    """The workers of a Dask cluster, which does a chunk again whose worker died.

    `look` is called time and again while there is work, to see to the workers; what it raises ends the
    work.
    """

    in_processes = True

    def __init__(self, cluster: Any, look: Callable[[], None] = lambda: None) -> None:
        from distributed import Client

        self.cluster, self._look = cluster, look
        self._client = Client(cluster, set_as_default=False)

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`; what seems lost is tried once more alone, as another may be to blame."""
        answers = self._answers(work, chunks)
        return [
            self._answers(work, [chunk])[0] if isinstance(answer, Lost) else answer
            for chunk, answer in zip(chunks, answers, strict=True)
        ]

    def _answers(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        running = asyncio.run_coroutine_threadsafe(
            self._gathered(work, chunks), self._client.loop.asyncio_loop
        )
        try:
            while not running.done():
                self._look()
                wait([running], timeout=LOOK_SECONDS)
            return running.result()
        finally:
            running.cancel()

    async def _gathered(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """Each answer is fetched as soon as it is there: what a worker still holds goes when it ends."""

        async def one(chunk: str) -> str | Lost:
            from distributed import KilledWorker

            try:
                return str(await self._client.submit(work, chunk, pure=False))
            except KilledWorker:
                return Lost("every worker that was to do it died: was there enough memory?")

        return await asyncio.gather(*(one(chunk) for chunk in chunks))

    def close(self) -> None:
        """Leave the cluster."""
        self._client.close(timeout=CLOSING_SECONDS)


def check_cluster(tasks: Tasks) -> None:
    """MissingDependencyError, or MachineError where the profile cannot be used for workers."""
    _require("distributed")
    if tasks.machine is not None:
        _require("dask_jobqueue")
        job_options(load_machine(tasks.machine), tasks)


@contextmanager
def open_cluster(
    tasks: Tasks, folder: Path, told: Callable[[str], None] = lambda _: None
) -> Iterator[DaskWorkers]:
    """A cluster of `tasks.workers`, encrypted with keys of its own, while the block runs.

    Workers that end are started anew; where they are jobs, `told` is called with a line about it. Those
    on other machines find their keys, and leave their logs, in `folder`. MachineError where the
    scheduler refuses their jobs, MissingDependencyError where there is none here.
    """
    check_cluster(tasks)
    import distributed

    logging.getLogger("distributed").setLevel(logging.ERROR)
    security = distributed.Security.temporary()
    if tasks.machine is None:
        import dask

        with (
            dask.config.set({f"distributed.nanny.pre-spawn-environ.{TRIMMING}": None}),
            distributed.LocalCluster(
                n_workers=tasks.workers,
                threads_per_worker=1,
                host="127.0.0.1",
                protocol="tls://",
                security=security,
                scheduler_kwargs={"allowed_failures": DEATHS},
                memory_limit=0,  # Dask would pause a worker for good whose model takes most of its share
                dashboard_address=NO_DASHBOARD,
                silence_logs=logging.ERROR,
            ) as cluster,
            closing(DaskWorkers(cluster)) as workers,
        ):
            yield workers
        return
    jobqueue = dask_jobqueue()
    profile = load_machine(tasks.machine)
    scheduler = plugins.load("dispatchers", profile.scheduler).scheduler(profile.answer_seconds)
    scheduler.check()
    if shlex.quote(str(folder)) != str(folder):
        raise MachineError(
            f"{folder}: dask-jobqueue cannot write such a path into a worker's script: use a folder "
            "without spaces and special characters, or leave out tasks.machine"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for key in folder.glob(".dask-jobqueue.worker.*"):
        key.unlink()  # of a cluster whose process was killed
    sort = {"slurm": jobqueue.SLURMCluster, "pbs": jobqueue.PBSCluster}
    with sort[profile.scheduler](
        **job_options(profile, tasks),
        protocol="tls://",
        security=security,
        shared_temp_directory=str(folder),
        log_directory=str(folder),
        scheduler_options={"dashboard_address": NO_DASHBOARD, "allowed_failures": DEATHS},
        silence_logs=logging.ERROR,
    ) as cluster:
        jobs = WorkerJobs(cluster, scheduler, tasks.workers, folder, profile.poll_seconds, told)
        jobs.look()
        with closing(DaskWorkers(cluster, jobs.look)) as workers:
            yield workers


def dask_jobqueue() -> Any:
    """The package; its import alone would take Ctrl-C away from this process."""
    before = signal.getsignal(signal.SIGINT)
    try:
        return importlib.import_module("dask_jobqueue")
    finally:
        signal.signal(signal.SIGINT, before)


def job_options(profile: MachineProfile, tasks: Tasks) -> dict[str, Any]:
    """What dask-jobqueue is told of one worker's job, by the `resources` of a machine profile.

    MachineError where they are not for one worker on one node.
    """
    if profile.host is not None:
        raise MachineError(
            f"{tasks.machine}: host: workers must reach the process that steers: run it on a login node "
            "of the cluster, and name a profile without host"
        )
    asked = profile.resources
    if asked.nodes > 1 or asked.tasks_per_node > 1:
        raise MachineError(
            f"{tasks.machine}: resources: a worker is one process on one node: set nodes and "
            "tasks_per_node to 1, or write a profile of its own for workers"
        )
    if asked.memory_per_node_gb is None:
        raise MachineError(
            f"{tasks.machine}: resources.memory_per_node_gb: a worker must know its memory: set it"
        )
    cores = asked.cores_per_task or 1
    minutes = math.ceil(asked.wall_time_minutes or 60.0)
    life = round(60 * LIFETIME * minutes), round(60 * STAGGER * minutes)
    lines = [
        *(["module purge"] if asked.modules else []),
        *(f"module load {name}" for name in asked.modules),
        f"export OMP_NUM_THREADS={cores}",
        f"export DASK_DISTRIBUTED__NANNY__PRE_SPAWN_ENVIRON='{{\"{TRIMMING}\": None}}'",
        *(f"export {name}={shlex.quote(value)}" for name, value in asked.environment.items()),
        *asked.pre,
    ]
    options: dict[str, Any] = {
        "cores": 1,  # one chunk at a time: its threads are those of OpenMP
        "processes": 1,
        "memory": f"{asked.memory_per_node_gb:g}GB",
        "worker_extra_args": [
            *("--memory-limit", "0"),  # the scheduler sees to it
            *("--dashboard-address", NO_DASHBOARD),
            *("--lifetime", f"{life[0]}s", "--lifetime-stagger", f"{life[1]}s"),
        ],
        "walltime": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "queue": asked.queue,
        "account": asked.account,
        "python": f"{asked.launcher} {shlex.quote(asked.python)}".strip(),
        "job_script_prologue": lines,
    }
    gpus = asked.gpus_per_node
    if profile.scheduler == "slurm":
        extra = [line.removeprefix("#SBATCH ") for line in asked.directives]
        extra += [f"--gpus-per-node={gpus}"] if gpus else []
        extra += [f"--qos={asked.qos}"] if asked.qos else []
        return options | {"job_cpu": cores, "job_extra_directives": extra}
    memory = f"{asked.memory_per_node_gb:g}gb"
    chunk = f"select=1:ncpus={cores}:mem={memory}" + (f":ngpus={gpus}" if gpus else "")
    extra = [line.removeprefix("#PBS ") for line in asked.directives]
    return options | {"resource_spec": chunk, "job_extra_directives": extra}


def _require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingDependencyError(
            f"Dask is not installed here ({module} is missing): "
            "pip install 'discover-materials[cluster]', or choose runner: threads"
        )
