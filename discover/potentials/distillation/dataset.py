"""Labelled configurations made into training, validation and test examples, each with its weight."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.distillation.families import is_held_out
from discover.potentials.mace_training import Example
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula

if TYPE_CHECKING:
    from ase import Atoms

VALIDATION_SHARE = 0.05
MAX_FORCE_EV_PER_ANGSTROM = 6.0
MAX_STRESS_EV_PER_ANGSTROM3 = 0.2
"""Configurations beyond these (32 GPa) are far from any crystal that is searched for: not learned."""

_FORCE_SCALE = 1.0
_STRESS_SCALE = 0.05
_DISPLACED_WEIGHT = 10.0
"""Forces of displaced supercells are some 0.1 eV/Å, and those of thermal conductivity must be right
to a tenth of that: their squared errors count ten times."""


@dataclass
class Dataset:
    """Training and validation examples; test frames of formulas that neither of them holds."""

    train: list[Example] = field(default_factory=list)
    valid: list[Example] = field(default_factory=list)
    test: list[Atoms] = field(default_factory=list)
    left_out: int = 0


def split(frames: Iterable[Atoms], seed: int) -> Dataset:
    """Held-out formulas to the test set, `VALIDATION_SHARE` of the other frames to validation."""
    dataset = Dataset()
    counts: Counter[str] = Counter()
    for frame in frames:
        family = str(frame.info["family"])
        counts[family] += 1
        if not _is_moderate(frame):
            dataset.left_out += 1
        elif is_held_out(formula(frame), seed):
            dataset.test.append(frame)
        elif _share(f"{seed}/{family}/{counts[family]}") < VALIDATION_SHARE:
            dataset.valid.append(example(frame))
        else:
            dataset.train.append(example(frame))
    return dataset


def example(frame: Atoms) -> Example:
    """The frame with forces and stress weighted so that large ones count by their relative error."""
    forces = float(np.sqrt(np.mean(frame.get_forces() ** 2)))
    stress = float(np.sqrt(np.mean(frame.get_stress() ** 2)))
    forces_weight = 1 / (1 + (forces / _FORCE_SCALE) ** 2)
    stress_weight = 1 / (1 + (stress / _STRESS_SCALE) ** 2)
    if frame.info["kind"] == "displaced":
        forces_weight *= _DISPLACED_WEIGHT
    return Example(frame, stress_weight, forces_weight, stress_weight)


def formula(frame: Atoms) -> str:
    """Reduced formula, as families have it."""
    return reduced_formula(Crystal.from_atoms(frame))


def elemental_energies(frames: Sequence[Atoms]) -> dict[int, float]:
    """Lowest energy of each elemental crystal in eV/atom, by atomic number.

    As atomic energies these leave the formation energy to be learned. PotentialError where an element
    of the frames has no frame of its own.
    """
    energies: dict[int, float] = {}
    for frame in frames:
        numbers = {int(z) for z in frame.numbers}
        if len(numbers) == 1:
            number = numbers.pop()
            energy = float(frame.get_potential_energy()) / len(frame)
            energies[number] = min(energy, energies.get(number, energy))
    missing = {int(z) for frame in frames for z in frame.numbers} - set(energies)
    if missing:
        raise PotentialError(f"no labels of the elements with atomic numbers {sorted(missing)}")
    return energies


def _is_moderate(frame: Atoms) -> bool:
    return bool(
        np.abs(frame.get_forces()).max() < MAX_FORCE_EV_PER_ANGSTROM
        and np.abs(frame.get_stress()).max() < MAX_STRESS_EV_PER_ANGSTROM3
    )


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
