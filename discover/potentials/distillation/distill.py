"""The whole way from nothing to a distilled potential, its weights and its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.errors import PotentialError
from discover.potentials import unknown_elements
from discover.potentials.base import Potential
from discover.potentials.catalogue import catalogue
from discover.potentials.distillation.card import card
from discover.potentials.distillation.dataset import elemental_energies, split
from discover.potentials.distillation.families import Family, families
from discover.potentials.distillation.labels import label, read_labels
from discover.potentials.mace import MACEPotential
from discover.potentials.mace_training import (
    Architecture,
    Epoch,
    NewModel,
    TrainingSettings,
    train_mace,
)
from discover.potentials.mace_weights import save_weights, write_card

if TYPE_CHECKING:
    import torch

SEED = 4
"""Of the bundled potential: crystals, configurations, what is kept out, weights."""

ARCHITECTURE = Architecture(channels=48, max_l=1, max_ell=2, correlation=2, r_max_angstrom=5.0)
TRAINING = (
    TrainingSettings(epochs=20, forces_weight=3.0),
    TrainingSettings(
        epochs=14,
        learning_rate=4e-3,
        final_learning_rate=5e-5,
        energy_weight=3.0,
        forces_weight=30.0,
        stress_weight=1500.0,
    ),
)
"""Stages, one after the other: energies first, then forces and stresses, which take longer to learn."""


@dataclass(frozen=True)
class Distilled:
    """Where the weights are, and what their card says."""

    weights: Path
    card: dict[str, Any]


def distill(
    teacher: Potential,
    directory: Path,
    *,
    resume: bool = False,
    crystals: Sequence[Family] | None = None,
    architecture: Architecture = ARCHITECTURE,
    training: Sequence[TrainingSettings] = TRAINING,
    told: Callable[[str], None] = lambda _: None,
) -> Distilled:
    """Label configurations with the teacher, train a MACE on them, and write its weights and card.

    Everything is kept in `directory`: with `resume` a run that was killed goes on where it was.
    `crystals` are all families of `SEED` where not given. `told` hears of progress. PotentialError
    where the directory is not empty and `resume` is not set, or the teacher lacks an element.
    """
    if directory.exists() and any(directory.iterdir()) and not resume:
        raise PotentialError(
            f"{directory} is not empty: resume what was begun there, or give another directory"
        )
    chosen = families(SEED) if crystals is None else crystals
    _check_elements(teacher, chosen)
    directory.mkdir(parents=True, exist_ok=True)
    labels = directory / "labels.extxyz"
    told(f"labels of {len(chosen)} crystals by {teacher.name}")
    label(
        chosen,
        teacher.calculator(),
        labels,
        SEED,
        lambda done, total: told(f"labelled {done} of {total} crystals"),
    )
    frames = read_labels(labels)
    dataset = split(frames, SEED)
    told(f"training on {len(dataset.train)} configurations, {len(dataset.test)} are kept out")
    start: NewModel | torch.nn.Module = NewModel(architecture, elemental_energies(frames))
    for number, settings in enumerate(training, start=1):
        trained = train_mace(
            dataset.train,
            dataset.valid,
            directory / f"training-{number}",
            settings,
            start,
            partial(_tell, told, f"stage {number} of {len(training)}"),
        )
        start = model = trained.load()
    weights = directory / "distilled.safetensors"
    save_weights(model, weights)
    content = card(
        MACEPotential(str(weights)),
        dataset,
        teacher=teacher.name,
        teacher_licence={entry.name: entry.licence for entry in catalogue()}.get(teacher.name),
        seed=SEED,
        architecture=architecture,
        training=training,
        trained=trained,
    )
    write_card(weights, content)
    told(f"the model is {weights}, its card is beside it")
    return Distilled(weights, content)


def _tell(told: Callable[[str], None], stage: str, epoch: Epoch) -> None:
    told(
        f"{stage}, epoch {epoch.number} of {epoch.of}:"
        f" {1e3 * epoch.energy_rmse_ev_per_atom:.0f} meV/atom,"
        f" {1e3 * epoch.forces_rmse_ev_per_angstrom:.0f} meV/Å"
    )


def _check_elements(teacher: Potential, crystals: Sequence[Family]) -> None:
    from ase.data import chemical_symbols

    symbols = {chemical_symbols[z] for family in crystals for z in family.crystal.numbers}
    if missing := unknown_elements(teacher, symbols):
        raise PotentialError(f"the teacher {teacher.name} does not know {', '.join(missing)}")
