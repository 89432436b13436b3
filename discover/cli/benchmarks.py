"""`discover benchmark ...`: what the system measures about itself, always against a baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from discover.cli.campaigns import Json
from discover.cli.output import print_json

if TYPE_CHECKING:
    from discover.benchmark.datasets import Columns

DataFiles = Annotated[
    list[Path],
    typer.Option(
        "--data",
        help="CSV, extxyz, CIF, or a folder of them (repeat it to join tables and structures).",
    ),
]
Target = Annotated[str, typer.Option(help="Column with the property.")]
Scale = Annotated[
    Literal["log10", "none"], typer.Option("--transform", help="Scale on which models learn it.")
]
Formula = Annotated[str | None, typer.Option("--formula", help="Column of formulas.")]
Smiles = Annotated[str | None, typer.Option("--smiles", help="Column of SMILES.")]
Id = Annotated[
    str | None, typer.Option("--id", help="Column that names rows and joins structures.")
]
Group = Annotated[
    str | None, typer.Option("--group", help="Column of what must not be split; else the formula.")
]
Censored = Annotated[
    str | None, typer.Option("--censored", help="Column that marks targets which are bounds.")
]
Described = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        help="Descriptor, column or pattern of columns to describe rows by (repeat it); else by what "
        "there is.",
    ),
]
Excluded = Annotated[
    list[str] | None, typer.Option("--exclude", help="Columns not to describe rows by (repeat it).")
]
DropInvalid = Annotated[
    bool, typer.Option("--drop-invalid", help="Leave out rows that cannot be used, and list them.")
]

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
    physbo: Annotated[
        bool, typer.Option("--physbo", help="Also PHYSBO, where it is installed (slow).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Seconds and peak memory to fit, score and pick 10, against a random forest."""
    from discover.benchmark import select as benchmark

    result = benchmark.run(
        sizes=size or (10_000, 100_000),
        surrogates=surrogate or ("gp", "deep-ensemble"),
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
def extrapolation(
    data: DataFiles,
    target: Target,
    out: Annotated[Path, typer.Option(help="Folder for results, and for what a kill leaves.")],
    *,
    transform: Scale = "none",
    splits: Annotated[
        list[str] | None,
        typer.Option(
            help="random, property, spacegroup, element, formula, cluster, time, file (repeat it, or "
            "with commas); else all that the data allow."
        ),
    ] = None,
    surrogates: Annotated[
        list[str] | None, typer.Option(help="Surrogates (repeat it, or with commas).")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of splits and models.")] = 5,
    split_file: Annotated[
        Path | None, typer.Option(help="JSON with the rows of the split 'file', counted from 0.")
    ] = None,
    before: Annotated[
        float | None, typer.Option(help="The split 'time' learns from the years before this one.")
    ] = None,
    year: Annotated[str | None, typer.Option(help="Column of years.")] = None,
    spacegroup: Annotated[str | None, typer.Option(help="Column of space groups.")] = None,
    formula: Formula = None,
    smiles: Smiles = None,
    id_column: Id = None,
    group: Group = None,
    censored: Censored = None,
    features: Described = None,
    exclude: Excluded = None,
    drop_invalid: DropInvalid = False,
    as_json: Json = False,
) -> None:
    """How surrogates predict outside of what they learned from, against train mean and forest."""
    from discover.benchmark import extrapolation as benchmark
    from discover.benchmark.datasets import Columns, load_data
    from discover.benchmark.extrapolation_report import show
    from discover.benchmark.extrapolation_splits import plan_splits

    known = load_data(
        data,
        Columns(
            target=target,
            formula=formula,
            smiles=smiles,
            id=id_column,
            group=group,
            year=year,
            censored=censored,
            spacegroup=spacegroup,
            features=tuple(_listed(features)),
            exclude=tuple(_listed(exclude)),
        ),
        transform=transform,
        drop_invalid=drop_invalid,
        told=_tell,
    )
    _tell(known.in_words())
    result = benchmark.run(
        known,
        plan_splits(known, _listed(splits), split_file, before),
        _listed(surrogates)
        or ["bayesian-ridge", "ilr", "gp-linear", "random-forest", "mixture", "auto"],
        seeds=seeds,
        out=out,
        told=_tell,
    )
    print_json(result) if as_json else show(result)


@app.command()
def replay(
    data: DataFiles,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with the property (needed without --low); of several (repeat it) each with "
            "its goal: COL:max or COL:min, then :log10 or :REFERENCE if wanted."
        ),
    ] = None,
    low: Annotated[
        list[str] | None,
        typer.Option(help="Column of a lower rung, cheap to dear (repeat it): replays a ladder."),
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
    goal: Annotated[
        Literal["max", "min", "extremes"], typer.Option(help="Wanted end of the property's range.")
    ] = "max",
    transform: Scale = "none",
    top: Annotated[
        str | None, typer.Option(help="Best rows to find: a number, or a share such as 5%.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Campaigns of each kind.")] = None,
    initial: Annotated[
        int | None, typer.Option(min=1, help="First candidates, in random order (at every rung).")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=2, help="Calculations; a quarter of the rows if left out.")
    ] = None,
    surrogate: Annotated[
        list[str] | None, typer.Option(help="Surrogate (several: repeat it, or with commas).")
    ] = None,
    acquisition: Annotated[
        list[str] | None, typer.Option(help="Acquisition (several: repeat it, or with commas).")
    ] = None,
    slots: Annotated[
        int | None, typer.Option("--concurrency", "--slots", min=1, help="Calculations at once.")
    ] = None,
    sigma: Annotated[
        float, typer.Option(min=0.0, help="Spread of log-normal run times; 0: all alike.")
    ] = 0.0,
    duration: Annotated[str | None, typer.Option(help="Column of run times.")] = None,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also PHYSBO, BayBE, plain BoTorch and a forest.")
    ] = False,
    formula: Formula = None,
    smiles: Smiles = None,
    id_column: Id = None,
    group: Group = None,
    censored: Censored = None,
    features: Described = None,
    exclude: Excluded = None,
    drop_invalid: DropInvalid = False,
    as_json: Json = False,
) -> None:
    """Calculations until the best of known rows are found; with --low, what a ladder saves.

    Without --low: every surrogate with every acquisition (and --peers) against random order, from the
    same initial rows, with 4 calculations at once, 4 initial rows and 10 seeds unless told otherwise
    (several targets: 10 initial rows, 40 calculations).
    """
    if low:
        _replay_ladder(
            data,
            low,
            cost=cost,
            out=out,
            top=top,
            seeds=seeds,
            initial=initial,
            surrogate=surrogate,
            acquisition=acquisition,
            slots=slots,
            as_json=as_json,
        )
        return
    from discover.benchmark import campaign_benchmark as benchmark
    from discover.benchmark.campaign_report import show
    from discover.benchmark.campaigns import Settings
    from discover.benchmark.datasets import Columns, load_data

    if not target or out is None:
        raise typer.BadParameter("give --target and --out (or --low, to replay a ladder)")
    columns = Columns(
        target=target[0],
        formula=formula,
        smiles=smiles,
        id=id_column,
        group=group,
        censored=censored,
        duration=duration,
        features=tuple(_listed(features)),
        exclude=tuple(_listed(exclude)),
    )
    if len(target) > 1:
        if top is not None or peers or goal != "max" or transform != "none":
            raise typer.BadParameter(
                "--goal, --transform, --top and --peers are for one --target; of several each says "
                "its own, as in COL:min:log10"
            )
        result = _replay_tradeoff(
            data,
            columns,
            target,
            surrogates=_listed(surrogate) or ["gp"],
            acquisitions=_listed(acquisition) or ["qlognehvi", "parego", "logei"],
            seeds=seeds or 10,
            initial=initial or 10,
            budget=budget or 40,
            slots=slots or 4,
            sigma=sigma,
            drop_invalid=drop_invalid,
            out=out,
            show=not as_json,
        )
        if as_json:
            print_json(result)
        return
    known = load_data(
        data,
        columns,
        transform=transform,
        drop_invalid=drop_invalid,
        told=_tell,
    )
    _tell(known.in_words())
    result = benchmark.run(
        known,
        Settings(
            goal=goal,
            initial=initial or 4,
            budget=budget or min(len(known), max(60, len(known) // 4)),
            concurrency=slots or 4,
        ),
        surrogates=_listed(surrogate) or ["mixture"],
        acquisitions=_listed(acquisition) or ["informed-ucb"],
        top=top or "1%",
        seeds=seeds or 10,
        sigma=sigma,
        peers=peers,
        out=out,
        told=_tell,
    )
    print_json(result) if as_json else show(result)


def _replay_tradeoff(
    data: list[Path],
    columns: Columns,
    targets: list[str],
    *,
    surrogates: list[str],
    acquisitions: list[str],
    seeds: int,
    initial: int,
    budget: int,
    slots: int,
    sigma: float,
    drop_invalid: bool,
    out: Path,
    show: bool,
) -> dict[str, Any]:
    from discover.benchmark import tradeoff_benchmark as benchmark
    from discover.benchmark.campaigns import Settings
    from discover.benchmark.tradeoffs import Target, load_tradeoff

    known = load_tradeoff(
        data,
        columns,
        [Target.parse(text) for text in targets],
        drop_invalid=drop_invalid,
        told=_tell,
    )
    _tell(f"{known.data.in_words()}; {len(known.front)} on the front of {', '.join(targets)}")
    result = benchmark.run(
        known,
        Settings(goal="max", initial=initial, budget=budget, concurrency=slots),
        surrogates=surrogates,
        acquisitions=acquisitions,
        seeds=seeds,
        sigma=sigma,
        out=out,
        told=_tell,
    )
    if show:
        benchmark.show(result)
    return result


def _replay_ladder(
    data: list[Path],
    low: list[str],
    *,
    cost: list[float] | None,
    out: Path | None,
    top: str | None,
    seeds: int | None,
    initial: int | None,
    surrogate: list[str] | None,
    acquisition: list[str] | None,
    slots: int | None,
    as_json: bool,
) -> None:
    from discover.benchmark import replay as benchmark

    if top is not None and not top.isdecimal():
        raise typer.BadParameter(f"--top {top!r}: with --low, a number of materials")
    result = benchmark.run(
        data,
        low,
        costs=cost or [1 / 60] * len(low),
        out=out,
        top=int(top or 5),
        seeds=seeds or 20,
        initial=initial or 3,
        surrogate=(surrogate or ["multi-fidelity"])[0],
        acquisition=(acquisition or ["logei"])[0],
        slots=slots or 1,
        told=_tell,
    )
    print_json(result) if as_json else benchmark.show(result)


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

    result = benchmark.run(solvents or (), out, preset=preset, told=_tell)
    print_json(result) if as_json else benchmark.show(result)


def _listed(words: list[str] | None) -> list[str]:
    """What was given by repeating an option, by commas, or both."""
    return [part.strip() for word in words or () for part in word.split(",") if part.strip()]


def _tell(line: str) -> None:
    typer.echo(line, err=True)


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
        candidates=candidates, results=results, descriptors=descriptors, seed=seed, told=_tell
    )
    print_json(result) if as_json else benchmark.show(result)
