"""What a potential can learn from a campaign: the labelled frames of its first-principles jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from discover import plugins
from discover.calculations.base import is_first_principles
from discover.calculations.job import FRAMES, read_result
from discover.campaign import CampaignSpec
from discover.errors import CalculationError
from discover.folder import CampaignFolder
from discover.records import Calculation, CalculationState, content_hash
from discover.store.base import Store
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula

if TYPE_CHECKING:
    from ase import Atoms

UNNAMED = "unnamed"
"""Kind of a frame that does not say what it is for."""

MAX_FORCE_EV_PER_ANGSTROM = 20.0
"""A frame with a larger force is far from any crystal that is searched for."""


@dataclass(frozen=True)
class Label:
    """A frame whose calculator holds energy (eV) and forces (eV/Å), and stress (eV/Å³) where it has one.

    `kind` says what it was computed for (`info["config_type"]`). `level` stands for the engine and
    its settings: energies of two levels are counted from different zeros. `digest` is that of the
    structure at that level.
    """

    atoms: Atoms
    kind: str
    formula: str
    level: str
    calculation: str
    digest: str


@dataclass(frozen=True)
class Labels:
    """The labels of a campaign in the order of its calculations, and what was left out and why."""

    labels: tuple[Label, ...]
    calculations: tuple[str, ...]
    left_out: dict[str, int]


def labelling_engines(spec: CampaignSpec, base: Path) -> frozenset[str]:
    """Those engines of the campaign whose forces are labels: first principles, no potential."""
    return frozenset(
        rung.engine
        for rung in spec.rungs
        if is_first_principles(plugins.load("engines", rung.engine, base))
    )


def labelling_calculations(store: Store, engines: Collection[str]) -> list[Calculation]:
    """Calculations that are done by one of these engines, by order."""
    done = store.calculations(frozenset({CalculationState.DONE}))
    return [calculation for calculation in done if calculation.engine in engines]


def collect_labels(
    folder: CampaignFolder, store: Store, calculations: Sequence[Calculation]
) -> Labels:
    """The frames of these calculations, each structure once.

    Left out, and counted with the reason: calculations with a value in quarantine, and frames without
    energy and forces, with one that is not a finite number or too large.
    """
    doubted = {o.calculation for o in store.observations(quarantined=True) if o.quarantined}
    left_out: Counter[str] = Counter()
    labels: dict[str, Label] = {}
    used = []
    for calculation in calculations:
        if calculation.id in doubted:
            left_out["calculations with a value in quarantine"] += 1
            continue
        try:
            frames, level = _read(folder.job(calculation.id))
        except CalculationError:
            left_out["calculations whose frames cannot be read"] += 1
            continue
        used.append(calculation.id)
        for frame in frames:
            if reason := _problem(frame):
                left_out[reason] += 1
                continue
            label = _label(frame, level, calculation.id)
            if label.digest in labels:
                left_out["frames of a structure that is there already"] += 1
            else:
                labels[label.digest] = label
    return Labels(tuple(labels.values()), tuple(used), dict(sorted(left_out.items())))


def _read(directory: Path) -> tuple[list[Atoms], str]:
    """Frames of a job, and the level of theory of its energies."""
    from ase.io import read

    result = read_result(directory)
    if result is None:
        raise CalculationError(f"{directory} has no result")
    file = directory / FRAMES
    level = content_hash({"engine": result.engine, "settings": result.engine_settings}, 8)
    if not file.exists():
        return [], level
    try:
        return list(read(file, index=":", format="extxyz")), level
    except Exception as error:  # a file changed by hand raises anything
        raise CalculationError(f"{file} cannot be read as extxyz: {error!r}") from error


def _problem(frame: Atoms) -> str | None:
    results = frame.calc.results if frame.calc else {}
    if "energy" not in results or "forces" not in results:
        return "frames without energy and forces"
    if not all(np.isfinite(np.asarray(results[key])).all() for key in results):
        return "frames with a label that is not a finite number"
    if np.abs(results["forces"]).max() > MAX_FORCE_EV_PER_ANGSTROM:
        return f"frames with a force beyond {MAX_FORCE_EV_PER_ANGSTROM:g} eV/Å"
    return None


def _label(frame: Atoms, level: str, calculation: str) -> Label:
    return Label(
        atoms=frame,
        kind=str(frame.info.get("config_type", UNNAMED)),
        formula=reduced_formula(Crystal.from_atoms(frame)),
        level=level,
        calculation=calculation,
        digest=content_hash(
            {
                "level": level,
                "numbers": frame.numbers.tolist(),
                "cell": (np.round(frame.cell.array, 4) + 0.0).tolist(),
                "positions": (np.round(frame.positions, 4) + 0.0).tolist(),
            }
        ),
    )
