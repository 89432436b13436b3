"""Stability: the lowest frequency of a crystal."""

import numpy as np
import pytest

from discover.calculations.lattice.stability import harmonic, minimum_frequency

from .conftest import MESH


def test_a_stable_crystal_has_its_softest_acoustic_mode_as_minimum(copper_phonons):
    phonons = harmonic(copper_phonons)
    phonons.run_mesh(MESH, is_gamma_center=True)
    frequencies = phonons.mesh.frequencies
    assert np.abs(frequencies[0]).max() < 1e-3  # Γ
    assert minimum_frequency(copper_phonons, MESH) == pytest.approx(frequencies[1:].min())


def test_an_unstable_crystal_has_a_negative_one(unstable_phonons):
    assert minimum_frequency(unstable_phonons, (4, 4, 4)) < -1.0


def test_points_that_the_mesh_misses_but_the_supercell_has_are_looked_at(unstable_phonons):
    """NiAl is stable at Γ alone, which is all that a mesh of one point sees."""
    phonons = harmonic(unstable_phonons)
    phonons.run_qpoints([[0, 0, 0]])
    assert phonons.qpoints.frequencies.min() > -1e-2
    assert minimum_frequency(unstable_phonons, (1, 1, 1)) < -1.0
