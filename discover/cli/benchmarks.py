"""`discover benchmark ...`: what the system measures about itself, always against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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


@app.command()
def select(
    size: Annotated[
        list[int] | None, typer.Option(min=10, help="Candidates in the pool (may be repeated).")
    ] = None,
    surrogate: Annotated[
        list[str] | None, typer.Option(help="Surrogate to measure (may be repeated).")
    ] = None,
    botorch: Annotated[
        bool, typer.Option("--botorch", help="Also a plain BoTorch GP with LogEI (slow).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seconds and peak memory to fit, score and pick 10, against a random forest."""
    from discover.benchmark import select as benchmark

    result = benchmark.run(
        sizes=size or (10_000, 100_000),
        surrogates=surrogate or ("gp", "deep-ensemble"),
        baselines=("random forest", "botorch") if botorch else ("random forest",),
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(result) if as_json else benchmark.show(result)


@app.command()
def relax(
    potential: Annotated[str, typer.Option(help="Potential, as a campaign names it.")] = "chgnet",
    n: Annotated[int, typer.Option("--n", min=1, help="Structures to relax.")] = 48,
    structures: Annotated[
        Path | None, typer.Option(help="File of structures that ASE reads, in place of prototypes.")
    ] = None,
    fmax: Annotated[float, typer.Option(help="Largest force left, in eV/Å.")] = 0.03,
    *,
    torchsim: Annotated[
        bool, typer.Option("--torchsim", help="Also TorchSim, where it is installed (MACE only).")
    ] = False,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Structures relaxed a minute, in batches against one by one with ASE, and whether alike."""
    from discover.benchmark import relax as benchmark

    result = benchmark.run(
        potential,
        n=n,
        structures=structures,
        fmax_ev_per_angstrom=fmax,
        torchsim=torchsim,
        seed=seed,
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(result) if as_json else benchmark.show(result)


@app.command()
def kappa(
    structures: Annotated[
        Path, typer.Option(help="Compounds: a file that ASE reads, such as extxyz.")
    ],
    potential: Annotated[str, typer.Option(help="Potential, as a campaign names it.")],
    out: Annotated[Path, typer.Option(help="Folder for results, and for what a kill leaves.")],
    *,
    reference: Annotated[
        str | None, typer.Option(help="Column of the structures with reference values in W/m/K.")
    ] = None,
    reference_modes: Annotated[
        Path | None, typer.Option(help="Mode-resolved reference, as k_SRME's .json.gz files.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many compounds, alike over the prototypes.")
    ] = None,
    force_constants: Annotated[
        Literal["symfc", "finite-displacements", "pypolymlp"],
        typer.Option(help="What fits the force constants."),
    ] = "symfc",
    temperature: Annotated[float, typer.Option(min=1.0, help="Temperature in K.")] = 300.0,
    against_finite_displacements: Annotated[
        int, typer.Option(min=0, help="So many compounds by full finite displacements too.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Thermal conductivity from phonons with a potential, against reference values."""
    from discover.benchmark import kappa as benchmark
    from discover.benchmark.kappa_report import show

    result = benchmark.run(
        structures,
        potential,
        out,
        reference=reference,
        reference_modes=reference_modes,
        limit=limit,
        force_constants=force_constants,
        temperature_k=temperature,
        against_finite_displacements=against_finite_displacements,
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(result) if as_json else show(result)


@app.command()
def replay(
    data: Annotated[
        list[Path], typer.Option(help="Tables (CSV) and structures (extxyz), or folders of them.")
    ],
    low: Annotated[
        list[str] | None, typer.Option(help="Column of a lower rung, cheap to dear (repeat it).")
    ] = None,
    cost: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0, help="Cost of each lower rung beside one at the target; 1/60 if left out."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for results.json and figure.png.")
    ] = None,
    *,
    top: Annotated[int, typer.Option(min=1, help="Best materials to find.")] = 5,
    seeds: Annotated[int, typer.Option(min=1, help="Campaigns of each kind.")] = 20,
    initial: Annotated[int, typer.Option(min=1, help="First candidates, at every rung.")] = 3,
    surrogate: Annotated[str, typer.Option(help="Surrogate of all.")] = "multi-fidelity",
    acquisition: Annotated[str, typer.Option(help="Acquisition of all.")] = "logei",
    slots: Annotated[int, typer.Option(min=1, help="Calculations at once.")] = 1,
    as_json: Json = False,
) -> None:
    """What a ladder saves on known materials, against the dearest fidelity only and random order."""
    from discover.benchmark import replay as benchmark

    rungs = low or ["sevennet-l3i5"]
    result = benchmark.run(
        data,
        rungs,
        costs=cost or [1 / 60] * len(rungs),
        out=out,
        top=top,
        seeds=seeds,
        initial=initial,
        surrogate=surrogate,
        acquisition=acquisition,
        slots=slots,
        told=lambda line: typer.echo(line, err=True),
    )
    print_json(result) if as_json else benchmark.show(result)
