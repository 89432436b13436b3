"""How commands speak: JSON for machines, tables for people, plain lines where piped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from discover.outcomes import Outcome
    from discover.properties import Property
    from discover.records import Record
    from discover.results import Preliminary, ResultRow, Status, Unstable


def print_json(content: Record | Sequence[Record] | dict[str, Any] | list[Any]) -> None:
    """Records or plain data as indented JSON on standard output."""
    if isinstance(content, dict):
        plain: Any = content
    elif isinstance(content, list | tuple):
        plain = [
            item.model_dump(mode="json") if hasattr(item, "model_dump") else item
            for item in content
        ]
    else:
        plain = content.model_dump(mode="json")  # type: ignore[union-attr]
    typer.echo(json.dumps(plain, indent=2, ensure_ascii=False))


def duration(seconds: float) -> str:
    """Seconds as people say them: `42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def print_ranking(rows: Sequence[ResultRow], target: Property) -> None:
    """The ranking as a table that fits a terminal of 100 columns; `--json` has everything."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{target.label} in {target.unit} ({', '.join(sorted({r.fidelity for r in rows}))})",
        title_justify="left",
    )
    below = list(dict.fromkeys(fidelity for row in rows for fidelity in row.lower))
    left = {"formula", "structure", "picked by", "job"}
    headings = [
        "#",
        "formula",
        "structure",
        "value",
        *below,
        "predicted (90 %)",
        "picked by",
        "job",
    ]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", no_wrap=True)
    for row in rows:
        expected = (
            "–"
            if row.predicted is None
            else f"{row.predicted:.3g} ({row.predicted_low:.2g} … {row.predicted_high:.2g})"
        )
        table.add_row(
            str(row.rank or "–"),
            row.formula,
            row.title,
            f"{row.relation}{row.value:.3g}" + (" (quarantined)" if row.quarantined else ""),
            *(_given(row.lower.get(fidelity)) for fidelity in below),
            expected,
            row.picked_by,
            row.calculation,
        )
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)


def print_outcomes(rows: Sequence[Outcome], targets: Sequence[Property]) -> None:
    """Candidates with all their properties, the front first, as a table."""
    from rich.console import Console
    from rich.table import Table

    from discover.results import RELATIONS

    units = [
        target.label + ("" if target.unit == "1" else f" ({target.unit})") for target in targets
    ]
    table = Table()
    for heading in ("formula", "structure", *units, "standing", "picked by"):
        table.add_column(
            heading,
            justify="right" if heading in units else "left",
            no_wrap=heading not in units,
        )
    for row in rows:
        values = (
            RELATIONS[row.bounds.get(target.name)] + _given(row.values.get(target.name))
            for target in targets
        )
        standing = ", ".join(row.violated) and f"misses {'; '.join(row.violated)}"
        shown = {"front": "on the front", "feasible": "dominated"}.get(row.standing, row.standing)
        table.add_row(
            row.formula,
            row.title,
            *values,
            standing or shown,
            row.picked_by,
            style="bold" if row.standing == "front" else "",
        )
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)


def print_preliminary(rows: Sequence[Preliminary], target: Property) -> None:
    """Candidates that are known at lower rungs only, as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"known at lower rungs only: {target.label} in {target.unit}", title_justify="left"
    )
    below = list(dict.fromkeys(fidelity for row in rows for fidelity in row.lower))
    for heading in ("formula", "structure", *below):
        table.add_column(heading, justify="right" if heading in below else "left", no_wrap=True)
    for row in rows:
        values = (_given(row.lower.get(fidelity)) for fidelity in below)
        table.add_row(row.formula, row.title, *values)
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)


def print_unstable(rows: Sequence[Unstable]) -> None:
    """Candidates that have no value because they are dynamically unstable, a line each."""
    for row in rows:
        typer.echo(
            f"{row.formula} ({row.title}): dynamically unstable, "
            f"{row.minimum_frequency_thz:.3g} THz at {row.fidelity}"
        )


def _given(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def print_status(status: Status) -> None:
    """A campaign's status as a few lines."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{n} {state}" for state, n in status.calculations.items() if n) or "none"
    pool = ", ".join(f"{n} {state}" for state, n in status.candidates.items() if n) or "none"
    console.print(
        f"[bold]{status.campaign}[/bold]: {status.state}"
        + (f" ({status.reason})" if status.reason else "")
    )
    console.print(f"  calculations  {counts} (budget {status.budget})")
    for reason in status.unheard_of:
        console.print(f"  unknown       {reason}", markup=False)
    console.print(f"  candidates    {pool}")
    if status.imported:
        console.print(f"  imported      {status.imported} known values")
    if status.best:
        best = status.best
        console.print(
            f"  best so far   {best.formula} ({best.title}): {best.relation}{best.value:.4g} {best.unit}"
        )
    if status.tradeoff:
        found = status.tradeoff
        share = "" if found.feasible_share is None else f" ({found.feasible_share:.0%})"
        console.print(
            f"  front         {found.front} of {found.complete} candidates that are known"
        )
        if found.constraints:
            console.print(
                f"  feasible      {found.feasible}{share}: {'; '.join(found.constraints)}"
            )
        if found.hypervolume is not None:
            console.print(
                f"  hypervolume   {found.hypervolume:.4g} ({', '.join(found.objectives)})"
            )
    if status.slots_busy is not None:
        console.print(f"  slots         {status.slots}, busy {status.slots_busy:.1%} of the time")
    for rung in status.rungs:
        took = f", {duration(rung.core_seconds)} x cores each" if rung.core_seconds else ""
        console.print(
            f"  at {rung.fidelity}: {rung.calculations} calculations, {rung.values} values{took}"
        )
    if status.unstable:
        console.print(f"  unstable      {status.unstable} candidates, which have no value")
    if status.budget_core_hours is not None:
        console.print(f"  core hours    {status.core_hours:.3g} of {status.budget_core_hours:.3g}")
    if status.seconds_per_calculation is not None:
        console.print(f"  a calculation takes {duration(status.seconds_per_calculation)}")
    if status.expected_seconds_left is not None:
        console.print(f"  time left     about {duration(status.expected_seconds_left)}")
    console.print(f"  passes        {status.passes}")
