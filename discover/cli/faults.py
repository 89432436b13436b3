"""`discover benchmark faults`: the service under kills and outages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discover.cli.campaigns import Json
from discover.cli.output import print_json


def register(app: typer.Typer) -> None:
    """Add the command to those of `discover benchmark`."""
    app.command()(faults)


def faults(
    campaigns: Annotated[int, typer.Option(min=1, help="Simulated campaigns at once.")] = 4,
    minutes: Annotated[float, typer.Option(min=0.5, help="Minutes of kills and outages.")] = 20.0,
    kill_every: Annotated[
        float, typer.Option(min=1.0, help="Mean seconds between two kills.")
    ] = 20.0,
    outage: Annotated[float, typer.Option(min=1.0, help="Seconds of each outage.")] = 60.0,
    job_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds that a job sleeps.")] = 8.0,
    out: Annotated[
        Path | None, typer.Option(help="Empty folder for logs and results.json (else temporary).")
    ] = None,
    *,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Kill every process of `discover up` at random, fill its disk, take its stores and Slurm away.

    Exit code 1 where a result was lost or doubled, or a campaign did not reach its budget afterwards.
    """
    from discover.benchmark import faults as benchmark

    result = benchmark.run(
        campaigns=campaigns,
        minutes=minutes,
        kill_every_seconds=kill_every,
        outage_seconds=outage,
        job_seconds=job_seconds,
        seed=seed,
        out=out,
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(result) if as_json else benchmark.show(result)
    if not result["passed"]:
        raise typer.Exit(1)
