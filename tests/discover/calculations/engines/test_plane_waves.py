"""The basis-set correction, and the k-point mesh."""

import math

import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.engines.plane_waves import BasisError, KPointMesh, k_point_mesh

STEP = 0.06


@given(
    below=st.floats(1e-6, 1.0),
    above=st.floats(1e-6, 1.0),
)
def test_basis_error_passes_through_the_three_energies(below, above):
    error = BasisError(500.0, below, above, step=STEP)
    assert error.energy(500.0) == pytest.approx(0, abs=1e-12)
    assert error.energy(500.0 * math.exp(-STEP)) == pytest.approx(below, rel=1e-6)
    assert error.energy(500.0 * math.exp(STEP)) == pytest.approx(-above, rel=1e-6)


@given(
    below=st.floats(-1e-4, 1.0),
    above=st.floats(-1e-4, 1.0),
    cutoff=st.floats(460.0, 540.0),
)
def test_derivative_of_the_basis_error(below, above, cutoff):
    error = BasisError(500.0, below, above, step=STEP)
    h = 1e-3
    numerical = (error.energy(cutoff + h) - error.energy(cutoff - h)) / (2 * h)
    assert error.derivative(cutoff) == pytest.approx(numerical, rel=1e-4, abs=1e-9)


def test_basis_error_of_a_power_law_is_exact():
    def energy(cutoff: float) -> float:
        return 3.0 * (cutoff / 500.0) ** -9.2

    lower, upper = 500 * math.exp(-STEP), 500 * math.exp(STEP)
    error = BasisError(500.0, energy(lower) - energy(500), energy(500) - energy(upper), step=STEP)
    assert error.energy(520.0) == pytest.approx(energy(520) - energy(500), rel=1e-9)


def test_mesh_is_even_off_gamma_but_around_gamma_for_hexagonal_cells():
    assert k_point_mesh(bulk("NaCl", "rocksalt", a=5.69), 1.5) == KPointMesh((4, 4, 4), False)
    hexagonal = k_point_mesh(bulk("ZnO", "wurtzite", a=3.25, c=5.2), 1.5)
    assert hexagonal.around_gamma
    assert hexagonal.size[0] == hexagonal.size[1] > hexagonal.size[2]
