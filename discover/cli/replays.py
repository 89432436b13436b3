"""`discover benchmark replay`: strategies judged by the campaigns that known data would have seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from discover.cli.campaigns import Json
from discover.cli.known_data import (
    Censored,
    DataFiles,
    Described,
    DropInvalid,
    Excluded,
    Formula,
    Group,
    Id,
    Scale,
    Smiles,
    listed,
    tell,
)
from discover.cli.output import print_json

if TYPE_CHECKING:
    from discover.benchmark.columns import Columns


def register(app: typer.Typer) -> None:
    """Add the command to those of `discover benchmark`."""
    app.command()(replay)


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
        Path | None, typer.Option(help="Folder for results, and for what a kill leaves.")
    ] = None,
    *,
    goal: Annotated[
        Literal["max", "min", "extremes"], typer.Option(help="Wanted end of the property's range.")
    ] = "max",
    transform: Scale = "none",
    top: Annotated[
        str | None,
        typer.Option(help="Best rows to find: a number, or a share; else 1% (with --low: 5)."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Campaigns of each kind.")] = None,
    initial: Annotated[
        int | None, typer.Option(min=1, help="First candidates, in random order (at every rung).")
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=2, help="Calculations; else a quarter of the rows, 60 at least."),
    ] = None,
    surrogate: Annotated[
        list[str] | None,
        typer.Option(help="Surrogate (several: repeat it, or with commas); else auto."),
    ] = None,
    acquisition: Annotated[
        list[str] | None,
        typer.Option(help="Acquisition (several: repeat it, or with commas); else informed-ucb."),
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
    (several targets: gp with qlognehvi, parego and logei, 10 initial rows, 40 calculations).
    """
    if low:
        _refuse_with_ladder(
            {
                "--target": target,
                "--goal extremes": goal == "extremes",
                "--transform": transform != "none",
                "--budget": budget,
                "--sigma": sigma,
                "--duration": duration,
                "--peers": peers,
                "--formula": formula,
                "--smiles": smiles,
                "--id": id_column,
                "--group": group,
                "--censored": censored,
                "--features": features,
                "--exclude": exclude,
                "--drop-invalid": drop_invalid,
                "--surrogate (several)": len(listed(surrogate)) > 1,
                "--acquisition (several)": len(listed(acquisition)) > 1,
            }
        )
        _replay_ladder(
            data,
            low,
            goal=goal,
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
    if cost:
        raise typer.BadParameter("--cost is of the rungs that --low names")
    if sigma and duration is not None:
        raise typer.BadParameter("--sigma or --duration: give one of them")
    from discover.benchmark import campaign_benchmark as benchmark
    from discover.benchmark.campaign_report import show
    from discover.benchmark.campaigns import Settings
    from discover.benchmark.columns import Columns
    from discover.benchmark.datasets import load_data

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
        features=tuple(features or ()),
        exclude=tuple(exclude or ()),
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
            surrogates=listed(surrogate) or ["gp"],
            acquisitions=listed(acquisition) or ["qlognehvi", "parego", "logei"],
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
        told=tell,
    )
    tell(known.in_words())
    result = benchmark.run(
        known,
        Settings(
            goal=goal,
            initial=initial or 4,
            budget=budget or min(len(known), max(60, len(known) // 4)),
            concurrency=slots or 4,
        ),
        surrogates=listed(surrogate) or ["auto"],
        acquisitions=listed(acquisition) or ["informed-ucb"],
        top=top or "1%",
        seeds=seeds or 10,
        sigma=sigma,
        peers=peers,
        out=out,
        told=tell,
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
        told=tell,
    )
    tell(f"{known.data.in_words()}; {len(known.front)} on the front of {', '.join(targets)}")
    result = benchmark.run(
        known,
        Settings(goal="max", initial=initial, budget=budget, concurrency=slots),
        surrogates=surrogates,
        acquisitions=acquisitions,
        seeds=seeds,
        sigma=sigma,
        out=out,
        told=tell,
    )
    if show:
        benchmark.show(result)
    return result


def _refuse_with_ladder(given: dict[str, object]) -> None:
    """BadParameter for options that a ladder of fidelities does not know."""
    if unused := [option for option, value in given.items() if value]:
        raise typer.BadParameter(f"{', '.join(unused)}: not with --low")


def _replay_ladder(
    data: list[Path],
    low: list[str],
    *,
    goal: Literal["max", "min", "extremes"],
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
        goal=goal,
        top=int(top or 5),
        seeds=seeds or 20,
        initial=initial or 3,
        surrogate=(surrogate or ["multi-fidelity"])[0],
        acquisition=(acquisition or ["logei"])[0],
        slots=slots or 1,
        told=tell,
    )
    print_json(result) if as_json else benchmark.show(result)
