"""Conductivity: what its parts and modes add up to."""

import numpy as np
import pytest

from discover.calculations.lattice.conductivity import conductivity, irreducible_points

from .conftest import MESH, TEMPERATURES_K


@pytest.fixture(scope="module")
def direct(copper_phonons):
    return conductivity(copper_phonons, MESH, TEMPERATURES_K, solution="lbte")


def test_a_cubic_crystal_conducts_evenly(copper_conductivity):
    for tensor in copper_conductivity.kappa_total:
        np.testing.assert_allclose(tensor, np.eye(3) * tensor[0, 0], atol=1e-9 * tensor[0, 0])


@pytest.mark.parametrize("solution", ["rta", "lbte"])
def test_modes_add_up_to_the_whole(copper_conductivity, direct, solution):
    result = {"rta": copper_conductivity, "lbte": direct}[solution]
    points = result.weights.sum()
    assert points == np.prod(MESH)
    for index in range(len(TEMPERATURES_K)):
        for modes, tensors in [
            (result.mode_total, result.kappa_total),
            (result.mode_particle, result.kappa_particle),
            (result.mode_coherence, result.kappa_coherence),
        ]:
            assert modes[index].sum() / points == pytest.approx(np.trace(tensors[index]) / 3)
    np.testing.assert_allclose(result.kappa_total, result.kappa_particle + result.kappa_coherence)


def test_the_whole_is_that_of_phono3py(copper_phonons, copper_conductivity):
    copper_phonons.mesh_numbers = MESH
    copper_phonons.init_phph_interaction(
        average_degenerate_weights=True, exclude_gamma_acoustic=True
    )
    copper_phonons.run_thermal_conductivity(
        temperatures=TEMPERATURES_K, is_isotope=True, transport_type="SMM19", log_level=0
    )
    expected = copper_phonons.thermal_conductivity.kappa[0, :, 0]
    np.testing.assert_allclose(copper_conductivity.kappa_total[:, 0, 0], expected)


def test_shapes(copper_phonons, copper_conductivity):
    points, bands, temperatures = irreducible_points(copper_phonons, MESH), 3, 2
    assert copper_conductivity.mode_total.shape == (temperatures, points, bands)
    assert copper_conductivity.frequencies_thz.shape == (points, bands)
    assert copper_conductivity.linewidths_thz.shape == (temperatures, points, bands)
    assert copper_conductivity.group_velocities.shape == (points, bands, 3)
    assert copper_conductivity.qpoints.shape == (points, 3)
    assert copper_conductivity.weights.shape == (points,)
    assert copper_conductivity.mesh == MESH


def test_it_falls_as_one_over_temperature_at_high_temperature(copper_phonons):
    hot = conductivity(copper_phonons, MESH, (1000.0, 2000.0), isotopes=False)
    ratio = hot.kappa_particle[0, 0, 0] / hot.kappa_particle[1, 0, 0]
    assert ratio == pytest.approx(2.0, rel=0.02)


def test_rounding_changes_nothing(copper_phonons, copper_conductivity):
    """Eigenvectors of degenerate modes are arbitrary, and noise far below any force chooses them."""
    noise = np.random.default_rng(0)
    exact = copper_phonons.fc2, copper_phonons.fc3
    copper_phonons.fc2 = exact[0] + 1e-12 * noise.normal(size=exact[0].shape)
    copper_phonons.fc3 = exact[1] + 1e-12 * noise.normal(size=exact[1].shape)
    noisy = conductivity(copper_phonons, MESH, TEMPERATURES_K)
    copper_phonons.fc2, copper_phonons.fc3 = exact
    assert noisy.average() == pytest.approx(copper_conductivity.average(), rel=5e-3)


def test_isotopes_scatter(copper_phonons, copper_conductivity):
    pure = conductivity(copper_phonons, MESH, TEMPERATURES_K, isotopes=False)
    assert pure.average() > 1.001 * copper_conductivity.average()


def test_the_direct_solution_conducts_more(copper_conductivity, direct):
    """The relaxation-time approximation counts normal processes as resistive."""
    assert direct.average() > copper_conductivity.average()


def test_mean_free_paths_give_the_particle_part(copper_conductivity):
    """κ = Σ C v λ / 3V with the classical heat capacity, which copper is near at 600 K."""
    from ase.units import _k

    result = copper_conductivity
    speed = np.linalg.norm(result.group_velocities, axis=2)
    paths = result.mean_free_paths_angstrom(1)
    volume = 3.5898**3 / 4
    sampled = (result.weights[:, None] * speed * paths).sum() / result.weights.sum()
    classical = _k * sampled * 1e12 / volume / 3 * 1e10
    assert classical == pytest.approx(np.trace(result.kappa_particle[1]) / 3, rel=0.05)
