"""`discover potentials ...`: which there are, their environments, and whether one works."""

from __future__ import annotations

from typing import Annotated

import typer

from discover.cli.campaigns import Json
from discover.cli.output import print_json

app = typer.Typer(
    help="Interatomic potentials: list, install, test, and train them.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="As in a campaign file, such as sevennet:7net-l3i5.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show which potentials there are, and which can be used here and now."""
    from discover.potentials.catalogue import catalogue

    entries = catalogue()
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("name", "status", "elements", "licence", "where"):
        table.add_column(heading, overflow="fold", min_width=16 if heading == "where" else 8)
    for entry in entries:
        count = "" if entry.elements is None else str(entry.elements)
        table.add_row(entry.name, entry.status, count, entry.licence or "", entry.where)
    Console().print(table)
    typer.echo("also: path/to/file.py:Name, and package.module:factory of anything importable")


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="sevennet, mattersim or fairchem.")],
    as_json: Json = False,
) -> None:
    """Make the environment of a family of potentials (some gigabytes, a few minutes)."""
    from discover.potentials import environments
    from discover.potentials.catalogue import environment

    chosen = environment(name)
    made = environments.install(chosen, told=lambda line: typer.echo(line, err=True))
    if as_json:
        print_json(
            {
                "name": chosen.name,
                "made": made,
                "directory": str(chosen.directory),
                "packages": chosen.packages(),
            }
        )
    else:
        typer.echo(
            f"{chosen.name} is {'now' if made else 'already'} installed in {chosen.directory}"
        )


@app.command("test")
def try_(name: Name, as_json: Json = False) -> None:
    """Load a potential and check its energies, forces and stresses; exit code 1 where it fails."""
    from pathlib import Path

    from discover.errors import DiscoverError
    from discover.potentials.trial import try_out

    try:
        trial = try_out(name, Path())
    except DiscoverError as error:
        if as_json:
            print_json({"name": name, "passed": False, "reason": str(error)})
        else:
            typer.secho(f"{name} failed: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json({"name": name, "passed": True} | trial.as_dict())
        return
    typer.echo(
        f"{trial.potential} knows {trial.elements} elements; loaded in {trial.load_seconds:.1f} s"
    )
    for crystal in trial.crystals:
        typer.echo(
            f"  {crystal.name:<5} {crystal.energy_ev_per_atom:9.4f} eV/atom"
            f"   {crystal.milliseconds_per_call:7.1f} ms a call ({crystal.atoms} atoms)"
        )
    typer.echo("forces and stresses are the derivatives of its energy")
    typer.echo("  ".join(f"{package} {version}" for package, version in trial.versions.items()))
