"""`discover machines ...`: which machine profiles there are, and whether one works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discover.cli.campaigns import Json
from discover.cli.output import duration, print_json

app = typer.Typer(
    help="Clusters to send jobs to: list their profiles and try them out.", no_args_is_help=True
)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show the machine profiles that there are; one that is wrong says why."""
    from discover.dispatch.machines import folders, machines

    found = machines()
    if as_json:
        print_json(
            [
                {
                    "name": listed.name,
                    "path": str(listed.path),
                    "problem": listed.problem,
                    "profile": listed.profile and listed.profile.model_dump(mode="json"),
                }
                for listed in found
            ]
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("name", "scheduler", "description", "file"):
        table.add_column(heading, no_wrap=heading == "name", overflow="fold")
    for listed in found:
        profile = listed.profile
        said = (profile.scheduler, profile.description) if profile else ("", "cannot be used")
        table.add_row(listed.name, *said, str(listed.path))
    Console().print(table)
    for listed in found:
        if listed.problem:
            typer.secho(listed.problem, fg="red", err=True)
    typer.echo(f"your own go to {folders()[0] / 'NAME.yaml'}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="As in the list.")],
    folder: Annotated[
        Path, typer.Option(help="Folder that the compute nodes see; the job runs in it.")
    ] = Path(),
    wait_minutes: Annotated[
        float, typer.Option(min=0.01, help="Longest time to wait for the job.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Submit a job of seconds and read its result back; exit code 1 where that fails."""
    from discover.dispatch.probe import probe
    from discover.errors import DiscoverError

    try:
        found = probe(name, folder, 60 * wait_minutes, told=lambda line: typer.echo(line, err=True))
    except DiscoverError as error:
        if not as_json:
            raise
        print_json({"machine": name, "passed": False, "reason": str(error)})
        raise typer.Exit(1) from None
    if as_json:
        print_json(vars(found))
    elif found.passed:
        times = " and ".join(
            f"{what} {duration(seconds)}"
            for what, seconds in (("waited", found.queued_seconds), ("ran", found.run_seconds))
            if seconds is not None
        )
        typer.echo(f"{name} works: job {found.native_id} on {found.host or '?'} {times}")
    else:
        typer.secho(f"{name} does not work: {found.reason}", fg="red", err=True)
    if not found.passed:
        raise typer.Exit(1)
