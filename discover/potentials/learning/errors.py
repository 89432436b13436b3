"""How far a potential is from labels, for each kind of frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.base import Evaluation, Potential
from discover.potentials.batches import evaluator
from discover.potentials.learning.labels import Label
from discover.records import Record

if TYPE_CHECKING:
    from ase import Atoms


class Errors(Record):
    """Errors over some frames: root mean squares over atoms' force and stress components.

    `forces_rms_ev_per_angstrom` is that of the labels, to which an error is to be compared. Energies
    are compared up to a constant for each formula and level of theory, the mean absolute deviation is
    taken: an engine's zero of energy is not the potential's. None where no frame tells.
    """

    frames: int
    energy_mae_ev_per_atom: float | None
    forces_rmse_ev_per_angstrom: float
    forces_rms_ev_per_angstrom: float
    stress_rmse_gpa: float | None


def evaluated(potential: Potential, frames: Sequence[Atoms]) -> list[Evaluation]:
    """The potential's answer on each frame; PotentialError where one has no finite energy."""
    answers = []
    for frame, answer in zip(frames, evaluator(potential)(frames), strict=True):
        if isinstance(answer, str):
            raise PotentialError(f"{potential.name} on {frame.symbols}: {answer}")
        if not np.isfinite(answer.energy_ev):
            raise PotentialError(f"{potential.name} on {frame.symbols}: the energy is not finite")
        answers.append(answer)
    return answers


def errors_by_kind(
    potential: Potential, labels: Sequence[Label], *, absolute: bool = False
) -> dict[str, Errors]:
    """Errors for each kind of label, sorted; with `absolute` energies are compared as they are."""
    answers = evaluated(potential, [label.atoms for label in labels])
    gaps = np.array(
        [
            (answer.energy_ev - label.atoms.get_potential_energy()) / len(label.atoms)
            for label, answer in zip(labels, answers, strict=True)
        ]
    )
    compared = np.ones(len(labels), dtype=bool)
    if not absolute:
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, label in enumerate(labels):
            groups[label.formula, label.level].append(index)
        for members in groups.values():
            gaps[members] -= np.mean(gaps[members])
            compared[members] = len(members) > 1
    kinds: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        kinds[label.kind].append(index)
    return {
        kind: _errors(
            [labels[i].atoms for i in members],
            [answers[i] for i in members],
            gaps[[i for i in members if compared[i]]],
        )
        for kind, members in sorted(kinds.items())
    }


def _errors(frames: Sequence[Atoms], answers: Sequence[Evaluation], gaps: np.ndarray) -> Errors:
    from ase.units import GPa

    forces = np.concatenate([frame.get_forces() for frame in frames])
    predicted = np.concatenate([answer.forces_ev_per_angstrom for answer in answers])
    stresses = [
        answer.stress_ev_per_angstrom3 - frame.get_stress()
        for frame, answer in zip(frames, answers, strict=True)
        if "stress" in frame.calc.results
    ]
    return Errors(
        frames=len(frames),
        energy_mae_ev_per_atom=float(np.abs(gaps).mean()) if len(gaps) else None,
        forces_rmse_ev_per_angstrom=_rms(predicted - forces),
        forces_rms_ev_per_angstrom=_rms(forces),
        stress_rmse_gpa=_rms(np.array(stresses)) / float(GPa) if stresses else None,
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
