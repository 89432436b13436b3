"""Memory of a loop whose store holds a million candidates: `python -m discover.benchmark.scale_memory`.

Takes number of candidates and of results, seed and surrogate; prints JSON. It is a process of its own, so
that its peak is its own.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from discover.benchmark.scale_loop import Mix, SteadyRunner, WindowOver, answer, campaign
from discover.benchmark.scale_world import Clock, SimulatedSlots, job_seconds
from discover.errors import DiscoverError
from discover.folder import CampaignFolder
from discover.lease import SteeringLease
from discover.steering import Rules, steer

DESCRIPTORS = 149
"""Numbers that describe a crystal by default."""
ROWS_AT_ONCE = 10_000
SLOTS = 4


def run(candidates: int, known: int, seed: int, surrogate: str) -> dict[str, Any]:
    """Measure in a process of its own; DiscoverError with what it said where it failed."""
    asked = [str(candidates), str(known), str(seed), surrogate]
    done = subprocess.run(
        [sys.executable, "-m", "discover.benchmark.scale_memory", *asked],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DiscoverError(f"the measurement of memory failed:\n{done.stderr.strip()}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measure(candidates: int, known: int, seed: int, surrogate: str) -> dict[str, Any]:
    """Resume a campaign in such a store, and steer it until every slot had a pick by the model."""
    import sklearn.ensemble  # noqa: F401 - of the baseline, as is the model's torch
    import torch

    import surrogates.auto  # noqa: F401

    torch.set_num_threads(1)
    spec = campaign(Mix(SLOTS, surrogate=surrogate), seed)
    with TemporaryDirectory(prefix="discover-scale-") as name:
        folder = CampaignFolder(Path(name))
        with closing(folder.open_store(spec)) as store:
            store.set_value("exhausted", value=True)
        write_candidates(folder.store_file, candidates, seed)
        clock = Clock()
        seconds = job_seconds(3600.0, 1.0, np.random.default_rng(seed))
        slots = SimulatedSlots(clock, SLOTS, seconds, answer)
        with closing(folder.open_store(spec)) as store, SteeringLease(store) as lease:
            add_results(store, known)
            runner = SteadyRunner(folder, spec, store, lease, slots, SLOTS)
            before, started = peak_mib(), time.perf_counter()
            runner.recover()
            recovered, resumed = peak_mib(), time.perf_counter()
            with suppress(WindowOver):
                steer(runner, Rules.of(spec))
            ended = time.perf_counter()
        size = folder.store_file.stat().st_size
    return {
        "candidates": candidates,
        "descriptors": DESCRIPTORS,
        "known": known,
        "store_mib": size / 2**20,
        "baseline_mib": before,
        "resumed_mib": recovered - before,
        "peak_mib": peak_mib() - before,
        "descriptors_mib": 8 * candidates * DESCRIPTORS / 2**20,
        "resume_seconds": resumed - started,
        "picks": runner.picks,
        "steer_seconds": ended - resumed,
    }


def write_candidates(file: Path, n: int, seed: int) -> None:
    """Put n ready candidates into a campaign's store in bulk: as they would be, but made up."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for rows in _rows(n, seed):
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO candidates (id, state, record) VALUES (?, 'ready', ?)", rows
            )
            connection.execute("COMMIT")


def add_results(store: Any, n: int) -> None:
    """Known values of the first n candidates, as imported ones are."""
    from discover.records import CandidateState, Observation

    store.add_observations(
        [
            Observation(
                id=f"known-{candidate.id}",
                candidate=candidate.id,
                calculation=None,
                property="thermal_conductivity",
                value=float(10 ** (sum(candidate.features[:8]) - 3)),
                unit="W/m/K",
                fidelity="agl/potential",
                source="benchmark",
            )
            for candidate in store.candidate_page(0, n, CandidateState.READY)
        ]
    )


def peak_mib() -> float:
    """Largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _rows(n: int, seed: int) -> Iterator[list[tuple[str, str]]]:
    """Ids and records of rocksalt crystals with made-up lattice constants and descriptors, by blocks."""
    rng = np.random.default_rng(seed)
    for start in range(0, n, ROWS_AT_ONCE):
        size = min(ROWS_AT_ONCE, n - start)
        digits = rng.integers(1000, 10000, (size, DESCRIPTORS)).tolist()
        yield [
            _row(start + i, 2.0 + (start + i) / n, described) for i, described in enumerate(digits)
        ]


def _row(row: int, half: float, digits: list[int]) -> tuple[str, str]:
    name, numbers = f"{row:016x}", [3 + row % 80, 3 + row // 80 % 80]
    features = "0." + ",0.".join(map(str, digits))
    return name, (
        f'{{"id":"{name}","formula":"X{numbers[0]}Y{numbers[1]}","spacegroup":225,'
        f'"prototype":"rocksalt","structure":{{"numbers":{numbers},"cell_angstrom":'
        f"[[0,{half},{half}],[{half},0,{half}],[{half},{half},0]],"
        '"scaled_positions":[[0,0,0],[0.5,0.5,0.5]]},'
        '"provenance":{"generator":"benchmark","operation":"made","parents":[],"draw":0},'
        f'"state":"ready","features":[{features}]}}'
    )


if __name__ == "__main__":
    candidates, known, seed = map(int, sys.argv[1:4])
    print(json.dumps(measure(candidates, known, seed, sys.argv[4])))  # noqa: T201 - the answer of the process
