"""Commands for the service: up, down."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from flows.server import Daemon

LOOPBACK = "127.0.0.1"
PAGE_PORT = "DISCOVER_PAGE_PORT"
START_SECONDS = 300.0


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(up)
    app.command()(down)


def up(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Campaigns, or folders of campaigns, to show beside those launched here."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback asks for a token.")
    ] = LOOPBACK,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help=f"Port of the campaign page ({PAGE_PORT}, or 4280)."),
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Prefect's dashboard and deployment.")
    ] = True,
    campaigns: Annotated[
        int | None, typer.Option(min=1, help="Launched campaigns at once; the others wait.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=0, help="Local jobs of all campaigns at once, from the next job on; 0: no cap."
        ),
    ] = None,
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Serve until Ctrl-C or SIGTERM, and end everything."),
    ] = False,
) -> None:
    """Start the campaign page, Prefect's dashboard, and a deployment that launches campaigns.

    What is killed of it is started again, and launched campaigns that were cut short go on.
    Everything listens on loopback, unless --host says otherwise: then the page, its API and Prefect's
    ask for the token in DISCOVER_TOKEN, or for one that is made and printed.
    """
    from discover.home import home
    from discover.page.access import ensure_token, is_loopback, known_token, token_file

    remote = not is_loopback(host)
    _cap_jobs(jobs)
    if remote:
        ensure_token()
    else:
        known_token()  # an unusable one is told now, not by a daemon's log
    url = _start_prefect(host, campaigns) if dashboard else None
    page = _start_page(folders or [], host, port, url)
    typer.echo(f"page:       {_seen_from_outside(page.url, host)}")
    typer.echo(f"API:        {_seen_from_outside(page.url, host)}/docs")
    if remote:
        typer.echo(f"token:      {_told_token(token_file())}")
    if url is not None:
        _tell_prefect(_seen_from_outside(url, host), _deployment_id(url, since=0.0), remote=remote)
    typer.echo(f"campaigns:  {home() / 'campaigns'}")
    if not foreground:
        _start_keeper()
        typer.echo("end it with: discover down")
        return
    typer.echo("end it with: Ctrl-C")
    _serve_until_ended()


def down() -> None:
    """End page, service and dashboard; running jobs go on, and campaigns can be resumed."""
    from flows.keeper import DAEMONS, stop_keeper
    from flows.server import stop_daemon

    stop_keeper()
    for name in DAEMONS:
        typer.echo(f"{name}: {'ended' if stop_daemon(name) else 'was not running'}")


def _cap_jobs(jobs: int | None) -> None:
    """Keep how many local jobs of all campaigns may run at once; None leaves it as it is."""
    from discover.dispatch.local_job import machine_cap_file
    from discover.files import write_atomically

    path = machine_cap_file()
    if jobs == 0:
        path.unlink(missing_ok=True)
    elif jobs is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{jobs}\n")


def _start_prefect(host: str, campaigns: int | None) -> str:
    """API address of the server; the service that runs launched campaigns is started beside it."""
    from discover.errors import ServerError
    from flows.server import ensure_server, log_tail, read_daemon, start_daemon, stop_daemon

    url = ensure_server(host)
    command = [sys.executable, "-m", "flows.service"]
    if campaigns is not None:
        command += ["--campaigns", str(campaigns)]
    service, started = read_daemon("service"), 0.0
    if service is None or not service.process.is_alive or not _is_same(service, url, command):
        stop_daemon("service")
        started = time.time()
        service = start_daemon("service", command, url, {"PREFECT_API_URL": url})
    deadline = time.monotonic() + START_SECONDS
    while _deployment_id(url, since=started) is None:
        if not service.process.is_alive or time.monotonic() > deadline:
            stop_daemon("service")
            raise ServerError(
                f"the service did not start; the end of its log:\n{log_tail('service')}"
            )
        time.sleep(0.5)
    return url


def _start_page(folders: list[Path], host: str, port: int | None, prefect: str | None) -> Daemon:
    """The page's process, started where none serves just this."""
    from discover.errors import ServerError
    from flows.server import address, log_tail, read_daemon, start_daemon, stop_daemon

    shown = [str(folder.expanduser().resolve()) for folder in folders]
    command = [sys.executable, "-m", "discover.page", *shown, "--host", host, "--port"]
    present = read_daemon("page")
    if present is not None and present.process.is_alive:
        wanted = present.command[-1] if port is None else str(port)
        if present.command == (*command, wanted) and _answers(present.url):
            return present
    stop_daemon("page")
    command.append(str(_page_port(host, port)))
    environment: Mapping[str, str] = {} if prefect is None else {"PREFECT_API_URL": prefect}
    url = address(host, int(command[-1]))
    page = start_daemon("page", command, url, environment, host)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        if not page.process.is_alive or time.monotonic() > deadline:
            stop_daemon("page")
            raise ServerError(f"the page did not start; the end of its log:\n{log_tail('page')}")
        time.sleep(0.1)
    return page


def _page_port(host: str, port: int | None) -> int:
    """The port that was asked for (ServerError where it is taken), or the usual one where it is free."""
    from discover.errors import ServerError
    from flows.server import free_port, is_free

    if port is not None:
        if not is_free(port, host):
            raise ServerError(f"port {port} is taken: give another --port, or none")
        return port
    told = os.environ.get(PAGE_PORT) or "4280"
    if not told.isdecimal() or not 0 < int(told) < 2**16:
        raise ServerError(f"{PAGE_PORT} is {told!r}: give a port from 1 to 65535, or unset it")
    return int(told) if is_free(int(told), host) else free_port(host)


def _is_same(daemon: Daemon, url: str, command: list[str]) -> bool:
    return daemon.url == url and daemon.command == tuple(command)


def _told_token(path: Path) -> str:
    from discover.page.access import TOKEN, known_token

    return f"as in {TOKEN}" if TOKEN in os.environ else f"{known_token()}  (kept in {path})"


def _seen_from_outside(url: str, host: str) -> str:
    """The address under which other machines reach what listens on every interface of this one."""
    import socket

    from flows.server import ANYWHERE

    if host not in ANYWHERE:
        return url
    return url.replace(ANYWHERE[host], socket.getfqdn(), 1)


def _tell_prefect(url: str, deployment: str | None, *, remote: bool) -> None:
    from flows.server import dashboard_url

    typer.echo(f"dashboard:  {dashboard_url(url)}{'  (discover:TOKEN)' if remote else ''}")
    typer.echo(f"launch:     {dashboard_url(url)}/deployments/deployment/{deployment}/run")
    typer.echo(f"REST:       POST {url}/deployments/{deployment}/create_flow_run")


def _serve_until_ended() -> None:
    """Keep everything until SIGINT or SIGTERM, and end it then."""
    from flows.keeper import ended_by_signals, keep, note_keeper, say

    note_keeper()
    try:
        with ended_by_signals() as over:
            keep(over, say)
    finally:
        down()


def _start_keeper() -> None:
    """The process that starts what is killed again, where none does so already."""
    from flows.keeper import KEEPER
    from flows.server import read_daemon, start_daemon

    present = read_daemon(KEEPER)
    if present is None or not present.process.is_alive:
        start_daemon(KEEPER, [sys.executable, "-m", "flows.keeper"], "", {})


def _answers(url: str) -> bool:
    """Whether our page answers there."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"{url}/health", timeout=3) as answer:  # noqa: S310
            return bool(answer.read() == b'{"status":"ok"}')
    except (OSError, urllib.error.URLError, ValueError):
        return False


def _deployment_id(api_url: str, since: float) -> str | None:
    """Id of our deployment where it was registered after a time (seconds since the epoch)."""
    import base64
    import json
    import urllib.error
    import urllib.request
    from datetime import datetime

    request = urllib.request.Request(f"{api_url}/deployments/name/launch-campaign/discover")  # noqa: S310
    if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        request.add_header("Authorization", f"Basic {base64.b64encode(auth.encode()).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            deployment = json.load(answer)
    except (OSError, urllib.error.URLError):
        return None
    registered = datetime.fromisoformat(deployment["updated"]).timestamp()
    return str(deployment["id"]) if registered >= since else None
