"""The card of a distilled potential: what it was made from, its domain, and how good it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from discover.potentials.accuracy import Accuracy, accuracy_by
from discover.potentials.base import Potential
from discover.potentials.distillation.dataset import Dataset, formula
from discover.potentials.mace_training import Architecture, TrainedModel, TrainingSettings
from generators.prototype_library import PROTOTYPES

if TYPE_CHECKING:
    from ase import Atoms


def card(
    potential: Potential,
    dataset: Dataset,
    *,
    teacher: str,
    seed: int,
    architecture: Architecture,
    training: TrainingSettings,
    trained: TrainedModel,
) -> dict[str, Any]:
    """Plain data for JSON; errors are against the teacher, by kind of configuration.

    Those on validation configurations tell of new geometries of crystals it knows, those on kept-out
    formulas of crystals that it does not.
    """
    return {
        "teacher": teacher,
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
        "training": training.model_dump(mode="json"),
        "best_epoch": trained.best.number,
        "accuracy": {
            "validation": _by_kind(potential, [example.atoms for example in dataset.valid]),
            "kept out": _by_kind(potential, dataset.test),
        },
    }


def _by_kind(potential: Potential, frames: list[Atoms]) -> dict[str, dict[str, float]]:
    found = accuracy_by(potential, frames, lambda frame: str(frame.info["kind"])) if frames else {}
    return {kind: _rounded(errors) for kind, errors in found.items()}


def _rounded(errors: Accuracy) -> dict[str, float]:
    return {key: round(value, 4) for key, value in dataclasses.asdict(errors).items()}
