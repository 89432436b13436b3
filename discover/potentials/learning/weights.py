"""How much each label counts: small forces as much as large ones, each relative to its kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from discover.potentials.learning.labels import Label
from discover.potentials.mace_training import Example

SMALLEST_SCALE_EV_PER_ANGSTROM = 0.1
"""Forces are not asked to be better, relative to others, than if these were their size."""

STRESS_SCALE_EV_PER_ANGSTROM3 = 0.05
"""Beyond it (8 GPa), stresses and energies of a kind count by their relative error."""


def forces_weights(labels: Sequence[Label]) -> dict[str, float]:
    """Weight of squared force errors by kind: 1/(F² + 0.1²) with F, in eV/Å, the kind's root mean square.

    Relaxations (tenths of eV/Å) and finite displacements (hundredths) are so learned alike; it is 1
    for forces of 1 eV/Å and at most 100.
    """
    sizes: dict[str, list[float]] = defaultdict(list)
    for label in labels:
        sizes[label.kind] += np.square(label.atoms.get_forces()).ravel().tolist()
    return {
        kind: round(float(1 / (np.mean(squares) + SMALLEST_SCALE_EV_PER_ANGSTROM**2)), 2)
        for kind, squares in sorted(sizes.items())
    }


def examples(labels: Sequence[Label], forces: dict[str, float]) -> list[Example]:
    """Examples to train on; where a cell is under large stress, its energy and stress count less."""
    return [_example(label, forces[label.kind]) for label in labels]


def _example(label: Label, forces_weight: float) -> Example:
    results = label.atoms.calc.results
    stress = float(np.sqrt(np.mean(np.square(results["stress"])))) if "stress" in results else 0.0
    weight = 1 / (1 + (stress / STRESS_SCALE_EV_PER_ANGSTROM3) ** 2)
    return Example(label.atoms, weight, forces_weight, weight)
