"""Campaigns that were launched from the service: those whose process was killed are launched again."""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from discover.campaign import CampaignSpec
from discover.errors import DiscoverError, ServerError
from discover.folder import SPEC_FILE, CampaignFolder
from discover.home import home
from discover.lease import is_alive
from discover.records import Lease
from flows.server import answers, read_daemon

DEPLOYMENT = "/deployments/name/launch-campaign/discover"
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0
ANSWER_SECONDS = 20.0
BUSY = 503
"""Prefect's answer while its database is locked: nothing was done, and every client is to ask again."""
BUSY_ATTEMPTS = 30
LEFT_ALONE = frozenset({"CANCELLED", "CANCELLING"})
WAITING = frozenset({"SCHEDULED", "PAUSED"})
STARTING = frozenset({"PENDING", "RUNNING"})
STARTING_SECONDS = 120.0
"""After so long a run that never steered is not one that starts, but one whose process is gone."""
FAILED = "FAILED"
CRASHED = "CRASHED"
PENDING = "PENDING"
NEVER_RAN_SECONDS = 3600.0
"""So long a run whose process was killed before it began is tried again."""


@dataclass(frozen=True)
class Run:
    """A campaign's newest run in Prefect: type of its state, and since when (seconds since the epoch)."""

    state: str
    since: float

    @classmethod
    def of(cls, run: dict[str, Any]) -> Run:
        """From Prefect's description of a flow run."""
        state = run["state"]
        return cls(state["type"], datetime.fromisoformat(state["timestamp"]).timestamp())

    def may_be_starting(self, lease: Lease | None, now: float) -> bool:
        """Whether its process may be about to steer.

        Prefect calls a run running for ever whose process was killed together with the service. A lease
        that was taken during the run says that it steered; nobody does now, so that it is over.
        """
        has_steered = lease is not None and lease.acquired_at > self.since
        return self.state in STARTING and not has_steered and now < self.since + STARTING_SECONDS


@dataclass
class _Unsteered:
    """Since when nobody steers a campaign that is not over, and how long that is waited for."""

    since: float
    pause_seconds: float = FIRST_PAUSE_SECONDS

    def is_over(self) -> bool:
        """Whether that was waited for long enough."""
        return time.monotonic() >= self.since + self.pause_seconds

    def wait_longer(self) -> None:
        """Wait from now on, twice as long as before."""
        self.since = time.monotonic()
        self.pause_seconds = min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)


class LaunchedCampaigns:
    """Launches those campaigns of the service's home again that nobody steers and that are not over.

    Over is what reached its end or was stopped by a user, in the store or by cancelling its run in
    Prefect. What ends again at once is tried less and less often.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._over: dict[Path, tuple[int, ...]] = {}
        self._unsteered: dict[Path, _Unsteered] = {}

    def look(self) -> None:
        """Look at each of them; DiscoverError where one cannot be read, ServerError without an answer."""
        service = read_daemon("service")
        if service is None or not service.process.is_alive or not answers(service.url):
            return
        problems = []
        for file in sorted((home() / "campaigns").glob(f"*/{SPEC_FILE}")):
            try:
                self._look_at(CampaignFolder.at(file), service.url)
            except DiscoverError as error:
                problems.append(f"{file.parent.name}: {error}")
        try:
            self._schedule_never_begun(service.url)
        except DiscoverError as error:
            problems.append(str(error))
        if problems:
            raise ServerError("\n".join(problems))

    def _look_at(self, folder: CampaignFolder, api_url: str) -> None:
        stamp = _stamp(folder)
        if self._over.get(folder.root) == stamp:
            return
        spec = folder.load()
        begun, lease = folder.has_store(spec), None
        if begun:
            with closing(folder.open_existing_store(spec, read_only=True)) as store:
                over, lease = store.value("stopped") is not None, store.lease()
            steered = lease is not None and is_alive(lease, time.time())
            if over and isinstance(folder.store_location(spec), Path):
                self._over[folder.root] = stamp  # nothing changes without one of these files
            if over or steered:
                self._unsteered.pop(folder.root, None)
                return
        waited = self._unsteered.setdefault(folder.root, _Unsteered(time.monotonic()))
        if not waited.is_over():
            return
        last = _last_run(spec.name, api_url)
        if last is not None:
            if last.state in LEFT_ALONE | WAITING or (last.state == FAILED and not begun):
                return  # cancelled by a user, waiting for its turn, or refused before it began
            if last.may_be_starting(lease, time.time()):
                return
        waited.wait_longer()
        self._told(f"campaign {spec.name} is not over and nobody steers it: launched again")
        launch(spec, api_url)

    def _schedule_never_begun(self, api_url: str) -> None:
        """Schedule those runs again whose process was killed before it had made the campaign's folder."""
        for run in _never_begun(deployment_id(api_url), api_url):
            campaign = run["parameters"].get("campaign")
            name = str(campaign.get("name", "")) if isinstance(campaign, dict) else ""
            root = home() / "campaigns" / name
            state, now = Run.of(run), time.time()
            if not name or root.exists() or now > state.since + NEVER_RAN_SECONDS:
                continue
            waited = self._unsteered.setdefault(root, _Unsteered(time.monotonic()))
            if waited.is_over() and not state.may_be_starting(None, now):
                waited.wait_longer()
                self._told(f"campaign {name} was killed before it began: scheduled again")
                scheduled = {"state": {"type": "SCHEDULED"}, "force": True}
                _ask(f"{api_url}/flow_runs/{run['id']}/set_state", scheduled)


def launch(spec: CampaignSpec, api_url: str) -> str:
    """Launch a campaign through the service's deployment; the id of its flow run."""
    made = _ask(
        f"{api_url}/deployments/{deployment_id(api_url)}/create_flow_run",
        {"name": spec.name, "parameters": {"campaign": spec.model_dump(mode="json")}},
    )
    return str(made["id"])


def deployment_id(api_url: str) -> str:
    """Id of the service's deployment; ServerError where there is none or nobody answers."""
    return str(_ask(f"{api_url}{DEPLOYMENT}")["id"])


def last_polled(api_url: str) -> str | None:
    """When the service last asked for runs of its deployment (Prefect's words), None for never.

    Raises ServerError where there is no deployment or nobody answers.
    """
    polled = _ask(f"{api_url}{DEPLOYMENT}").get("last_polled")
    return None if polled is None else str(polled)


def _last_run(name: str, api_url: str) -> Run | None:
    """The campaign's newest run; None where it has none."""
    asked = {
        "flow_runs": {"name": {"any_": [name]}},
        "sort": "EXPECTED_START_TIME_DESC",
        "limit": 1,
    }
    runs = _ask(f"{api_url}/flow_runs/filter", asked)
    if not runs:
        return None
    return Run.of(runs[0])


def _never_begun(deployment: str, api_url: str) -> list[dict[str, Any]]:
    """The deployment's newest runs that never began: they start, or their process was killed."""
    asked = {
        "flow_runs": {
            "deployment_id": {"any_": [deployment]},
            "state": {"type": {"any_": [CRASHED, PENDING]}},
        },
        "sort": "EXPECTED_START_TIME_DESC",
    }
    return [run for run in _ask(f"{api_url}/flow_runs/filter", asked) if run["run_count"] == 0]


def _ask(url: str, body: Any = None) -> Any:
    """Prefect's answer; ServerError where it refuses or does not answer."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        url,
        None if body is None else json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        request.add_header("Authorization", f"Basic {base64.b64encode(auth.encode()).decode()}")
    for attempt in range(BUSY_ATTEMPTS):
        if attempt:
            time.sleep(1.0)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            refused = f"{error}: {error.read(500).decode(errors='replace')}"
            if error.code != BUSY:
                break
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise ServerError(f"Prefect's server does not answer {url}: {error}") from error
    raise ServerError(f"Prefect's server refuses {url}: {refused}")


def _stamp(folder: CampaignFolder) -> tuple[int, ...]:
    """What changes with campaign file and embedded store."""
    stamp = []
    wal = folder.store_file.with_name(f"{folder.store_file.name}-wal")
    for path in (folder.spec_file, folder.store_file, wal):
        try:
            stamp.append(path.stat().st_mtime_ns)
        except OSError:
            stamp.append(0)
    return tuple(stamp)
