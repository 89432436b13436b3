"""Commands that look at a campaign: status, results, report, plugins."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from discover.cli.campaigns import Campaign, Json
from discover.cli.output import (
    print_json,
    print_outcomes,
    print_preliminary,
    print_ranking,
    print_status,
    print_unstable,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discover.campaign import CampaignSpec
    from discover.folder import CampaignFolder
    from discover.records import Record
    from discover.store import Store


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    for command in (status, results, report, plugins):
        app.command()(command)


def status(campaign: Campaign, as_json: Json = False) -> None:
    """Show how a campaign stands: counts, best so far, busy share of the slots, time left."""
    from discover import results as found
    from discover.folder import CampaignFolder
    from discover.lease import is_alive

    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    with closing(_store_to_read(folder, spec)) as store:
        lease, now = store.lease(), time.time()
        steered = lease is not None and is_alive(lease, now)
        answer = found.status(store, spec, now, steered=steered)
    if as_json:
        print_json(answer)
    else:
        print_status(answer)


def results(
    campaign: Campaign,
    as_json: Json = False,
    top: Annotated[int | None, typer.Option(min=1, help="Only the best this many.")] = None,
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Also values in quarantine, unranked.")
    ] = False,
    lower: Annotated[
        bool, typer.Option("--lower", help="Instead: candidates known at lower rungs only.")
    ] = False,
    unstable: Annotated[
        bool, typer.Option("--unstable", help="Instead: candidates found dynamically unstable.")
    ] = False,
) -> None:
    """Rank what was computed, best first; of several objectives the front first.

    With several objectives or constraints, each candidate is shown with all their properties;
    --quarantined ranks by the first objective alone.
    """
    from discover import results as found
    from discover.folder import CampaignFolder
    from discover.outcomes import has_tradeoff, outcomes

    if lower and unstable:
        raise typer.BadParameter("--lower and --unstable are two questions: ask one")
    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    with closing(_store_to_read(folder, spec)) as store:
        rows = found.ranking(store, spec, quarantined=quarantined)[:top]
        several = has_tradeoff(spec) and not quarantined
        traded = outcomes(store, spec)[:top] if several else []
        below = found.preliminary(store, spec)[:top]
        imaginary = found.unstable_candidates(store, spec)[:top]
    if as_json:
        shown: Sequence[Record] = traded if several else rows
        print_json(below if lower else imaginary if unstable else shown)
    elif lower:
        print_preliminary(below, spec.target)
    elif unstable:
        print_unstable(imaginary)
    else:
        if several and traded:
            print_outcomes(traded, spec.modelled)
        else:
            print_ranking(rows, spec.target) if rows else typer.echo("no results yet")
        if below:
            typer.echo(f"{len(below)} more are known at lower rungs only (--lower lists them)")
        if imaginary:
            typer.echo(f"{len(imaginary)} are dynamically unstable (--unstable lists them)")


def report(
    campaign: Campaign,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Write the campaign's page: search curve, predictions, calibration, ranking."""
    from discover.folder import CampaignFolder
    from discover.report.page import write_report

    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    with closing(folder.open_existing_store(spec, read_only=True)) as store:
        page = write_report(folder, spec, store)
    typer.echo(page)
    if show:
        typer.launch(Path(page).as_uri())


def plugins(
    kind: Annotated[str | None, typer.Argument(help="Only one kind, such as acquisitions.")] = None,
    as_json: Json = False,
) -> None:
    """List what can be plugged in, and where each comes from."""
    from discover.errors import PluginError
    from discover.plugins import BUILT_IN, available, suggestion

    if kind is not None and kind not in BUILT_IN:
        raise PluginError(f"no kind of plug-in is called {kind!r}{suggestion(kind, BUILT_IN)}")
    found = [info for k in ([kind] if kind else BUILT_IN) for info in available(k).values()]
    if as_json:
        print_json([vars(info) for info in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("kind", "name", "from", "target"):
        table.add_column(heading, no_wrap=heading != "target")
    for info in found:
        table.add_row(info.kind, info.name, info.source, info.target)
    Console().print(table)


def _store_to_read(folder: CampaignFolder, spec: CampaignSpec) -> Store:
    """The campaign's store, which need not be writable; an empty one where it was never run."""
    from discover.store import open_store

    if folder.has_store(spec):
        return folder.open_existing_store(spec, read_only=True)
    return open_store(":memory:", spec.name)
