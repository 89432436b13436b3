"""Zeros of energy are found from labels and the potential's energies alone."""

from dataclasses import replace

import numpy as np
import pytest

from discover.potentials.learning.offsets import fit_offsets, shifted

ZEROS = {"Cu": -3.0, "Ag": 1.5}
PAIRS = [("Cu", "Cu"), ("Ag", "Ag"), ("Ag", "Cu")]


def test_offsets_are_found_for_each_level(labelled):
    own = [labelled(a, b, seed) for a, b in PAIRS for seed in range(3)]
    energies = [label.atoms.get_potential_energy() for label in own]
    labels = [labelled(a, b, seed, zeros=ZEROS) for a, b in PAIRS for seed in range(3)]
    other = [
        labelled(a, b, s, level="finer", zeros={"Cu": 7.0}) for a, b in PAIRS for s in range(3)
    ]
    offsets = fit_offsets([*labels, *other], [*energies, *energies])
    assert offsets.determined
    assert offsets.ev_per_atom["dft"] == pytest.approx(ZEROS)
    assert offsets.ev_per_atom["finer"] == pytest.approx({"Cu": 7.0, "Ag": 0.0}, abs=1e-9)
    found = [shifted(label, offsets).atoms.get_potential_energy() for label in [*labels, *other]]
    assert found == pytest.approx([*energies, *energies])


def test_one_compound_tells_of_the_sum_only(labelled):
    labels = [labelled("Ag", "Cu", seed, zeros=ZEROS) for seed in range(4)]
    own = [labelled("Ag", "Cu", seed).atoms.get_potential_energy() for seed in range(4)]
    offsets = fit_offsets(labels, own)
    assert not offsets.determined
    assert sum(offsets.ev_per_atom["dft"].values()) == pytest.approx(-1.5)
    assert offsets.of(labels[0]) == pytest.approx(-3.0)


def test_shifting_leaves_forces_and_stress(labelled):
    label = labelled("Ag", "Cu", 0, zeros=ZEROS)
    moved = shifted(label, fit_offsets([label], [0.0]))
    assert moved.atoms.get_potential_energy() == pytest.approx(0.0, abs=1e-9)
    assert np.array_equal(moved.atoms.get_forces(), label.atoms.get_forces())
    assert np.array_equal(moved.atoms.get_stress(), label.atoms.get_stress())
    assert replace(moved, atoms=label.atoms) == label
