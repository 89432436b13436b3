"""One run of a campaign from the terminal: signals, progress, and what is said at the end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from discover.cli.output import duration, print_json, print_outcomes, print_ranking
from discover.errors import DiscoverError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status as Spinner

    from discover.campaign import CampaignSpec
    from discover.folder import CampaignFolder

Teller = Callable[[str], None]
REFRESH_SECONDS = 1.0


def run_campaign(path: Path, *, dashboard: bool, retry_failed: bool, as_json: bool) -> None:
    """Check, run and report one campaign; progress goes to stderr where stdout is JSON."""
    from rich.console import Console

    from discover.folder import CampaignFolder
    from discover.page.known import note_campaign
    from discover.preflight import check_folder
    from discover.runner import run_campaign as run_here

    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    folder = CampaignFolder.at(path)
    spec = check_folder(folder)
    _check_store(folder, spec, retry_failed=retry_failed)
    note_campaign(folder.root)
    started = time.monotonic()
    with _progress(folder, spec, console) as told, _ctrl_c_stops(folder, spec, told):
        if dashboard:
            _run_in_prefect(folder, spec, told)
        else:
            run_here(folder, told)
    _say_end(folder, spec, console, time.monotonic() - started, as_json=as_json)


def _run_in_prefect(folder: CampaignFolder, spec: CampaignSpec, told: Teller) -> None:
    from discover.errors import ServerError

    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from flows.server import dashboard_url, ensure_server, kept_alive

    url = ensure_server()
    told(f"dashboard: {dashboard_url(url)}")
    import httpx

    from flows.campaign import LOG, campaign

    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    LOG.addHandler(_Listener(told))
    shown = campaign.with_options(on_running=[_announce(told, url)])
    try:
        with kept_alive():
            state = shown(spec.name, str(folder.root), return_state=True)
    except httpx.TransportError as error:
        raise ServerError(
            f"the Prefect server at {url} does not answer any more ({error!r}); nothing of the campaign "
            f"is lost: start the server and `discover resume {folder.root}`, or add --no-dashboard"
        ) from error
    raised = state.is_failed() and state.data is not None  # else it failed as the campaign says
    if raised or state.is_crashed():
        state.result(raise_on_failure=True)
    told(f"the dashboard stays at {dashboard_url(url)}; `discover down` ends it")


class _Listener(logging.Handler):
    """Hands what the flow tells to the terminal."""

    def __init__(self, told: Teller) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        self._told(record.getMessage())


def _announce(told: Teller, api_url: str) -> Callable[..., None]:
    from flows.server import dashboard_url

    def announce(_flow: object, flow_run: object, _state: object) -> None:
        told(f"this run: {dashboard_url(api_url)}/runs/flow-run/{flow_run.id}")  # type: ignore[attr-defined]

    return announce


def _check_store(folder: CampaignFolder, spec: CampaignSpec, *, retry_failed: bool) -> None:
    """Refuse at once what `run_campaign` would refuse for what is in the store; retry if asked to."""
    from discover import jobs
    from discover.errors import LeaseHeldError
    from discover.lease import is_alive
    from discover.unchanged import check_unchanged

    with closing(folder.open_store(spec)) as store:
        check_unchanged(store, spec, str(folder.spec_file))
        lease = store.lease()
        if lease is not None and is_alive(lease, time.time()):
            raise LeaseHeldError(
                f"{folder.root}: process {lease.pid} on {lease.host} already steers this campaign; "
                "watch it with `discover status`, end it with `discover stop`"
            )
        if retry_failed:
            jobs.retry_failed(folder, store)


@contextmanager
def _progress(folder: CampaignFolder, spec: CampaignSpec, console: Console) -> Iterator[Teller]:
    """A live line under the log in a terminal; plain lines with the seconds where piped."""
    from rich.text import Text

    started = time.monotonic()
    lock = threading.Lock()

    def told(line: str) -> None:
        with lock:
            console.print(Text.assemble((f"{time.monotonic() - started:6.0f} s  ", "dim"), line))

    if not console.is_terminal:
        yield told
        return
    over = threading.Event()
    with console.status("starting") as spinner:
        watcher = threading.Thread(
            target=_watch, args=(folder, spec, spinner, over), daemon=True, name="progress"
        )
        watcher.start()
        try:
            yield told
        finally:
            over.set()
            watcher.join()


def _watch(
    folder: CampaignFolder, spec: CampaignSpec, spinner: Spinner, over: threading.Event
) -> None:
    from rich.markup import escape

    from discover.results import status

    with closing(folder.open_store(spec)) as store:
        while not over.wait(REFRESH_SECONDS):
            with suppress(DiscoverError):
                now = status(store, spec, time.time(), steered=True)
                counts = now.calculations
                parts = [
                    f"{counts['done']}/{now.budget} done",
                    f"{counts['running']} running",
                    f"{now.candidates['ready']} candidates",
                ]
                if counts["failed"]:
                    parts.append(f"{counts['failed']} failed")
                if now.best:
                    best = now.best
                    parts.append(f"best {best.formula} {best.relation}{best.value:.3g} {best.unit}")
                if now.expected_seconds_left is not None:
                    parts.append(f"about {duration(now.expected_seconds_left)} left")
                spinner.update(escape(" · ".join(parts)))


@contextmanager
def _ctrl_c_stops(folder: CampaignFolder, spec: CampaignSpec, told: Teller) -> Iterator[None]:
    """First Ctrl-C (or SIGTERM): stop after the running jobs; the second ends this process at once."""
    from discover.processes import Process
    from discover.stopping import StopRequest, ask_to_stop

    def ask() -> None:
        with closing(folder.open_store(spec)) as store:
            ask_to_stop(store, StopRequest.AFTER_RUNNING, Process.of(os.getpid()))
        told(
            "stopping after the running jobs; Ctrl-C again ends at once (jobs go on, resume later)"
        )

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.default_int_handler)
        threading.Thread(target=ask, daemon=True).start()

    with ExitStack() as restored:
        for number in (signal.SIGINT, signal.SIGTERM):
            restored.callback(signal.signal, number, signal.signal(number, handle))
        yield


def _say_end(
    folder: CampaignFolder, spec: CampaignSpec, console: Console, seconds: float, *, as_json: bool
) -> None:
    from discover.outcomes import has_tradeoff, outcomes
    from discover.results import ranking, status
    from discover.steering import FAILURE_BUDGET

    with closing(folder.open_store(spec)) as store:
        now = status(store, spec, time.time(), steered=False)
        rows = ranking(store, spec)
        traded = outcomes(store, spec) if has_tradeoff(spec) else []
    if as_json:
        print_json(now)
    elif traded:
        print_outcomes(traded, spec.modelled)
    elif rows:
        print_ranking(rows, spec.target)
    done = now.calculations["done"]
    console.print(
        f"{now.reason or now.state}: {done} calculations done in {duration(seconds)}; "
        f"report: {folder.report / 'index.html'}",
        markup=False,
    )
    if now.reason and now.reason.startswith(FAILURE_BUDGET):
        sys.exit(1)
