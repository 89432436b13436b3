"""`discover benchmark extrapolation`: surrogates judged outside of what they learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    Target,
    listed,
    tell,
)
from discover.cli.output import print_json


def register(app: typer.Typer) -> None:
    """Add the command to those of `discover benchmark`."""
    app.command()(extrapolation)


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
        list[str] | None,
        typer.Option(
            help="Surrogates (repeat it, or with commas); else bayesian-ridge, ilr, gp-linear, "
            "random-forest, mixture and auto."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of splits and models.")] = 5,
    split_file: Annotated[
        Path | None,
        typer.Option(
            help="JSON of the split 'file': objects with lists 'train' and 'test' of rows counted from 0."
        ),
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
    from discover.benchmark.columns import Columns
    from discover.benchmark.datasets import load_data
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
            features=tuple(features or ()),
            exclude=tuple(exclude or ()),
        ),
        transform=transform,
        drop_invalid=drop_invalid,
        told=tell,
    )
    tell(known.in_words())
    result = benchmark.run(
        known,
        plan_splits(known, listed(splits), split_file, before, told=tell),
        listed(surrogates)
        or ["bayesian-ridge", "ilr", "gp-linear", "random-forest", "mixture", "auto"],
        seeds=seeds,
        out=out,
        told=tell,
    )
    print_json(result) if as_json else show(result)
