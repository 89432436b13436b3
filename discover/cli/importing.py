"""Command that brings known values into a campaign: import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discover.cli.campaigns import Json
from discover.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from discover.importing.imports import ImportReport

SHOWN_PROBLEMS = 30


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("import")(import_values)


def import_values(  # noqa: PLR0917 - typer calls it by name
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, extxyz, CIF folder (with its CSV), JSON, JSON lines or Parquet.",
            metavar="FILE",
        ),
    ],
    properties: Annotated[
        list[str], typer.Option("--property", help="Property to bring in (repeat it).")
    ],
    units: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            help="Its unit in the file, such as mS/cm or log10(S/cm); one for each property.",
        ),
    ] = None,
    campaign: Annotated[
        Path, typer.Option("--campaign", help="Folder of the campaign, or its campaign.yaml.")
    ] = Path(),
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COL=FIELD",
            help="What a column is: a property, value, formula, smiles, spacegroup, censored, citation, "
            "uncertainty or id (repeat it).",
        ),
    ] = None,
    citation: Annotated[
        str | None, typer.Option(help="Where the values are from, for rows without their own.")
    ] = None,
    fidelity: Annotated[
        str | None, typer.Option(help="Fidelity of the values; on a ladder one of its rungs.")
    ] = None,
    drop_invalid: Annotated[
        bool, typer.Option("--drop-invalid", help="Leave rows out that cannot be used.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would come in.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring known values into a campaign, which learns from them and does not compute them again.

    Every row is checked, and unless all can be used nothing comes in. Exit code 2: something is wrong.
    """
    from discover.folder import CampaignFolder
    from discover.importing.columns import map_columns
    from discover.importing.imports import Import, fidelity_for, sorts_of
    from discover.importing.readers import read_rows
    from discover.importing.rows import check_rows

    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    of_column = _pairs(mapping or [])
    ids = [column for column, field in of_column.items() if field == "id"]
    level = fidelity_for(spec, fidelity)
    table = read_rows(files, ids[0] if ids else None)
    columns = map_columns(table.columns, properties, units or [], of_column)
    checked = check_rows(table, columns, sorts_of(spec, folder.root), _progress(as_json=as_json))
    source = ", ".join(file.name for file in files)
    report = Import(folder, spec, source, level).run(
        checked,
        columns.told(),
        citation=citation,
        drop_invalid=drop_invalid,
        dry_run=dry_run,
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(report) if as_json else _print(report)


def _pairs(mapping: list[str]) -> dict[str, str]:
    pairs = {}
    for pair in mapping:
        column, equals, field = pair.rpartition("=")
        if not equals or not column:
            raise typer.BadParameter(f"--map {pair}: write COLUMN=FIELD")
        pairs[column] = field
    return pairs


def _progress(*, as_json: bool) -> Callable[[int, int], None]:
    def told(done: int, rows: int) -> None:
        if not as_json and sys.stderr.isatty() and (done % 20 == 0 or done == rows):
            typer.echo(f"\rreading row {done} of {rows}", nl=done == rows, err=True)

    return told


def _print(report: ImportReport) -> None:
    would = "would come" if report.dry_run else "came"
    for line in report.columns:
        typer.echo(f"  {line}")
    sorts = ", ".join(f"{n} {sort}s" for sort, n in report.sorts.items()) or "none"
    typer.echo(f"{report.used} of {report.rows} rows {would} in ({sorts})")
    typer.echo(
        f"  {report.candidates} new candidates; {report.known_already} rows are of one that is there"
    )
    for why, count in report.composition_only.items():
        typer.echo(f"  {count} by their composition only: {why}")
    for known in report.ranges:
        typer.echo(
            f"  {known.property}: {known.values} values from {known.lowest:.4g} to "
            f"{known.highest:.4g} {known.unit}"
            + (f", {known.bounds} of them bounds" if known.bounds else "")
            + (f", {known.quarantined} in quarantine: not plausible" if known.quarantined else "")
            + ("" if known.learned else "; this campaign does not learn it")
        )
    if report.refused:
        left = "cannot be used" if report.dry_run else "were left out"
        typer.echo(f"{len({place for place, _ in report.refused})} rows {left}:")
        for place, why in report.refused[:SHOWN_PROBLEMS]:
            typer.echo(f"  {place}: {why}")
        more = len(report.refused) - SHOWN_PROBLEMS
        if more > 0:
            typer.echo(f"  and {more} more problems: --json lists all")
