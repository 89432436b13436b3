"""Kinds of frames with small and large forces count alike."""

import numpy as np
import pytest

from discover.potentials.learning.weights import examples, forces_weights


def of_size(label, size):
    forces = label.atoms.calc.results["forces"]
    label.atoms.calc.results["forces"] = forces * size / np.sqrt(np.mean(forces**2))
    return label


def test_weights_go_with_the_inverse_square_of_the_forces_of_a_kind(labelled):
    labels = [
        *(of_size(labelled("Cu", "Cu", s, kind="relaxation"), 1.0) for s in range(3)),
        *(of_size(labelled("Cu", "Cu", s, kind="phonon_displaced"), 0.3) for s in range(3)),
        *(of_size(labelled("Cu", "Cu", s, kind="fc2"), 0.003) for s in range(3)),
    ]
    weights = forces_weights(labels)
    assert weights["relaxation"] == pytest.approx(1 / 1.01, abs=0.01)
    assert weights["phonon_displaced"] == pytest.approx(10.0)
    assert weights["fc2"] == pytest.approx(100, abs=0.2)  # not 111,000: there is a cap


def test_cells_under_large_stress_count_less(labelled):
    relaxed, pressed = labelled("Cu", "Cu", 0), labelled("Cu", "Cu", 1)
    relaxed.atoms.calc.results["stress"] = np.zeros(6)
    pressed.atoms.calc.results["stress"] = np.full(6, 0.1)
    made = examples([relaxed, pressed], {"rattled": 4.0})
    assert [one.energy_weight for one in made] == pytest.approx([1.0, 0.2])
    assert [one.stress_weight for one in made] == pytest.approx([1.0, 0.2])
    assert [one.forces_weight for one in made] == [4.0, 4.0]
