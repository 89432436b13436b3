"""Structures relaxed a minute by so many workers, and what a batch costs beside its work."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from discover.benchmark.relax import prototypes
from discover.campaign import RelaxationSettings, Tasks
from discover.potentials import load_potential
from discover.structures.crystal import Crystal
from discover.workers import InTurn, Lost, Workers, spread, tasks
from discover.workers.base import Threads

CHUNK = 16
EMPTY_CHUNKS = 64
MANY = 64
CHUNKS_EACH = 8
MEAN_SECONDS = 2.0
SPREAD = 0.5


def nothing(asked: str) -> str:
    """The work that gives back what it was asked."""
    return asked


def sleep(asked: str) -> str:
    """Work that takes the time (s) it is told to take."""
    time.sleep(json.loads(asked))
    return asked


@contextmanager
def workers_of(runner: str, n: int, folder: Path) -> Iterator[Workers]:
    """So many threads, or processes of a Dask cluster on this machine."""
    if runner == "dask":
        from discover.workers.clusters import open_cluster

        with open_cluster(Tasks(runner="dask", workers=n), folder) as workers:
            yield workers
    elif n == 1:
        yield InTurn()
    else:
        with closing(Threads(n)) as workers:
            yield workers


def relaxed_a_minute(
    potential: str,
    runner: str,
    n: int,
    *,
    structures: int,
    folder: Path,
    seed: int,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Relax prototypes in chunks of 16 by n workers, each of which has loaded the potential before.

    Gives structures a minute, and the overhead (s) of a batch of 16 whose work is nothing.
    """
    crystals = prototypes(load_potential(potential), structures, seed)

    def pack(chunk: Sequence[Crystal]) -> str:
        return tasks.RelaxCrystals(
            base=folder, potential=potential, settings=RelaxationSettings(), crystals=tuple(chunk)
        ).model_dump_json()

    told(f"{potential}: {structures} structures by {n} workers ({runner})")
    with workers_of(runner, n, folder) as workers:
        # each one loads the potential and compiles it before the clock starts
        workers.map(tasks.relax_crystals, [pack(crystals[:2])] * 2 * n)
        started = time.perf_counter()
        read = tasks.relaxed_crystals().validate_json
        answers = spread(workers, tasks.relax_crystals, crystals, CHUNK, pack, read)
        seconds = time.perf_counter() - started
        batch = overhead_seconds(workers, pack(crystals[:CHUNK]))
    converged = sum(not isinstance(a, Lost) and a.problem is None for a in answers)
    return {
        "runner": runner,
        "workers": n,
        "potential": potential,
        "structures": structures,
        "converged": converged,
        "structures_per_minute": 60.0 * structures / seconds,
        "batch_overhead_seconds": batch,
    }


def overhead_seconds(workers: Workers, chunk: str) -> float:
    """Median time (s) of a chunk that goes to a worker and back undone."""
    times = []
    for _ in range(EMPTY_CHUNKS):
        started = time.perf_counter()
        workers.map(nothing, [chunk])
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def simulated(
    runner: str, seed: int, told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Structures a minute by 64 workers whose chunks take a log-normal time, beside what is possible.

    `efficiency` is the time that the chunks take in all, over that for which 64 workers were held. Dask's
    workers are threads of this process here, its scheduler and its messages are real.
    """
    rng = np.random.default_rng(seed)
    chunks = MANY * CHUNKS_EACH
    seconds = MEAN_SECONDS * rng.lognormal(-(SPREAD**2) / 2, SPREAD, chunks)
    texts = [json.dumps(float(s)) for s in seconds]
    told(f"{MANY} workers ({runner}): {chunks} chunks of {MEAN_SECONDS:g} s on average")
    with _many(runner) as workers:
        workers.map(nothing, texts[:MANY])
        started = time.perf_counter()
        workers.map(sleep, texts)
        took = time.perf_counter() - started
    return {
        "runner": runner,
        "workers": MANY,
        "chunk_seconds": MEAN_SECONDS,
        "structures": CHUNK * chunks,
        "structures_per_minute": 60.0 * CHUNK * chunks / took,
        "efficiency": float(seconds.sum() / (MANY * took)),
    }


@contextmanager
def _many(runner: str) -> Iterator[Workers]:
    if runner == "threads":
        with closing(Threads(MANY)) as threads:
            yield threads
        return
    import distributed

    from discover.workers.clusters import NO_DASHBOARD, DaskWorkers

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        distributed.LocalCluster(
            n_workers=MANY,
            threads_per_worker=1,
            processes=False,
            host="127.0.0.1",
            protocol="tls://",
            security=distributed.Security.temporary(),
            dashboard_address=NO_DASHBOARD,
            memory_limit=0,
            silence_logs=logging.ERROR,
        ) as cluster,
        closing(DaskWorkers(cluster)) as workers,
    ):
        yield workers
