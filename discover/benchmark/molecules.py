"""Properties of known electrolyte solvents, computed as a campaign would, against published values."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from discover import plugins
from discover.calculations.base import JobInput, JobResult, job_id
from discover.calculations.job import run_job, write_input
from discover.errors import CalculationError
from discover.plugins import suggestion
from discover.structures.molecule import Molecule

Preset = Literal["cheap", "tight"]

XU = "K. Xu, Chem. Rev. 104, 4303 (2004), tables 1 to 3"
CRC = "CRC Handbook of Chemistry and Physics"
ARMENTROUT = "P. B. Armentrout et al., guided ion beams, 0 K"

SOURCES = {
    "dipole_moment": f"{XU}; acetonitrile: {CRC}",
    "oxidation_potential": f"{XU}, glassy carbon; acetonitrile: M. Ue et al., J. Electrochem. Soc. 141, "
    "2989 (1994)",
    "polarizability": f"refractive index and density ({CRC}) by Lorentz and Lorenz",
    "lithium_binding_energy": ARMENTROUT,
}
"""Where the published values are said to be from; they have not been checked against it one by one."""

APART = {
    "dipole_moment": 0.5,
    "oxidation_potential": 0.5,
    "polarizability": 0.5,
    "lithium_binding_energy": 20.0,
}
"""Published values closer than this, in their units, leave open which is the larger: oxidation limits are
read off at some current, and differ by this much between laboratories."""


@dataclass(frozen=True)
class Solvent:
    """A solvent with published values by property, in the units of `discover.properties`."""

    name: str
    smiles: str
    published: dict[str, float]


SOLVENTS = (
    Solvent(
        "EC",
        "O=C1OCCO1",
        {"dipole_moment": 4.61, "oxidation_potential": 6.2, "polarizability": 6.63},
    ),
    Solvent(
        "PC",
        "CC1COC(=O)O1",
        {"dipole_moment": 4.81, "oxidation_potential": 6.6, "polarizability": 8.48},
    ),
    Solvent(
        "DMC",
        "COC(=O)OC",
        {"dipole_moment": 0.76, "oxidation_potential": 6.7, "polarizability": 7.53},
    ),
    Solvent(
        "DME",
        "COCCOC",
        {
            "dipole_moment": 1.15,
            "oxidation_potential": 5.1,
            "polarizability": 9.57,
            "lithium_binding_energy": -241.0,
        },
    ),
    Solvent(
        "AN",
        "CC#N",
        {
            "dipole_moment": 3.92,
            "oxidation_potential": 6.6,
            "polarizability": 4.40,
            "lithium_binding_energy": -180.0,
        },
    ),
    Solvent("FEC", "O=C1OCC(F)O1", {}),
    Solvent(
        "THF",
        "C1CCOC1",
        {"dipole_moment": 1.7, "oxidation_potential": 5.2, "polarizability": 7.88},
    ),
    Solvent(
        "EMC",
        "CCOC(=O)OC",
        {"dipole_moment": 0.89, "oxidation_potential": 6.7},
    ),
)


def run(
    names: Sequence[str],
    out: Path,
    *,
    preset: Preset = "cheap",
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Compute the solvents called `names` (all where there are none), each as a job below `out`.

    What is there already is not computed again. Raises CalculationError for an unknown name.
    """
    known = {solvent.name: solvent for solvent in SOLVENTS}
    for name in names:
        if name not in known:
            raise CalculationError(f"no solvent is called {name!r}{suggestion(name, known)}")
    rows = []
    for solvent in [known[name] for name in names] or SOLVENTS:
        result = _compute(solvent, out / solvent.name, preset)
        rows.append(_row(solvent, result))
        told(f"{solvent.name}: {result.status}, {rows[-1]['cpu_seconds']:.0f} CPU s")
    return {
        "preset": preset,
        "solvents": rows,
        "properties": {name: compared(rows, name) for name in SOURCES},
        "sources": SOURCES,
    }


def compared(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Of one property: solvents with both values, mean absolute error, rank correlation, and order.

    `ordered` of `pairs` are pairs of published values that are `APART` and computed in the same order.
    """
    both = [
        (row["values"][name], row["published"][name])
        for row in rows
        if name in row["published"] and name in row["values"]
    ]
    apart = [
        (one, other)
        for one, other in itertools.combinations(both, 2)
        if abs(one[1] - other[1]) > APART[name]
    ]
    ordered = [1 for one, other in apart if (one[0] - other[0]) * (one[1] - other[1]) > 0]
    return {
        "solvents": len(both),
        "mae": float(np.mean([abs(ours - theirs) for ours, theirs in both])) if both else None,
        "spearman": _spearman(both) if len(both) > 2 else None,
        "pairs": len(apart),
        "ordered": len(ordered),
    }


def show(result: dict[str, Any]) -> None:
    """The result as a table: ours, and the published value in brackets."""
    from rich.console import Console
    from rich.table import Table

    from discover.properties import property_named

    console = Console()
    listed = ("reduction_potential", "solvation_free_energy", "homo_energy", "lumo_energy")
    names = [*SOURCES, *listed]
    table = Table(title=f"preset {result['preset']}: computed (published)")
    table.add_column("solvent")
    for name in names:
        known = property_named(name)
        table.add_column(f"{known.label}, {known.unit}", justify="right")
    table.add_column("CPU s", justify="right")
    for row in result["solvents"]:
        cells = [_cell(row["values"].get(name), row["published"].get(name)) for name in names]
        table.add_row(row["name"], *cells, f"{row['cpu_seconds']:.0f}")
    console.print(table)
    for name, found in result["properties"].items():
        if found["solvents"]:
            rank = "" if found["spearman"] is None else f", Spearman {found['spearman']:.2f}"
            console.print(
                f"{name}: {found['ordered']} of {found['pairs']} pairs in the published order, mean "
                f"absolute error {found['mae']:.2f} {property_named(name).unit}{rank} "
                f"({result['sources'][name]})"
            )
    for row in result["solvents"]:
        if row["reason"]:
            console.print(f"{row['name']} failed: {row['reason']}")


def _compute(solvent: Solvent, directory: Path, preset: Preset) -> JobResult:
    molecule = Molecule.from_smiles(solvent.smiles)
    kind, engine = (
        plugins.options_model(plugins.load(part, name))(preset=preset)
        for part, name in (("calculations", "molecule"), ("engines", "pyscf"))
    )
    write_input(
        directory,
        JobInput(
            id=job_id(molecule, "molecule", kind, "pyscf", engine),
            kind="molecule",
            engine="pyscf",
            settings=kind.model_dump(mode="json"),
            engine_settings=engine.model_dump(mode="json"),
            structure=molecule,
        ),
    )
    return run_job(directory)


def _row(solvent: Solvent, result: JobResult) -> dict[str, Any]:
    seconds = result.details.get("cpu_seconds", {})
    return {
        "name": solvent.name,
        "smiles": solvent.smiles,
        "values": {value.property: value.value for value in result.values},
        "published": solvent.published,
        "cpu_seconds": sum(seconds.values()) if isinstance(seconds, dict) else 0.0,
        "warnings": list(result.warnings),
        "reason": result.reason,
    }


def _spearman(both: Sequence[tuple[float, float]]) -> float:
    from scipy.stats import spearmanr

    ours, theirs = zip(*both, strict=True)
    return float(spearmanr(ours, theirs).statistic)


def _cell(ours: float | None, published: float | None) -> str:
    told = "–" if ours is None else f"{ours:.2f}"
    return told if published is None else f"{told} ({published:g})"
