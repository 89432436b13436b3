"""How far a potential is from labelled configurations: energies, forces, stresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.base import Evaluation, Potential
from discover.potentials.batches import evaluator

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True)
class Accuracy:
    """Errors over some configurations: mean absolute ones, and forces' root mean square.

    Forces by component, stress by component of six. `forces_rms_ev_per_angstrom` is that of the
    labels, to which an error is to be compared.
    """

    configurations: int
    energy_mae_ev_per_atom: float
    forces_mae_ev_per_angstrom: float
    forces_rmse_ev_per_angstrom: float
    forces_rms_ev_per_angstrom: float
    stress_mae_gpa: float


def accuracy(potential: Potential, frames: Sequence[Atoms]) -> Accuracy:
    """Errors on frames whose calculators hold energy (eV), forces (eV/Å) and stress (eV/Å³).

    PotentialError where there is no frame, or the potential has no finite answer on one of them.
    """
    return _accuracy(frames, _answers(potential, frames))


def accuracy_by(
    potential: Potential, frames: Sequence[Atoms], kind: Callable[[Atoms], str]
) -> dict[str, Accuracy]:
    """The same for each kind of frame, sorted by kind; all answers in one go."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        groups[kind(frame)].append(index)
    answers = _answers(potential, frames)
    return {
        name: _accuracy([frames[i] for i in members], [answers[i] for i in members])
        for name, members in sorted(groups.items())
    }


def _answers(potential: Potential, frames: Sequence[Atoms]) -> list[Evaluation]:
    if not frames:
        raise PotentialError("no labelled configuration to compare with")
    answers = []
    for frame, answer in zip(frames, evaluator(potential)(frames), strict=True):
        if isinstance(answer, str):
            raise PotentialError(f"{potential.name} on {frame.symbols}: {answer}")
        if not np.isfinite(answer.energy_ev):
            raise PotentialError(f"{potential.name} on {frame.symbols}: the energy is not finite")
        answers.append(answer)
    return answers


def _accuracy(frames: Sequence[Atoms], answers: Sequence[Evaluation]) -> Accuracy:
    from ase.units import GPa

    pairs = list(zip(frames, answers, strict=True))
    labels = np.concatenate([frame.get_forces() for frame in frames])
    forces = np.concatenate([answer.forces_ev_per_angstrom for answer in answers]) - labels
    return Accuracy(
        configurations=len(frames),
        energy_mae_ev_per_atom=float(
            np.mean([abs(a.energy_ev - f.get_potential_energy()) / len(f) for f, a in pairs])
        ),
        forces_mae_ev_per_angstrom=float(np.abs(forces).mean()),
        forces_rmse_ev_per_angstrom=float(np.sqrt((forces**2).mean())),
        forces_rms_ev_per_angstrom=float(np.sqrt((labels**2).mean())),
        stress_mae_gpa=float(
            np.mean([np.abs(a.stress_ev_per_angstrom3 - f.get_stress()) for f, a in pairs]) / GPa
        ),
    )
