"""`discover potentials ...`: which there are, their environments, and whether one works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from discover.cli.campaigns import Campaign, Json
from discover.cli.output import print_json

app = typer.Typer(
    help="Interatomic potentials: list, install, test, and train them.", no_args_is_help=True
)
Name = Annotated[str, typer.Argument(help="As in a campaign file, such as sevennet:7net-l3i5.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Show which potentials there are, and which can be used here and now."""
    from discover.potentials.catalogue import catalogue

    entries = catalogue()
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for heading in ("name", "status", "elements", "licence"):
        table.add_column(heading, justify="right" if heading == "elements" else "left")
    for entry in entries:
        count = "" if entry.elements is None else str(entry.elements)
        table.add_row(entry.name, entry.status, count, entry.licence or "")
    Console().print(table)
    for where in dict.fromkeys(entry.where for entry in entries if entry.where):
        typer.echo(where)
    typer.echo("also: path/to/file.py:Name, and package.module:factory of anything importable")


@app.command()
def install(
    name: Annotated[str, typer.Argument(help="sevennet, mattersim or fairchem.")],
    as_json: Json = False,
) -> None:
    """Make the environment of a family of potentials (some gigabytes, a few minutes)."""
    from discover.potentials import environments
    from discover.potentials.catalogue import environment

    chosen = environment(name)
    made = environments.install(chosen, told=lambda line: typer.echo(line, err=True))
    if as_json:
        print_json(
            {
                "name": chosen.name,
                "made": made,
                "directory": str(chosen.directory),
                "packages": chosen.packages(),
            }
        )
    else:
        typer.echo(
            f"{chosen.name} is {'now' if made else 'already'} installed in {chosen.directory}"
        )


@app.command("test")
def try_(name: Name, as_json: Json = False) -> None:
    """Load a potential and check its energies, forces and stresses; exit code 1 where it fails."""
    from discover.errors import DiscoverError
    from discover.potentials.trial import try_out

    try:
        trial = try_out(name, Path())
    except DiscoverError as error:
        if as_json:
            print_json({"name": name, "passed": False, "reason": str(error)})
        else:
            typer.secho(f"{name} failed: {error}", fg="red", err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json({"name": name, "passed": True} | trial.as_dict())
        return
    typer.echo(
        f"{trial.potential} knows {trial.elements} elements; loaded in {trial.load_seconds:.1f} s"
    )
    for crystal in trial.crystals:
        typer.echo(
            f"  {crystal.name:<5} {crystal.energy_ev_per_atom:9.4f} eV/atom"
            f"   {crystal.milliseconds_per_call:7.1f} ms a call ({crystal.atoms} atoms)"
        )
    typer.echo("forces and stresses are the derivatives of its energy")
    typer.echo("  ".join(f"{package} {version}" for package, version in trial.versions.items()))


@app.command()
def distill(
    out: Annotated[Path, typer.Option("--out", help="Folder for labels, training and the model.")],
    teacher: Annotated[str, typer.Option(help="Potential that labels.")] = "sevennet:7net-l3i5",
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is in OUT.")] = False,
    crystals: Annotated[
        int | None, typer.Option(min=1, help="Only so many crystals; for a trial.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of each stage, other than usual.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a small MACE on a large potential, from nothing: how `mace:bundled` was made (hours)."""
    from discover.potentials import load_potential
    from discover.potentials.distillation.distill import SEED, TRAINING
    from discover.potentials.distillation.distill import distill as run
    from discover.potentials.distillation.families import families

    result = run(
        load_potential(teacher, Path()),
        out,
        resume=resume,
        crystals=families(SEED)[:crystals],
        training=[
            stage.model_copy(update={"epochs": epochs or stage.epochs}) for stage in TRAINING
        ],
        told=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        print_json({"weights": str(result.weights), "card": result.card})


@app.command()
def finetune(
    campaign: Campaign,
    potential: Annotated[
        str | None,
        typer.Option(help="Start from this MACE, and leave the campaign's own in use."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    replay: Annotated[
        int | None,
        typer.Option(min=0, help="Frames labelled by the potential itself, to remember."),
    ] = None,
    committee: Annotated[
        int | None, typer.Option(min=1, max=8, help="Models to train, with different seeds.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Teach a MACE what the DFT jobs of a campaign found; it is used if it is better (minutes).

    Options that are not given are those of the campaign's section `learning`.
    """
    from contextlib import closing

    from discover.folder import CampaignFolder
    from discover.lease import SteeringLease
    from discover.potentials.learning import campaign as learning
    from discover.potentials.learning.finetuning import CARD
    from discover.potentials.learning.finetuning import finetune as run
    from discover.records import CandidateState

    folder = CampaignFolder.at(campaign)
    spec = folder.load()
    asked = {"epochs": epochs, "replay": replay, "committee": committee}
    settings = learning.settings_of(spec).model_copy(
        update={key: value for key, value in asked.items() if value is not None}
    )

    def told(line: str) -> None:
        typer.echo(line, err=True)

    with closing(folder.open_existing_store(spec, read_only=potential is not None)) as store:
        if potential is None:
            with SteeringLease(store):
                done = learning.learn(folder, spec, store, settings, told)
        else:
            start = learning.trainable(potential, Path())
            labels = learning.labels_of(folder, spec, store)
            ready = store.candidates(CandidateState.READY)
            done = run(start, labels, ready, folder.models, settings, told=told)
    if as_json:
        print_json(done.card)
        return
    for line in learning.summary(done.card):
        typer.echo(line)
    typer.echo(f"the model is mace:{done.weights}, its card is {done.directory / CARD}")


@app.command()
def compare(
    structures: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Crystals whose cells are the truth.")
    ],
    potentials: Annotated[
        str, typer.Option(help="Names, with commas between them.")
    ] = "mace:bundled,chgnet",
    teacher: Annotated[
        str | None, typer.Option(help="Potential whose energies and forces are the truth.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Lattice constants, energies, forces and speed of potentials side by side.

    Crystals with formulas that `mace:bundled` was never trained on are a group of their own.
    """
    from discover.potentials import load_potential
    from discover.potentials.bundled import bundled_card
    from discover.potentials.comparison import compare as run
    from discover.potentials.comparison import read_structures

    rows = run(
        [load_potential(name.strip(), Path()) for name in potentials.split(",")],
        read_structures(structures),
        frozenset(bundled_card()["kept_out_formulas"]),
        load_potential(teacher, Path()) if teacher else None,
    )
    if as_json:
        print_json([vars(row) for row in rows])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    headings = (
        "potential",
        "formulas",
        "crystals",
        "not relaxed",
        "a, b, c (%)",
        "bias",
        "volume (%)",
    )
    for heading in (*headings, "energy (meV/atom)", "forces (meV/Å)", "ms a call"):
        table.add_column(heading, justify="left" if heading in headings[:2] else "right")
    for row in rows:
        table.add_row(
            row.potential,
            row.group,
            str(row.crystals),
            str(len(row.failures)),
            _shown(row.lattice_mae_percent, ".2f"),
            _shown(row.lattice_bias_percent, "+.2f"),
            _shown(row.volume_mae_percent, ".1f"),
            _shown(row.energy_mae_ev_per_atom, ".0f", 1000),
            _shown(row.forces_mae_ev_per_angstrom, ".0f", 1000),
            f"{row.milliseconds_per_call:.0f}",
        )
    Console().print(table)
    for row in rows:
        for failure in row.failures:
            typer.echo(f"{row.potential}: {failure}")


def _shown(value: float | None, form: str, factor: float = 1.0) -> str:
    return "–" if value is None else format(factor * value, form)
