"""A committee of potentials: where they disagree about forces, none of them is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.base import Evaluation, Potential
from discover.potentials.batches import evaluator

if TYPE_CHECKING:
    from ase import Atoms


class Committee:
    """Potentials fine-tuned on the same labels with different seeds."""

    def __init__(self, members: Sequence[Potential]) -> None:
        """PotentialError where there are fewer than two."""
        if len(members) < 2:
            raise PotentialError(f"a committee needs two members, this one has {len(members)}")
        self._members = tuple(members)

    def force_uncertainty(self, structures: Sequence[Atoms]) -> list[float]:
        """Of each structure the largest over its atoms of sqrt(⟨|F_i - ⟨F_i⟩|²⟩), in eV/Å.

        The averages are over the members: the model deviation of Zhang et al., Phys. Rev. Mater. 3,
        023804 (2019). Infinite where a member has no finite answer. Forces that vanish by symmetry
        agree whatever the members know: displace the atoms of a crystal first.
        """
        answers = [evaluator(member)(structures) for member in self._members]
        return [_deviation(of_one) for of_one in zip(*answers, strict=True)]


def _deviation(answers: Sequence[Evaluation | str]) -> float:
    sound = [answer for answer in answers if not isinstance(answer, str)]
    forces = np.array([answer.forces_ev_per_angstrom for answer in sound])
    if len(sound) < len(answers) or not np.isfinite(forces).all():
        return float("inf")
    spread = np.square(forces - forces.mean(axis=0)).sum(axis=-1).mean(axis=0)
    return float(np.sqrt(spread.max()))
