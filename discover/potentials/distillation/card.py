"""The card of a distilled potential: what it was made from, its domain, and how good it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.campaign import RelaxationSettings
from discover.potentials.accuracy import Accuracy, accuracy_by
from discover.potentials.base import Potential
from discover.potentials.distillation.dataset import Dataset, formula
from discover.potentials.mace_training import Architecture, TrainedModel, TrainingSettings
from discover.potentials.relaxation import relax_many
from discover.structures.crystal import Crystal
from generators.prototype_library import PROTOTYPES

if TYPE_CHECKING:
    from ase import Atoms


def card(
    potential: Potential,
    dataset: Dataset,
    *,
    teacher: str,
    teacher_licence: str | None,
    seed: int,
    architecture: Architecture,
    training: Sequence[TrainingSettings],
    trained: TrainedModel,
) -> dict[str, Any]:
    """Plain data for JSON; errors are against the teacher, by kind of configuration.

    Those on validation configurations tell of new geometries of crystals it knows, those on kept-out
    formulas of crystals that it does not. Lattice constants (cube roots of volumes) are those of crystals
    that the teacher found within 0.5 GPa of equilibrium, relaxed from there.
    """
    seen = [example.atoms for example in (*dataset.train, *dataset.valid)]
    return {
        "teacher": teacher,
        "teacher_licence": teacher_licence,
        "seed": seed,
        "elements": sorted(potential.elements()),
        "structures": ["element", *PROTOTYPES],
        "configurations": {
            "trained on": len(dataset.train),
            "validation": len(dataset.valid),
            "kept out": len(dataset.test),
            "discarded": dataset.left_out,
        },
        "formulas": len({formula(example.atoms) for example in dataset.train}),
        "kept_out_formulas": sorted({formula(frame) for frame in dataset.test}),
        "architecture": architecture.model_dump(mode="json"),
        "training": [stage.model_dump(mode="json") for stage in training],
        "best_epoch": trained.best.number,
        "accuracy": {
            "validation": _by_kind(potential, [example.atoms for example in dataset.valid]),
            "kept out": _by_kind(potential, dataset.test),
        },
        "lattice_constants": {
            "trained on": _lattice_constants(potential, seen),
            "kept out": _lattice_constants(potential, dataset.test),
        },
    }


_SETTINGS = RelaxationSettings(fmax_ev_per_angstrom=0.02, max_steps=100, max_volume_change=0.5)
_EQUILIBRIUM_GPA = 0.5
_AT_MOST = 120
"""Crystals: more change the means by little."""


def _lattice_constants(potential: Potential, frames: Sequence[Atoms]) -> dict[str, float]:
    from ase.units import GPa

    nearest: dict[str, tuple[float, Atoms]] = {}
    for frame in frames:
        pressure = abs(float(frame.get_stress()[:3].mean())) / float(GPa)
        family = str(frame.info["family"])
        is_nearer = pressure < nearest.get(family, (_EQUILIBRIUM_GPA,))[0]
        if frame.info["kind"] == "relaxation" and is_nearer:
            nearest[family] = pressure, frame
    found = [Crystal.from_atoms(frame) for _, frame in nearest.values()][:_AT_MOST]
    relaxed = relax_many(found, potential, _SETTINGS)
    errors = [
        100 * ((after.crystal.volume_angstrom3 / before.volume_angstrom3) ** (1 / 3) - 1)
        for before, after in zip(found, relaxed, strict=True)
        if after.problem is None
    ]
    if not errors:
        return {"crystals": len(found), "not relaxed": len(found)}
    return {
        "crystals": len(found),
        "not relaxed": len(found) - len(errors),
        "mae_percent": round(float(np.mean(np.abs(errors))), 3),
        "bias_percent": round(float(np.mean(errors)), 3),
    }


def _by_kind(potential: Potential, frames: list[Atoms]) -> dict[str, dict[str, float]]:
    found = accuracy_by(potential, frames, lambda frame: str(frame.info["kind"])) if frames else {}
    return {kind: _rounded(errors) for kind, errors in found.items()}


def _rounded(errors: Accuracy) -> dict[str, float]:
    return {key: round(value, 4) for key, value in dataclasses.asdict(errors).items()}
