"""The loop's share of the time that simulated job slots are busy: everything but the jobs is real.

A campaign with the default strategy is steered by its own runner, store, job directories and models. It
is met in the middle: so many results are known, and every slot runs a job.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np

from discover.benchmark.scale_world import Clock, SimulatedSlots, job_seconds, seconds_left
from discover.calculations.base import JobResult, Value
from discover.calculations.job import RESULT, read_input
from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.jobs import Jobs
from discover.lease import SteeringLease
from discover.records import Candidate, CandidateState
from discover.runner import CampaignRunner
from discover.steering import Rules, steer
from discover.structures.structure import Structure

Result = TypeVar("Result")


@dataclass(frozen=True)
class Mix:
    """Jobs: slots, mean run time (s), spread of its logarithm, and picks that may wait for a slot.

    `cpu_time`: only CPU time of the loop counts, for a machine on which others work too.
    """

    slots: int
    mean_seconds: float = 3600.0
    sigma: float = 1.0
    queued: int = 0
    cpu_time: bool = False
    surrogate: str = "auto"


def busy_share(
    mix: Mix, *, known: int, picks: int, seed: int, told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Steer until `picks` calculations were picked beyond `known` results and the full slots.

    Gives the busy share of the slots, and the loop's own seconds in all and by step.
    """
    spec = campaign(mix, seed)
    rng = np.random.default_rng([seed, mix.slots])
    with TemporaryDirectory(prefix="discover-scale-") as name:
        folder = CampaignFolder(Path(name))
        clock = Clock(time.process_time if mix.cpu_time else time.perf_counter)
        running = [seconds_left(mix.mean_seconds, mix.sigma, rng) for _ in range(mix.slots)]
        slots = SimulatedSlots(
            clock,
            mix.slots,
            itertools.chain([0.0] * known, running, job_seconds(mix.mean_seconds, mix.sigma, rng)),
            answer,
        )
        with closing(folder.open_store(spec)) as store, SteeringLease(store) as lease:
            told(f"{mix.slots} slots: {known} results and {mix.slots} running jobs are made")
            with clock.stopped():
                _begin(folder, spec, slots, known + mix.slots, lease)
            runner = SteadyRunner(folder, spec, store, lease, slots, slots.submitted + picks)
            runner.recover()
            told(f"{mix.slots} slots: {picks} picks")
            since = clock.now()
            started = clock.timer()
            with suppress(WindowOver):
                steer(runner, Rules.of(spec))
            seconds = clock.timer() - started
            done = runner.picks
            trained_on = runner.situation().trained_on
    return {
        "slots": mix.slots,
        "queued": mix.queued,
        "cpu_time": mix.cpu_time,
        "mean_job_seconds": mix.mean_seconds,
        "known": known,
        "trained_on": trained_on,
        "picks": done,
        "slots_busy": slots.busy_share(since),
        "own_seconds": seconds,
        "own_seconds_per_pick": seconds / done,
        "steps": {
            step: {"times": times, "seconds": spent}
            for step, (times, spent) in sorted(runner.steps.items())
        },
    }


def campaign(mix: Mix, seed: int) -> CampaignSpec:
    """The default strategy and pool; candidates are described, not relaxed, and jobs are simulated."""
    return CampaignSpec.model_validate(
        {
            "name": "scale",
            "potential": "emt",
            "relaxation": {"enabled": False},
            "filters": {"max_formation_energy_ev_per_atom": None, "min_distance_ratio": 0.01},
            "surrogate": {"name": mix.surrogate},
            "calculation": {
                "kind": "agl",
                "engine": "potential",
                "engine_settings": {"potential": "emt"},
            },
            "dispatch": {"jobs": mix.slots, "queued": mix.queued},
            "budget": {"calculations": 10**9},
            "seed": seed,
        }
    )


def conductivity(structure: Structure, seed: str) -> float:
    """A thermal conductivity (W/m/K) that falls with the mean atomic number, and scatters."""
    numbers = structure.to_atoms().numbers  # type: ignore[union-attr]
    noise = np.random.default_rng(list(seed.encode())).standard_normal()
    return float(10 ** (2.5 - numbers.mean() / 25 + 0.2 * noise))


def answer(directory: Path) -> None:
    """Write the result of a simulated job into its directory."""
    job = read_input(directory)
    value = conductivity(job.structure, job.id)
    now = time.time()
    result = JobResult(
        id=job.id,
        status="done",
        fidelity="agl/potential",
        values=(Value.of("thermal_conductivity", value),),
        kind=job.kind,
        engine=job.engine,
        settings=job.settings,
        engine_settings=job.engine_settings,
        versions={},
        started_at=now,
        finished_at=now,
        seconds=0.0,
        cores=1,
    )
    (directory / RESULT).write_text(result.model_dump_json(), encoding="utf-8")


class SteadyRunner(CampaignRunner):
    """The runner of a campaign on simulated slots, until enough was picked; notes what steps cost."""

    def __init__(
        self,
        folder: CampaignFolder,
        spec: CampaignSpec,
        store: Any,
        lease: SteeringLease,
        slots: SimulatedSlots,
        until: int,
    ) -> None:
        super().__init__(folder, spec, store, lease)
        self.jobs = Jobs(folder, spec, store, slots)
        self.steps: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        self._slots, self._until, self._first = slots, until, slots.submitted

    @property
    def picks(self) -> int:
        """How many jobs it submitted."""
        return self._slots.submitted - self._first

    def recover(self) -> None:
        """Bring memory to where the store is, as `run` does first."""
        self._recover()

    def fill(self, n: int) -> list[Candidate]:
        """So many ready candidates, proposed and described as ever."""
        ready: list[Candidate] = []
        while len(ready) < n:
            screened = self._supply.screen(self._supply.propose(self.spec.pool.batch))
            ready += [c for c in screened if c.state is CandidateState.READY]
        return ready[:n]

    def step(self, name: str, label: str, work: Callable[[], Result]) -> Result:
        """As the base class; notes its seconds."""
        timer = self._slots.clock.timer
        started = timer()
        try:
            return super().step(name, label, work)
        finally:
            times, seconds = self.steps[name]
            self.steps[name] = times + 1, seconds + timer() - started

    def wait(self) -> None:
        """Jump to the next end of a job, or end, where enough was picked."""
        if self._slots.submitted >= self._until:
            raise WindowOver
        self._slots.clock.skip_to(self._slots.next_end())


class WindowOver(Exception):  # noqa: N818 - not an error: the measurement is complete
    """Enough was picked."""


def _begin(
    folder: CampaignFolder,
    spec: CampaignSpec,
    slots: SimulatedSlots,
    n: int,
    lease: SteeringLease,
) -> None:
    """Give the first n candidates a job each: those that take no time are known, the others run."""
    with closing(folder.open_store(spec)) as store:
        runner = SteadyRunner(folder, spec, store, lease, slots, 0)
        for order, candidate in enumerate(runner.fill(n)):
            runner.jobs.pick(candidate, order=order, picked_by="initial", prediction=None)
            if slots.intervals[-1][1] <= slots.intervals[-1][0]:
                ended, _ = runner.jobs.poll()
                for calculation in ended:
                    runner.jobs.collect(calculation)
