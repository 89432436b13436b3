"""Options of the commands that judge on known data, and how these tell of their progress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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
        help="Descriptor, column or pattern of columns to describe rows by (repeat it, or with "
        "commas); else by what there is.",
    ),
]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Columns not to describe rows by (repeat it, or with commas)."),
]
DropInvalid = Annotated[
    bool, typer.Option("--drop-invalid", help="Leave out rows that cannot be used, and list them.")
]


def listed(words: list[str] | None) -> list[str]:
    """What was given by repeating an option, by commas, or both."""
    return [part.strip() for word in words or () for part in word.split(",") if part.strip()]


def tell(line: str) -> None:
    """Progress goes to stderr."""
    typer.echo(line, err=True)
