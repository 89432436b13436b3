"""`discover benchmark ...`: what the system measures about itself, always against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from discover.cli import extrapolation, replays
from discover.cli.campaigns import Json
from discover.cli.known_data import listed, tell
from discover.cli.output import print_json

app = typer.Typer(
    help="Measure speed, memory and the loop, each against a baseline in the same run."
)
extrapolation.register(app)
replays.register(app)


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
        list[str] | None, typer.Option(help="Surrogates to measure (repeat it, or with commas).")
    ] = None,
    *,
    acquisition: Annotated[str, typer.Option(help="What surrogates pick by.")] = "logei",
    seconds: Annotated[
        float | None,
        typer.Option(min=0.0, help="Time to score the pool in; then the best so far is picked."),
    ] = None,
    botorch: Annotated[
        bool, typer.Option("--botorch", help="Also a plain BoTorch GP with LogEI (slow).")
    ] = False,
    physbo: Annotated[
        bool, typer.Option("--physbo", help="Also PHYSBO, where it is installed (slow).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seconds and peak memory to fit, score and pick 10, against a random forest."""
    from discover.benchmark import select as benchmark

    result = benchmark.run(
        sizes=size or (10_000, 100_000),
        surrogates=listed(surrogate) or benchmark.SURROGATES,
        acquisition=acquisition,
        budget_seconds=seconds,
        baselines=(
            benchmark.FOREST,
            *([benchmark.BOTORCH] if botorch else []),
            *([benchmark.PHYSBO] if physbo else []),
        ),
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
def molecules(
    solvents: Annotated[
        list[str] | None, typer.Argument(help="EC, PC, DMC, DME, AN, FEC, THF, EMC; else all.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder for results, and for what a kill leaves.")],
    preset: Annotated[Literal["cheap", "tight"], typer.Option(help="Level of theory.")] = "cheap",
    as_json: Json = False,
) -> None:
    """Redox potentials and more of known solvents by PySCF, against published values."""
    from discover.benchmark import molecules as benchmark

    result = benchmark.run(solvents or (), out, preset=preset, told=tell)
    print_json(result) if as_json else benchmark.show(result)


@app.command()
def page(
    candidates: Annotated[int, typer.Option(min=10, help="Candidates in the store.")] = 100_000,
    results: Annotated[int, typer.Option(min=2, help="Computed ones among them.")] = 300,
    descriptors: Annotated[int, typer.Option(min=2, help="Numbers that describe one.")] = 150,
    *,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Seconds until the campaign page of a large campaign is first seen."""
    from discover.benchmark import page as benchmark

    result = benchmark.run(
        candidates=candidates, results=results, descriptors=descriptors, seed=seed, told=tell
    )
    print_json(result) if as_json else benchmark.show(result)


@app.command()
def scale(
    out: Annotated[
        Path | None, typer.Option(help="Folder for results.json, results.csv and figure.png.")
    ] = None,
    *,
    potential: Annotated[
        str, typer.Option(help="Potential that relaxes, as a campaign names it.")
    ] = "mace:bundled",
    structures: Annotated[int, typer.Option(min=2, help="Structures to relax.")] = 96,
    slots: Annotated[
        list[int] | None, typer.Option(min=1, help="Simulated job slots (repeat it).")
    ] = None,
    mean_minutes: Annotated[float, typer.Option(help="Mean run time of a simulated job.")] = 60.0,
    sigma: Annotated[float, typer.Option(help="Spread of the log-normal run times.")] = 1.0,
    queued: Annotated[int, typer.Option(min=0, help="Picks that may wait for a slot.")] = 0,
    cpu_time: Annotated[
        bool,
        typer.Option("--cpu-time", help="Count the loop's CPU time: on a machine that is shared."),
    ] = False,
    known: Annotated[int, typer.Option(min=2, help="Results known at the beginning.")] = 200,
    picks: Annotated[
        int, typer.Option(min=1, help="Picks to measure, at each number of slots.")
    ] = 32,
    candidates: Annotated[
        int, typer.Option(min=1000, help="Candidates in the store whose memory is measured.")
    ] = 1_000_000,
    part: Annotated[
        list[str] | None,
        typer.Option(help="relaxation, loop or memory (repeat it, or with commas); else all."),
    ] = None,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Relaxations a minute by workers, how busy many slots are kept, and memory of a large store."""
    from discover.benchmark import scale as benchmark
    from discover.benchmark.scale_report import show

    parts = tuple(listed(part)) or benchmark.PARTS
    if unknown := set(parts) - set(benchmark.PARTS):
        raise typer.BadParameter(
            f"--part {', '.join(sorted(unknown))}: there are {', '.join(benchmark.PARTS)}"
        )
    result = benchmark.run(
        benchmark.Settings(
            parts=parts,
            potential=potential,
            structures=structures,
            slots=tuple(slots or (8, 64, 512)),
            mean_seconds=60.0 * mean_minutes,
            sigma=sigma,
            queued=queued,
            cpu_time=cpu_time,
            known=known,
            picks=picks,
            candidates=candidates,
            seed=seed,
        ),
        out,
        told=tell,
    )
    print_json(result) if as_json else show(result)
