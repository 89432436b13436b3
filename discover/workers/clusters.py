"""Workers on a Dask cluster: processes of this machine, or jobs of its scheduler."""

from __future__ import annotations

import importlib.util
import logging
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from discover.campaign import Tasks
from discover.dispatch.machines import MachineProfile, load_machine
from discover.errors import MachineError, MissingDependencyError
from discover.workers.base import Lost, Work

CLOSING_SECONDS = 10.0
DEATHS = 1
"""Workers that may die at a chunk, or at another that they had beside it, and it is done again."""
NO_DASHBOARD = "127.0.0.1:0"
"""Dask's scheduler serves its state by HTTP, without a password: on loopback, at a port that is free."""


class DaskWorkers:
    """The workers of a Dask cluster, which does a chunk again whose worker died."""

    in_processes = True

    def __init__(self, cluster: Any) -> None:
        from distributed import Client

        self._client = Client(cluster, set_as_default=False)

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`; what seems lost is tried once more alone, as another may be to blame."""
        futures = [self._client.submit(work, chunk, pure=False) for chunk in chunks]
        answers = [_answer(future) for future in futures]
        return [
            _answer(self._client.submit(work, chunk, pure=False)) if isinstance(a, Lost) else a
            for chunk, a in zip(chunks, answers, strict=True)
        ]

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
def open_cluster(tasks: Tasks, folder: Path) -> Iterator[Any]:
    """A cluster of `tasks.workers`, encrypted with keys of its own, while the block runs.

    Workers that end are started anew. Those on other machines find their keys, and leave their logs, in
    `folder`.
    """
    check_cluster(tasks)
    import distributed

    logging.getLogger("distributed").setLevel(logging.ERROR)
    security = distributed.Security.temporary()
    if tasks.machine is None:
        with distributed.LocalCluster(
            n_workers=tasks.workers,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            scheduler_kwargs={"allowed_failures": DEATHS},
            memory_limit=0,  # Dask would pause a worker for good whose model takes most of its share
            dashboard_address=NO_DASHBOARD,
            silence_logs=logging.ERROR,
        ) as cluster:
            yield cluster
        return
    import dask_jobqueue

    profile = load_machine(tasks.machine)
    folder.mkdir(parents=True, exist_ok=True)
    sort = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}
    with sort[profile.scheduler](
        **job_options(profile, tasks),
        protocol="tls://",
        security=security,
        shared_temp_directory=str(folder),
        log_directory=str(folder),
        scheduler_options={"dashboard_address": NO_DASHBOARD, "allowed_failures": DEATHS},
        silence_logs=logging.ERROR,
    ) as cluster:
        cluster.adapt(minimum=tasks.workers, maximum=tasks.workers)
        yield cluster


def job_options(profile: MachineProfile, tasks: Tasks) -> dict[str, Any]:
    """What dask-jobqueue is told of one worker's job, by the `resources` of a machine profile.

    MachineError where they are not for one worker on one node.
    """
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
    minutes = round(asked.wall_time_minutes or 60.0)
    lines = [
        *(["module purge"] if asked.modules else []),
        *(f"module load {name}" for name in asked.modules),
        f"export OMP_NUM_THREADS={cores}",
        *(f"export {name}={shlex.quote(value)}" for name, value in asked.environment.items()),
        *asked.pre,
    ]
    options: dict[str, Any] = {
        "cores": 1,  # one chunk at a time: its threads are those of OpenMP
        "processes": 1,
        "memory": f"{asked.memory_per_node_gb:g}GB",
        "worker_extra_args": ["--memory-limit", "0"],  # the scheduler sees to it
        "walltime": f"{minutes // 60:02d}:{minutes % 60:02d}:00",
        "queue": asked.queue,
        "account": asked.account,
        "python": f"{asked.launcher} {asked.python}".strip(),
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


def _answer(future: Any) -> str | Lost:
    """What a future of Dask answers, `Lost` where too many workers died at it."""
    from distributed import KilledWorker

    try:
        return str(future.result())
    except KilledWorker:
        return Lost("every worker that was to do it died: was there enough memory?")
