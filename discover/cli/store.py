"""`discover store ...`: check, export, import and move what a campaign remembers."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from discover.cli.campaigns import Campaign, Json
from discover.cli.output import print_json

app = typer.Typer(
    help="A campaign's records: check them, publish them, move them to another database.",
    no_args_is_help=True,
)
SERVERS = ("mongodb://", "mongodb+srv://")


@app.command()
def check(
    place: Annotated[
        str, typer.Argument(metavar="FOLDER|URI", help="A campaign, or mongodb://host/database.")
    ],
    campaign: Annotated[
        str | None, typer.Option(help="Name of the campaign, where a database is given.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look whether every record is sound; exit code 1 where something is wrong."""
    from discover.folder import CampaignFolder
    from discover.store import open_store
    from discover.store.checking import check_store
    from discover.store.transfer import counted

    if place.startswith(SERVERS):
        if campaign is None:
            raise typer.BadParameter("a database holds many campaigns: name one by --campaign")
        with closing(open_store(place, campaign, read_only=True)) as store:
            found = check_store(store)
    else:
        folder = CampaignFolder.at(Path(place))
        with closing(folder.open_existing_store(folder.load(), read_only=True)) as store:
            found = check_store(store, folder)
    if as_json:
        print_json({"sound": found.sound, **found.model_dump(mode="json")})
    else:
        for one in found.findings:
            typer.secho(f"{one.kind} {one.id or ''}: {one.problem}", fg="red")
        problems = len(found.findings)
        typer.echo(
            f"{counted(found.counts) or 'nothing is in it'}: "
            f"{problems or 'no'} problem{'' if problems == 1 else 's'}"
        )
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def export(
    campaign: Campaign,
    out: Annotated[Path, typer.Option(help="Folder to make; the data set is written into it.")],
    as_json: Json = False,
) -> None:
    """Write a data set to publish: Parquet, extxyz, OPTIMADE, a data card, and every record."""
    from discover.folder import CampaignFolder
    from discover.publishing.export import export as write

    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    with closing(folder.open_existing_store(spec, read_only=True)) as store:
        manifest = write(folder, spec, store, out)
    if as_json:
        print_json(manifest)
    else:
        typer.echo(f"wrote {manifest.records.told() or 'nothing'} to {out}")
        typer.echo(f"fill in authors and licence in {out / 'README.md'} before you publish it")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `store export` wrote.")],
    campaign: Annotated[
        Path, typer.Option(help="Folder of the campaign; made where there is none.")
    ],
    as_json: Json = False,
) -> None:
    """Bring an export back into the empty store of a campaign, without loss."""
    from discover.folder import CampaignFolder
    from discover.publishing.export import import_export

    folder = CampaignFolder.at(campaign)
    manifest = import_export(source, folder)
    if as_json:
        print_json(manifest.records)
    else:
        typer.echo(f"brought {manifest.records.told() or 'nothing'} into {folder.root}")


@app.command()
def migrate(
    campaign: Campaign,
    to: Annotated[str, typer.Option(help="mongodb://host/database, or sqlite.")],
    as_json: Json = False,
) -> None:
    """Copy a campaign into another database and compare both; the old one is left as it is."""
    from discover.errors import StoreError
    from discover.folder import CampaignFolder
    from discover.store import open_store
    from discover.store.transfer import copy

    if to != "sqlite" and not to.startswith(SERVERS):
        raise typer.BadParameter("write --to mongodb://host/database or --to sqlite")
    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    target = folder.store_file if to == "sqlite" else to
    if target == folder.store_location(spec):
        raise StoreError(f"{spec.name} is in that store already")
    with (
        closing(folder.open_existing_store(spec, read_only=True)) as old,
        closing(open_store(target, spec.name)) as new,
    ):
        copied = copy(old, new, partial(typer.echo, err=True))
    if as_json:
        print_json(copied)
        return
    typer.echo(f"copied {copied.told() or 'nothing'}; counts and content hashes are equal")
    typer.echo(
        f"now take the line `store:` out of {folder.spec_file} (and unset DISCOVER_STORE)"
        if to == "sqlite"
        else f"now write this address as `store: ...` into {folder.spec_file}, or, where it holds a "
        "password, set DISCOVER_STORE to it"
    )
