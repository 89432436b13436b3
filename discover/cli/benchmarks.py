"""`discover benchmark ...`: what the system measures about itself, always against a baseline."""

from __future__ import annotations

from typing import Annotated

import typer

from discover.cli.campaigns import Json
from discover.cli.output import print_json

app = typer.Typer(
    help="Measure speed, memory and the loop, each against a baseline in the same run."
)


@app.command()
def loop(
    slots: Annotated[int, typer.Option(min=1, help="Job slots.")] = 16,
    calculations: Annotated[int, typer.Option(min=2, help="Jobs to run.")] = 400,
    mean_minutes: Annotated[float, typer.Option(help="Mean run time of a job.")] = 30.0,
    sigma: Annotated[float, typer.Option(help="Spread of the log-normal run times.")] = 1.2,
    *,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Share of the time that job slots are busy, against the same loop with a batch barrier."""
    from discover.benchmark import loop as benchmark

    result = benchmark.run(
        slots=slots,
        calculations=calculations,
        mean_seconds=60.0 * mean_minutes,
        sigma=sigma,
        seed=seed,
    )
    print_json(result) if as_json else benchmark.show(result)
