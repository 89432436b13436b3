"""Spectra: integrals that must come out, and Grüneisen parameters against volumes."""

import numpy as np
import pytest
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.lattice.spectra import (
    Curve,
    PhononSpectra,
    band_structure,
    density_of_states,
    gruneisen_parameters,
    transport,
)
from discover.calculations.lattice.stability import harmonic

from .conftest import MESH, copper, fitted


@pytest.fixture(scope="module")
def spectra(copper_phonons, copper_conductivity):
    return PhononSpectra(
        formula="Cu",
        bands=band_structure(copper_phonons),
        density_of_states=density_of_states(copper_phonons, MESH),
        gruneisen=gruneisen_parameters(copper_phonons, (5, 5, 5)),
        transport=tuple(transport(copper_conductivity, i) for i in range(2)),
    )


def test_the_record_survives_json(spectra):
    assert PhononSpectra.model_validate_json(spectra.model_dump_json()) == spectra


def test_the_path_is_that_of_the_lattice_and_frequencies_join(spectra):
    names = [(segment.start, segment.end) for segment in spectra.bands]
    assert names[:3] == [("G", "X"), ("X", "W"), ("W", "K")]  # fcc: Setyawan and Curtarolo (2010)
    first, second = spectra.bands[:2]
    assert np.abs([band[0] for band in first.frequencies_thz]).max() < 1e-2
    assert sorted(band[-1] for band in first.frequencies_thz) == pytest.approx(
        sorted(band[0] for band in second.frequencies_thz), abs=1e-4
    )
    assert first.distances[-1] == second.distances[0] == pytest.approx(1 / 3.5898, rel=1e-4)
    assert all(len(band) == len(first.distances) for band in first.frequencies_thz)


def test_states_add_up(spectra):
    curve = spectra.density_of_states
    assert np.trapezoid(curve.y, curve.x) == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("index", [0, 1])
def test_the_spectral_conductivity_adds_up(spectra, copper_conductivity, index):
    one = spectra.transport[index]
    assert one.kappa_w_mk == pytest.approx(copper_conductivity.average(index))
    assert np.trapezoid(one.spectral.y, one.spectral.x) == pytest.approx(one.kappa_w_mk, rel=1e-4)
    assert one.cumulative.y[0] == pytest.approx(0.0, abs=1e-6)
    assert one.cumulative.y[-1] == pytest.approx(one.kappa_w_mk, rel=1e-5)
    particle = np.trace(copper_conductivity.kappa_particle[index]) / 3
    assert one.cumulative_by_mean_free_path.y[-1] == pytest.approx(particle, rel=1e-5)
    assert (np.diff(one.cumulative_by_mean_free_path.y) >= -1e-6).all()


def test_gruneisen_parameters_are_what_frequencies_do_with_volume(copper_phonons, spectra):
    """Σ ω² γ from third-order constants, against that of crystals 1 % larger and smaller."""
    strain = 0.005
    moments = []
    for scale in (1 - strain, 1 + strain):
        ph3, _ = fitted(copper(3.5898 * scale), method="symfc")
        phonons = harmonic(ph3)
        phonons.run_mesh([5, 5, 5], is_gamma_center=True)
        moments.append(
            np.average((phonons.mesh.frequencies**2).sum(axis=1), weights=phonons.mesh.weights)
        )
    expected = -np.log(moments[1] / moments[0]) / (6 * np.log((1 + strain) / (1 - strain)))
    modes = spectra.gruneisen
    weights = np.asarray(modes.weights) * np.asarray(modes.frequencies_thz) ** 2
    assert np.average(modes.values, weights=weights) == pytest.approx(expected, rel=0.05)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(x=st.lists(numbers), y=st.lists(numbers))
def test_curves_survive_json(x, y):
    curve = Curve(x=tuple(x), y=tuple(y))
    assert Curve.model_validate_json(curve.model_dump_json()) == curve


def test_an_unstable_crystal_shows_its_imaginary_modes(unstable_phonons):
    lowest = min(min(band) for s in band_structure(unstable_phonons) for band in s.frequencies_thz)
    assert lowest < -1.0
    assert min(density_of_states(unstable_phonons, (4, 4, 4)).x) < -1.0


def test_emt_is_what_the_minimum_was_taken_from():
    """The lattice constant that the other tests rely on."""
    atoms = copper()
    atoms.calc = EMT()
    assert np.abs(atoms.get_stress()).max() < 1e-4
