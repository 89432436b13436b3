"""What the page's buttons do: stop, resume, raise the budget, decide on a label."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import IO

from discover.campaign import file_plugins
from discover.errors import CampaignError, LeaseHeldError
from discover.folder import CampaignFolder
from discover.lease import is_alive
from discover.page.answers import BudgetOrder, LabelOrder, Launch
from discover.page.budget import raise_budget
from discover.page.catalogue import OpenCampaign
from discover.page.jobs import DISCARDED
from discover.processes import Process
from discover.stopping import StopRequest, ask_to_stop

RUN_LOG = "run.log"
TOLD_LINES = 12
QUARANTINED_BY_HAND = "put into quarantine by hand"


class Launcher:
    """Starts `discover run` as processes of their own, which outlive the page, and watches how they do.

    `remote` says that the page can be reached from other machines: campaigns whose plug-ins are files
    are then refused, as they are wherever a launch comes from remote. `prefect_url` is the server in
    whose dashboard they are shown, none without.
    """

    def __init__(self, *, remote: bool, prefect_url: str | None = None) -> None:
        self._remote = remote
        self._prefect_url = prefect_url
        self._runs: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def resume(self, campaign: OpenCampaign, *, retry_failed: bool) -> int:
        """Start the campaign's process; its id.

        LeaseHeldError where one steers it already, CampaignError where it may not be started from here.
        """
        files = file_plugins(campaign.spec)
        if self._remote and files:
            raise CampaignError(
                f"{', '.join(files)}: a campaign with plug-ins from files is not started from remote; "
                f"run `discover run {campaign.folder.root}` on its machine"
            )
        with self._lock:
            if campaign.is_steered or self._is_alive(campaign.name):
                raise LeaseHeldError(f"{campaign.name} is running already")
            with (campaign.folder.root / RUN_LOG).open("ab") as log:
                process = self._start(campaign.folder, log, retry_failed=retry_failed)
            self._runs[campaign.name] = process
        campaign.renew()
        return process.pid

    def launch(self, campaign: OpenCampaign) -> Launch | None:
        """How the last start from this page went; None where there was none or it is long over."""
        process = self._runs.get(campaign.name)
        if process is None:
            return None
        code = process.poll()
        if code is None:
            return Launch(state="running" if campaign.is_steered else "starting")
        return None if code == 0 else Launch(state="failed", told=_log_end(campaign.folder))

    def _is_alive(self, name: str) -> bool:
        process = self._runs.get(name)
        return process is not None and process.poll() is None

    def _start(
        self, folder: CampaignFolder, log: IO[bytes], *, retry_failed: bool
    ) -> subprocess.Popen[bytes]:
        environment = dict(os.environ)
        words = [sys.executable, "-m", "discover", "run", str(folder.root)]
        if retry_failed:
            words.append("--retry-failed")
        if self._prefect_url is None:
            words.append("--no-dashboard")
        else:
            environment["PREFECT_API_URL"] = self._prefect_url
        return subprocess.Popen(
            words,
            cwd=folder.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(campaign: OpenCampaign, *, now: bool) -> str:
    """Ask the process that steers the campaign to stop; CampaignError where none does."""
    with closing(campaign.folder.open_existing_store(campaign.spec)) as store:
        lease = store.lease()
        if lease is None or not is_alive(lease, time.time()):
            raise CampaignError(f"{campaign.name} is not running")
        request = StopRequest.NOW if now else StopRequest.AFTER_RUNNING
        ask_to_stop(store, request, Process(lease.pid, lease.process_ticks))
    campaign.renew()
    return "running jobs are cancelled" if now else "it stops after the running jobs"


def is_stopping(campaign: OpenCampaign) -> bool:
    """Whether the process that steers the campaign was asked to stop."""
    lease, asked = campaign.store.lease(), campaign.store.value("stop")
    if lease is None or asked is None or not is_alive(lease, time.time()):
        return False
    return bool(asked["process"] == str(Process(lease.pid, lease.process_ticks)))


def raise_limits(campaign: OpenCampaign, order: BudgetOrder) -> str:
    """Write a larger budget into the campaign file."""
    raise_budget(campaign.folder.spec_file, order)
    running = campaign.is_steered
    campaign.renew()
    if running:
        return "the budget is raised; the running process goes by the old one until it is resumed"
    return "the budget is raised"


def decide(campaign: OpenCampaign, observation_id: str, order: LabelOrder) -> str:
    """Release a label from quarantine, keep it out for good, or put it there.

    UnknownRecordError where there is no label of this id.
    """
    with closing(campaign.folder.open_existing_store(campaign.spec)) as store:
        present = {o.id: o for o in store.observations(quarantined=True)}.get(observation_id)
        why = order.reason.strip()
        match order.decision:
            case "release":
                reason = None
            case "discard":
                earlier = present.quarantined if present else None
                reason = f"{DISCARDED}: {why or _without_decision(earlier) or 'by hand'}"
            case "quarantine":
                reason = f"{QUARANTINED_BY_HAND}{f': {why}' if why else ''}"
        store.quarantine(observation_id, reason)
    campaign.renew()
    return {
        "release": "the label is trusted again",
        "discard": "the label stays out for good",
        "quarantine": "the label is in quarantine",
    }[order.decision]


def _without_decision(reason: str | None) -> str:
    return (reason or "").removeprefix(f"{DISCARDED}: ")


def _log_end(folder: CampaignFolder) -> str:
    try:
        text = (folder.root / RUN_LOG).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-TOLD_LINES:])
