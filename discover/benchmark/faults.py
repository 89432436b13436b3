"""A soak of `discover up` under kills and outages: what is lost, doubled or stuck in the end.

Everything is real but what the jobs compute: Prefect's server, the service, the page, the steering
processes, the stores, and jobs as processes of this machine or of a Slurm.
"""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from discover.benchmark.faults_kind import ALLOYS, NAME, Alloys
from discover.benchmark.faults_mongod import Mongod
from discover.benchmark.faults_outages import Killer, Slurm, fill_disk, lock_stores, small_disk
from discover.benchmark.faults_record import ResultWatcher, Verdict, judge, read_log
from discover.benchmark.faults_service import Service
from discover.campaign import CampaignSpec
from discover.errors import CampaignError, DiscoverError, ServerError
from discover.files import write_atomically
from discover.folder import CampaignFolder
from discover.records import ACTIVE_STATES

DISK_MEGABYTES = 700
OVERHEAD_SECONDS = 6.0
"""What a job takes beside its sleep on a slow machine: start, collection, its share of training."""
BEGIN_SECONDS = 300.0
TELL_SECONDS = 30.0
MACHINE = "scheduler: slurm\npoll_seconds: 1\nanswer_seconds: 10\nsettle_seconds: 3\n"
Told = Callable[[str], None]


def run(
    *,
    campaigns: int = 4,
    minutes: float = 20.0,
    kill_every_seconds: float = 20.0,
    outage_seconds: float = 60.0,
    job_seconds: float = 8.0,
    seed: int = 0,
    out: Path | None = None,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Soak, wait until the campaigns reached their budgets, and compare with the jobs' own record.

    `results.json` in `out` holds what is returned. CampaignError where `out` is not empty.
    """
    place = Path(tempfile.mkdtemp(prefix="discover-faults-")) if out is None else out.resolve()
    if place.exists() and any(place.iterdir()):
        raise CampaignError(f"{place}: is not empty; give another folder")
    soak = Soak(place, minutes, outage_seconds, job_seconds, told)
    calculations = max(4, round(60 * minutes / (job_seconds + OVERHEAD_SECONDS)))
    calculations = min(calculations, Alloys().size())
    specs = [
        spec(number, calculations, job_seconds, soak.slurm, soak.mongod)
        for number in range(campaigns)
    ]
    result = soak.run(specs, kill_every_seconds, seed)
    write_atomically(place / "results.json", json.dumps(result, indent=2))
    if out is None and result["passed"]:
        shutil.rmtree(place)
    return result


def spec(
    number: int,
    calculations: int,
    job_seconds: float,
    slurm: Slurm | None = None,
    mongod: Mongod | None = None,
) -> CampaignSpec:
    """A campaign of quick jobs; every other one hands them to Slurm, every other pair of campaigns keeps
    its records on the MongoDB server, where there is one.
    """
    by_slurm = slurm is not None and number % 2 == 1
    return CampaignSpec.model_validate(
        {
            "name": f"soak-{number + 1}",
            "store": mongod.store if mongod is not None and number % 4 >= 2 else None,
            "generator": {"name": ALLOYS},
            "pool": {"size": 6, "batch": 3},
            "potential": "emt",
            "relaxation": {"enabled": False},
            "filters": {"max_formation_energy_ev_per_atom": None, "min_distance_ratio": 0.3},
            "descriptors": ["structure"],
            "surrogate": {"name": "gp"},
            "acquisition": {"name": "ucb"},
            "initial": 5,
            "retrain_every": 5,
            "calculation": {
                "kind": NAME,
                "engine": "potential",
                "engine_settings": {"potential": "emt"},
                "settings": {"seconds": job_seconds},
            },
            "dispatch": {
                "name": "slurm" if by_slurm else "local",
                "machine": "soak" if by_slurm else None,
                "jobs": 1,
                "attempts": 100,
                "wall_time_minutes": 10,
            },
            "budget": {"calculations": calculations, "failures_in_a_row": 50},
            "seed": number,
        }
    )


class Soak:
    """One run of the benchmark, in a folder that is its own."""

    def __init__(
        self, place: Path, minutes: float, outage_seconds: float, job_seconds: float, told: Told
    ) -> None:
        self._minutes = minutes
        self._job_seconds = job_seconds
        self._outage_seconds = min(outage_seconds, 60 * minutes / 6)
        self._started = time.monotonic()
        self._told_plainly = told
        self._home, self._outside = place / "home", place / "outside"
        for folder in (self._home, self._outside, self._outside / "slurm"):
            folder.mkdir(parents=True)
        self._why_no_slurm = Slurm.missing()
        self.slurm = None if self._why_no_slurm else Slurm(self._outside / "slurm")
        self.mongod = Mongod(self._outside / "mongod") if Mongod.program() else None
        self._outages: list[dict[str, Any]] = []

    def run(
        self, specs: list[CampaignSpec], kill_every_seconds: float, seed: int
    ) -> dict[str, Any]:
        """Everything from the start of the service to the verdict."""
        with ExitStack() as ended:
            ended.enter_context(_termination_unwinds())
            has_disk = ended.enter_context(small_disk(self._home, DISK_MEGABYTES))
            if self.mongod is not None:
                ended.callback(self.mongod.stop)
                self.mongod.start()
            service = Service(self._home, self._outside, self._start_slurm(ended))
            ended.callback(self._keep_home)
            ended.callback(service.stop)
            self._tell("starting `discover up`")
            service.start()
            folders = [service.launch(one) for one in specs]
            self._tell(f"launched {len(folders)} campaigns of {specs[0].budget.calculations} jobs")
            self._wait_until(lambda: all(map(_is_begun, folders)), BEGIN_SECONDS, folders)
            if not all(map(_is_begun, folders)):
                raise ServerError(f"not every campaign began; see {self._home / 'service.log'}")
            watcher = ended.enter_context(ResultWatcher(self._home / "campaigns"))
            killer = Killer(service.processes, kill_every_seconds, seed, self._tell)
            with killer:
                self._provoke(folders, has_disk=has_disk)
            done_under_faults = sum(map(_done, folders))
            self._tell("the faults are over: every campaign is to go on to its budget")
            calm = time.monotonic()
            longest = self.longest_calm_seconds(specs)
            self._wait_until(lambda: all(map(is_finished, folders)), longest, folders)
            calm_seconds = time.monotonic() - calm
            watcher.look()
            verdict = judge(folders, read_log(service.log), set(watcher.seen))
            verdict.doubled += [f"{path}: was written again" for path in watcher.changed]
            verdict.stuck += [str(f.root.name) for f in folders if not is_finished(f)]
            for folder in folders:
                verdict.unsound += service.check(folder)
            return self._result(
                verdict,
                killed=dict(killer.killed),
                restarts_by_systemd=service.restarts,
                campaigns=len(folders),
                calculations=sum(map(_done, folders)),
                done_under_faults=done_under_faults,
                calm_seconds=calm_seconds,
                longest_calm_seconds=longest,
                has_disk=has_disk,
            )

    def longest_calm_seconds(self, specs: list[CampaignSpec]) -> float:
        """Within this time after the faults every campaign must have reached its budget."""
        a_job = self._job_seconds + 2 * OVERHEAD_SECONDS
        return 300.0 + specs[0].budget.calculations * a_job

    def _provoke(self, folders: list[CampaignFolder], *, has_disk: bool) -> None:
        """The outages, evenly over the time of the soak; they may overlap with kills."""
        seconds = self._outage_seconds
        files = [folder.store_file for folder in folders if folder.store_file.exists()]
        planned: list[tuple[str, Callable[[], None]]] = []
        if has_disk:
            planned.append(("full disk", lambda: fill_disk(self._home, seconds)))
        planned.append(("SQLite stores", lambda: lock_stores(files, seconds)))
        if self.mongod is not None:
            mongod = self.mongod
            planned.append(("MongoDB", lambda: mongod.go_away(seconds)))
        if self.slurm is not None:
            slurm = self.slurm
            planned.append(("scheduler", lambda: slurm.go_away(seconds)))
        begun = time.monotonic()
        total = 60 * self._minutes
        for i, (name, provoke) in enumerate(planned):
            self._sleep_until(begun + total * (i + 1) / (len(planned) + 1) - seconds / 2, folders)
            self._tell(f"outage begins: {name}, {seconds:.0f} s")
            started = time.monotonic()
            provoking = threading.Thread(target=provoke)
            provoking.start()
            while provoking.is_alive():
                provoking.join(1.0)
            self._tell(f"outage is over: {name}")
            self._outages.append({"what": name, "seconds": time.monotonic() - started})
        self._sleep_until(begun + total, folders)

    def _start_slurm(self, ended: ExitStack) -> Path | None:
        if self.slurm is None:
            return None
        machines = self._outside / "config" / "discover" / "machines"
        machines.mkdir(parents=True)
        (machines / "soak.yaml").write_text(MACHINE, encoding="utf-8")
        ended.callback(self.slurm.stop)
        self.slurm.start()
        return self.slurm.conf

    def _keep_home(self) -> None:
        """Copy what is on the small disk, which is gone in a moment, for whoever looks into it."""
        shutil.copytree(self._home, self._outside / "home", symlinks=True)

    def _wait_until(
        self, condition: Callable[[], bool], seconds: float, folders: list[CampaignFolder]
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self._sleep_until(min(deadline, time.monotonic() + 2.0), folders)

    def _sleep_until(self, moment: float, folders: list[CampaignFolder]) -> None:
        """Sleep, and tell now and then how far the campaigns are."""
        while (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            if time.monotonic() > self._next_telling:
                self._next_telling = time.monotonic() + TELL_SECONDS
                self._tell("results: " + ", ".join(str(_done(folder)) for folder in folders))

    _next_telling = 0.0

    def _tell(self, line: str) -> None:
        self._told_plainly(f"{time.monotonic() - self._started:6.0f} s  {line}")

    def _result(self, verdict: Verdict, *, has_disk: bool, **measured: Any) -> dict[str, Any]:
        skipped = {}
        if self.mongod is None:
            skipped["MongoDB"] = "no mongod here (deploy/setup.sh test installs one)"
        if not has_disk:
            skipped["full disk"] = "no small file system can be mounted here (it needs root)"
        if self._why_no_slurm:
            skipped["scheduler"] = self._why_no_slurm
        return {
            "passed": verdict.passed,
            "minutes": self._minutes,
            **measured,
            "kills": sum(measured["killed"].values()),
            "outages": self._outages,
            "not_tried": skipped,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
            "stuck": verdict.stuck,
            "unsound": verdict.unsound,
        }


@contextmanager
def _termination_unwinds() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that nothing that was started is left behind."""

    def unwind(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def is_finished(folder: CampaignFolder) -> bool:
    """Whether a campaign says that it reached its budget, with no job left."""
    try:
        with closing(folder.open_existing_store(folder.load(), read_only=True)) as store:
            stopped = store.value("stopped")
            at_budget = stopped is not None and stopped.startswith("budget")
            return at_budget and not store.calculations(ACTIVE_STATES)
    except DiscoverError:
        return False


def _is_begun(folder: CampaignFolder) -> bool:
    return _done(folder) > 0


def _done(folder: CampaignFolder) -> int:
    """Result files there are: the store is not asked, it may be away."""
    return len(list(folder.root.glob("jobs/*/result.json")))


def show(result: dict[str, Any]) -> None:
    """What was survived, and what was not."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(
        title=f"{result['campaigns']} campaigns, {result['minutes']:g} min of faults, "
        f"{result['calculations']} results"
    )
    table.add_column("what went wrong")
    table.add_column("times", justify="right")
    for kind, times in sorted(result["killed"].items()):
        table.add_row(f"killed: {kind}", str(times))
    for outage in result["outages"]:
        table.add_row(f"outage: {outage['what']}, {outage['seconds']:.0f} s", "1")
    console.print(table)
    for what, why in result["not_tried"].items():
        console.print(f"not tried: {what}: {why}", markup=False)
    console.print(
        f"survived {result['kills']} kills and {len(result['outages'])} outages; after them every "
        f"campaign reached its budget within {result['calm_seconds']:.0f} s "
        f"(allowed: {result['longest_calm_seconds']:.0f} s)"
        if result["passed"]
        else "NOT survived"
    )
    for name in ("lost", "doubled", "stuck", "unsound"):
        console.print(f"{name}: {len(result[name])}")
        for line in result[name][:20]:
            console.print(f"  {line}", markup=False)
