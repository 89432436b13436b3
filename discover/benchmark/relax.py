"""How many crystals a minute are relaxed in batches, against ASE one by one, and whether alike.

Everything runs in this process with one potential, one criterion and the same crystals: the largest
force and the virial an atom below `fmax`, inside the volume bounds and the step limit of a campaign.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from discover.benchmark.relaxation_peers import Outcome, ase_bfgs, ase_fire, torchsim_fire
from discover.campaign import RelaxationSettings
from discover.errors import MissingDependencyError, PotentialError, StructureError
from discover.potentials import load_potential, unknown_elements
from discover.potentials.base import Potential
from discover.potentials.relaxation import relax_many
from discover.structures.crystal import Crystal

Relax = Callable[[Sequence[Crystal], Potential, RelaxationSettings], list[Outcome]]

TOLERANCE_EV_PER_ATOM = 1e-3
"""Energies of two ways that differ by more are listed."""

_WARM_UP = 4
"""Structures relaxed before the clock starts."""

OURS, BASELINE = "batched, symmetric BFGS", "ASE BFGS, one by one"


def run(
    potential: str,
    *,
    n: int,
    structures: Path | None = None,
    fmax_ev_per_angstrom: float = 0.03,
    torchsim: bool = False,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Structures a minute of each way, its ratio to ours, and where its energies are not ours.

    The crystals are the first `n` of the file `structures` (whatever ASE reads), or, without one, of
    the prototypes generator, among the elements that the potential knows. TorchSim is measured where
    `torchsim` asks for it; where it cannot be, `told` says why.
    """
    chosen = load_potential(potential, Path.cwd())
    crystals = _read(structures, n) if structures else prototypes(chosen, n, seed)
    foreign = [i for i, crystal in enumerate(crystals) if _unknown(chosen, crystal)]
    if foreign:
        told(f"left out, for elements that {chosen.name} does not know: structures {foreign}")
        crystals = [crystal for i, crystal in enumerate(crystals) if i not in foreign]
    if not crystals:
        raise StructureError(f"{structures or 'the generator'}: no structure to relax")
    ways: dict[str, Relax] = {OURS: batched, BASELINE: ase_bfgs, "ASE FIRE, one by one": ase_fire}
    if torchsim:
        ways["TorchSim FIRE, batched"] = torchsim_fire
    settings = RelaxationSettings(fmax_ev_per_angstrom=fmax_ev_per_angstrom)
    rows: list[dict[str, Any]] = []
    outcomes: dict[str, list[Outcome]] = {}
    for name, relax in ways.items():
        told(f"{name}: {len(crystals)} structures")
        try:
            relax(crystals[:_WARM_UP], chosen, settings)  # loads the model; TorchScript compiles
            started, cpu_started = time.perf_counter(), time.process_time()
            outcomes[name] = relax(crystals, chosen, settings)
        except (MissingDependencyError, PotentialError) as error:
            if name in {OURS, BASELINE}:
                raise
            told(f"{name}: skipped: {error}")
            continue
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        rows.append(_row(name, outcomes, crystals, seconds, cpu))
    for row in rows:
        row["cpu_over_ours"] = row["cpu_seconds"] / rows[0]["cpu_seconds"]
        row["seconds_over_ours"] = row["seconds"] / rows[0]["seconds"]
    return {
        "potential": chosen.name,
        "structures": len(crystals),
        "atoms": [min(len(c.numbers) for c in crystals), max(len(c.numbers) for c in crystals)],
        "fmax_ev_per_angstrom": fmax_ev_per_angstrom,
        "rows": rows,
    }


def batched(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings
) -> list[Outcome]:
    """This package's `relax_many`, whose every step is one call of the potential."""
    return [
        Outcome(r.record.energy_ev_per_atom, r.record.steps + 1, r.record.converged)
        if r.record
        else Outcome(None, None, converged=False)
        for r in relax_many(crystals, potential, settings)
    ]


def show(result: dict[str, Any]) -> None:
    """The result as a table, and the structures whose energies differ."""
    from rich.console import Console
    from rich.table import Table

    low, high = result["atoms"]
    table = Table(
        title=f"{result['structures']} structures of {low} to {high} atoms,"
        f" {result['potential']}, fmax {result['fmax_ev_per_angstrom']} eV/Å"
    )
    headings = ("structures a minute", "time over ours", "CPU time over ours")
    for heading in ("", *headings, "force calls", "converged", "largest ΔE (meV/atom)"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in result["rows"]:
        table.add_row(
            row["name"],
            f"{row['structures_per_minute']:.0f}",
            f"{row['seconds_over_ours']:.1f}",
            f"{row['cpu_over_ours']:.1f}",
            "–" if row["force_calls"] is None else str(row["force_calls"]),
            str(row["converged"]),
            f"{1000 * row['largest_difference_ev_per_atom']:.2f}",
        )
    console = Console(highlight=False)
    (console if console.is_terminal else Console(width=140, highlight=False)).print(table)
    for row in result["rows"]:
        for other in row["differing"]:
            console.print(
                f"{row['name']}: structure {other['index']} ({other['formula']}) is"
                f" {1000 * other['difference_ev_per_atom']:+.2f} meV/atom from ours"
            )


def _row(
    name: str,
    outcomes: dict[str, list[Outcome]],
    crystals: Sequence[Crystal],
    seconds: float,
    cpu_seconds: float,
) -> dict[str, Any]:
    """One way's measurement; its energies are compared where it and ours both converged."""
    differences = {
        i: theirs.energy_ev_per_atom - ours.energy_ev_per_atom
        for i, (theirs, ours) in enumerate(zip(outcomes[name], outcomes[OURS], strict=True))
        if theirs.converged and ours.converged
        if theirs.energy_ev_per_atom is not None and ours.energy_ev_per_atom is not None
    }
    calls = [outcome.calls for outcome in outcomes[name] if outcome.calls is not None]
    return {
        "name": name,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "structures_per_minute": 60.0 * len(crystals) / seconds,
        "force_calls": sum(calls) if calls else None,
        "converged": sum(outcome.converged for outcome in outcomes[name]),
        "largest_difference_ev_per_atom": max(map(abs, differences.values()), default=0.0),
        "differing": [
            {
                "index": i,
                "formula": crystals[i].to_atoms().get_chemical_formula(),
                "difference_ev_per_atom": difference,
            }
            for i, difference in differences.items()
            if abs(difference) > TOLERANCE_EV_PER_ATOM
        ],
    }


def prototypes(potential: Potential, n: int, seed: int) -> list[Crystal]:
    """The first n crystals of the prototypes generator among the elements that the potential knows."""
    from generators import GeneratorContext
    from generators.chemistry import default_elements
    from generators.prototypes import PrototypeGenerator

    known = tuple(symbol for symbol in default_elements() if symbol in potential.elements())
    context = GeneratorContext(seed=seed, position=0, known=frozenset())
    proposal = PrototypeGenerator(elements=known).propose(n, context)
    return [candidate.crystal for candidate in proposal.candidates]


def _read(file: Path, n: int) -> list[Crystal]:
    from ase.io import read

    try:
        frames = read(file, f":{n}")
    except Exception as error:  # ASE's readers raise anything
        raise StructureError(f"{file} cannot be read as structures: {error}") from error
    try:
        return [Crystal.from_atoms(frame) for frame in frames]
    except ValueError as error:
        raise StructureError(f"{file} holds something that is no crystal: {error}") from error


def _unknown(potential: Potential, crystal: Crystal) -> list[str]:
    return unknown_elements(potential, crystal.to_atoms().get_chemical_symbols())
