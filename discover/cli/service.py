"""Commands for the service: up, down."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(up)
    app.command()(down)


def up(
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Serve in this terminal until Ctrl-C.")
    ] = False,
) -> None:
    """Start the dashboard and a deployment from which campaigns are launched.

    Campaigns are launched from the form in the browser, by
    `prefect deployment run launch-campaign/discover --params JSON`, or by REST.
    """
    from discover.errors import ServerError
    from discover.home import home
    from flows.server import (
        dashboard_url,
        ensure_server,
        log_tail,
        read_daemon,
        start_daemon,
        stop_daemon,
    )

    url = ensure_server()
    if foreground:
        typer.echo(f"dashboard: {dashboard_url(url)}/deployments  (Ctrl-C ends the service)")
        from flows.service import serve

        serve()
        return
    daemon = read_daemon("service")
    if daemon is None or not daemon.process.is_alive or daemon.url != url:
        stop_daemon("service")
        started = time.time()
        daemon = start_daemon(
            "service", [sys.executable, "-m", "flows.service"], url, {"PREFECT_API_URL": url}
        )
    else:
        started = 0.0  # it serves already
    deployment = None
    deadline = time.monotonic() + 60.0
    while deployment is None and daemon.process.is_alive and time.monotonic() < deadline:
        time.sleep(0.5)
        deployment = _deployment_id(url, since=started)
    if deployment is None:
        stop_daemon("service")
        raise ServerError(f"the service did not start; the end of its log:\n{log_tail('service')}")
    typer.echo(f"dashboard:  {dashboard_url(url)}")
    typer.echo(f"launch:     {dashboard_url(url)}/deployments/deployment/{deployment}/run")
    typer.echo(f"REST:       POST {url}/deployments/{deployment}/create_flow_run")
    typer.echo(f"campaigns:  {home() / 'campaigns'}")
    typer.echo("end it with: discover down")


def down() -> None:
    """End the service and the dashboard's server that this tool started; campaigns can be resumed."""
    from flows.server import stop_daemon

    for name in ("service", "server"):
        typer.echo(f"{name}: {'ended' if stop_daemon(name) else 'was not running'}")


def _deployment_id(api_url: str, since: float) -> str | None:
    """Id of our deployment where it was registered after a time (seconds since the epoch)."""
    import json
    import urllib.error
    import urllib.request
    from datetime import datetime

    try:
        with urllib.request.urlopen(  # noqa: S310
            f"{api_url}/deployments/name/launch-campaign/discover", timeout=5
        ) as answer:
            deployment = json.load(answer)
    except (OSError, urllib.error.URLError):
        return None
    registered = datetime.fromisoformat(deployment["updated"]).timestamp()
    return str(deployment["id"]) if registered >= since else None
