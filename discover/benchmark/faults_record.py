"""What the jobs themselves left behind, against what the store says: lost, doubled, stuck."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from discover.calculations.job import RESULT
from discover.folder import CampaignFolder
from discover.records import Calculation, CalculationState, Observation

WATCH_SECONDS = 1.0
CLOCK_SECONDS = 0.01
"""Two readings of one clock may be told apart by no more."""


@dataclass(frozen=True)
class Event:
    """A line of the jobs' log."""

    event: str
    campaign: str
    job: str
    pid: int
    time: float
    value: float


def read_log(log: Path) -> list[Event]:
    """The jobs' log in the order written; a line that a kill cut short is left out."""
    if not log.exists():
        return []
    lines = log.read_text(encoding="utf-8").split("\n")[:-1]
    return [Event(**json.loads(line)) for line in lines]


class ResultWatcher:
    """Keeps the hash of every result file that appears beneath a folder, and what changed later."""

    def __init__(self, campaigns: Path) -> None:
        self._campaigns = campaigns
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="result-watcher")
        self.seen: dict[Path, str] = {}
        self.changed: set[Path] = set()

    def __enter__(self) -> ResultWatcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def look(self) -> None:
        """Take in what is there now."""
        for path in self._campaigns.glob(f"*/jobs/*/{RESULT}"):
            try:
                found = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError:
                continue
            if self.seen.setdefault(path, found) != found:
                self.changed.add(path)

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self.look()


@dataclass
class Verdict:
    """What is wrong with the campaigns in the end: nothing, where all lists are empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.stuck or self.unsound)


def judge_log(events: Sequence[Event], finished_at: dict[str, float]) -> list[str]:
    """Jobs that ran twice at once, or again after their result was there.

    `finished_at` is when, by campaign and job, written `campaign/job`.
    """
    doubled = []
    by_job: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        by_job[f"{event.campaign}/{event.job}"].append(event)
    for job, own in by_job.items():
        open_since: dict[int, float] = {}
        for event in sorted(own, key=lambda one: one.time):
            if event.event == "begin":
                open_since[event.pid] = event.time
                after = finished_at.get(job)
                if after is not None and event.time > after + CLOCK_SECONDS:
                    doubled.append(f"{job}: computed again after its result was there")
            else:
                begun = open_since.pop(event.pid, math.inf)
                if any(begun < other < event.time for other in open_since.values()):
                    doubled.append(f"{job}: two processes computed it at once")
    return doubled


def judge_store(
    name: str,
    calculations: Sequence[Calculation],
    observations: Sequence[Observation],
    values: dict[str, float],
) -> tuple[list[str], list[str]]:
    """What a store lacks or has twice, given the value that each job found (`values`, by job)."""
    lost, doubled = [], []
    done = {c.id for c in calculations if c.state is CalculationState.DONE}
    kept = {o.calculation: o.value for o in observations}
    for job, value in values.items():
        if job not in done or kept.get(job) != value:
            lost.append(f"{name}/{job}: gave {value}, and the store has {kept.get(job)}")
    lost += [f"{name}/{job}: is done, and no job says so" for job in done - values.keys()]
    lost += [
        f"{name}/{c.id}: {c.state}: {c.reason}"
        for c in calculations
        if c.state is CalculationState.FAILED
    ]
    doubled += _repeated(f"{name}: results of calculation", (o.calculation for o in observations))
    doubled += _repeated(f"{name}: calculations of candidate", (c.candidate for c in calculations))
    doubled += _repeated(f"{name}: calculations of pick", (c.order for c in calculations))
    return lost, doubled


def judge(folders: Iterable[CampaignFolder], events: Sequence[Event], seen: set[Path]) -> Verdict:
    """Lost and doubled results of campaigns, by the jobs' log and the result files that were seen."""
    verdict = Verdict()
    finished: dict[str, float] = {}
    said = {(e.campaign, e.job): e.value for e in events if e.event == "end"}
    for folder in folders:
        name = folder.root.name
        own = {path.parent.name for path in seen if path.parents[2] == folder.root}
        values = {}
        for job in own:
            result = _read(folder.job(job) / RESULT)
            if result is None:
                verdict.lost.append(f"{name}/{job}: its result file is gone")
                continue
            finished[f"{name}/{job}"] = result["finished_at"]
            values[job] = result["values"][0]["value"] if result["values"] else math.nan
            if values[job] != said.get((name, job)):
                verdict.lost.append(f"{name}/{job}: its file and its log differ")
        spec = folder.load()
        with closing(folder.open_existing_store(spec, read_only=True)) as store:
            lost, doubled = judge_store(
                name, store.calculations(), store.observations(quarantined=True), values
            )
        verdict.lost += lost
        verdict.doubled += doubled
    verdict.doubled += judge_log(events, finished)
    return verdict


def _repeated(what: str, things: Iterable[object]) -> list[str]:
    return [f"{what} {thing}: {n}" for thing, n in Counter(things).items() if n > 1]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content
