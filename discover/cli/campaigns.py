"""Commands that make, check and steer a campaign: init, validate, schema, run, resume, stop."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from discover.cli.output import print_json

Campaign = Annotated[Path, typer.Argument(help="Folder of the campaign, or its campaign.yaml.")]
Dashboard = Annotated[
    bool,
    typer.Option("--dashboard/--no-dashboard", help="Show the campaign in Prefect's dashboard."),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Compute failed calculations again.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (init, validate, schema, run, resume, stop):
        app.command()(command)


def init(
    template: Annotated[str, typer.Argument(help="Name of a template.")] = "thermal-conductivity",
    directory: Annotated[
        Path | None, typer.Argument(help="Folder to make (default: the template's name).")
    ] = None,
    exist_ok: Annotated[
        bool, typer.Option("--exist-ok", help="Leave an existing campaign as it is.")
    ] = False,
) -> None:
    """Write a commented campaign file into a new folder."""
    from discover.errors import CampaignError
    from discover.folder import CampaignFolder
    from discover.templates import template_text

    text = template_text(template)
    folder = CampaignFolder.at(directory or Path(template))
    if folder.spec_file.exists():
        if exist_ok:
            typer.echo(f"{folder.spec_file} is there already and was left as it is")
            return
        raise CampaignError(
            f"{folder.spec_file}: exists already; choose another folder, or run it with "
            f"`discover run {folder.root}`"
        )
    folder.check_writable()
    folder.spec_file.write_text(text, encoding="utf-8")
    typer.echo(
        f"wrote {folder.spec_file}; edit it, then: discover run {shlex.quote(str(folder.root))}"
    )


def validate(
    file: Annotated[Path, typer.Argument(help="A campaign file, or its folder.")],
    as_json: Json = False,
) -> None:
    """Check a campaign file and its surroundings; every error at once, exit code 2 where there is one."""
    from discover.errors import CampaignError
    from discover.preflight import check_file

    path = file / "campaign.yaml" if file.is_dir() else file
    try:
        spec, problems = check_file(path)
    except CampaignError as error:
        spec, problems = None, [str(error)]
    if as_json:
        print_json({"file": str(path), "valid": not problems, "errors": problems})
    elif problems:
        for problem in problems:
            typer.secho(f"error: {problem}", fg="red", err=True)
    elif spec is not None:
        typer.echo(f"{path}: campaign {spec.name!r} is valid")
    if problems:
        raise typer.Exit(2)


def schema() -> None:
    """Print the JSON schema of a campaign file."""
    from discover.campaign import CampaignSpec

    typer.echo(json.dumps(CampaignSpec.model_json_schema(), indent=2, ensure_ascii=False))


def run(
    campaign: Campaign,
    dashboard: Dashboard = True,
    retry_failed: RetryFailed = False,
    as_json: Json = False,
) -> None:
    """Run a campaign; one that exists is resumed where it was.

    Ctrl-C once lets the running jobs end first; twice ends at once (jobs go on and are collected when
    the campaign is resumed). Exit code 1: it stopped because too many calculations failed in a row.
    """
    from discover.cli.session import run_campaign

    run_campaign(campaign, dashboard=dashboard, retry_failed=retry_failed, as_json=as_json)


def resume(
    campaign: Campaign,
    dashboard: Dashboard = True,
    retry_failed: RetryFailed = False,
    as_json: Json = False,
) -> None:
    """Resume a campaign that was stopped or interrupted (the same as `run`, but it must exist)."""
    from discover.cli.session import run_campaign
    from discover.folder import CampaignFolder

    folder = CampaignFolder.at(campaign)
    folder.open_existing_store(folder.load()).close()
    run_campaign(campaign, dashboard=dashboard, retry_failed=retry_failed, as_json=as_json)


def stop(
    campaign: Campaign,
    now: Annotated[
        bool, typer.Option("--now", help="Cancel running jobs instead of letting them end.")
    ] = False,
) -> None:
    """Ask a running campaign to stop; whatever it found is kept, and it can be resumed."""
    import time

    from discover.folder import CampaignFolder
    from discover.lease import is_alive
    from discover.processes import Process
    from discover.stopping import StopRequest, ask_to_stop

    folder = CampaignFolder.at(campaign)
    with closing(folder.open_existing_store(folder.load())) as store:
        lease = store.lease()
        if lease is None or not is_alive(lease, time.time()):
            typer.echo("this campaign is not running")
            return
        steering = Process(lease.pid, lease.process_ticks)
        ask_to_stop(store, StopRequest.NOW if now else StopRequest.AFTER_RUNNING, steering)
    typer.echo(
        "asked to stop" + ("; running jobs are cancelled" if now else " after the running jobs")
    )
