"""Force constants: symmetry, sum rules, the two ways to get them, and the polar correction."""

import importlib.util

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.units import _amu, _e, _eps0

from discover.calculations.lattice.conductivity import conductivity
from discover.calculations.lattice.force_constants import (
    NonAnalyticalCorrection,
    check_memory,
    check_method,
    displace,
    fit_force_constants,
    force_sets,
    phonon_calculation,
    recommended_snapshots,
)
from discover.calculations.lattice.stability import harmonic, minimum_frequency
from discover.errors import CalculationError, MissingDependencyError

from .conftest import MESH, copper, fitted, nickel_aluminium

UNIT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def test_translations_cost_nothing(copper_phonons):
    """Acoustic sum rules of both orders, in units of the largest constants."""
    fc2, fc3 = copper_phonons.fc2, copper_phonons.fc3
    assert np.abs(fc2.sum(axis=1)).max() < 1e-8 * np.abs(fc2).max()
    assert np.abs(fc3.sum(axis=2)).max() < 1e-8 * np.abs(fc3).max()


def test_second_order_constants_are_the_derivative_of_the_forces(copper_phonons):
    """Against central differences of the forces for one atom displaced along x."""
    supercell = copper_phonons.supercell
    from ase import Atoms

    atoms = Atoms(supercell.symbols, cell=supercell.cell, positions=supercell.positions, pbc=True)
    atoms.calc = EMT()
    forces = []
    for step in (-0.01, 0.01):
        moved = atoms.copy()
        moved.calc = atoms.calc
        moved.positions[0, 0] += step
        forces.append(moved.get_forces())
    expected = -(forces[1] - forces[0]) / 0.02
    measured = copper_phonons.fc2[0, :, 0, :]
    assert np.abs(measured - expected).max() < 0.03 * np.abs(expected).max()


def test_symfc_agrees_with_full_finite_displacements_at_fewer_force_calls(copper_phonons):
    full, displaced = fitted(copper(), method="finite-displacements")
    exact = conductivity(full, MESH, (300.0,)).average()
    random = conductivity(copper_phonons, MESH, (300.0,)).average()
    assert random == pytest.approx(exact, rel=0.1)
    assert displaced >= 6 * recommended_snapshots(copper_phonons)


def test_a_second_order_supercell_of_its_own(copper_phonons):
    ph3 = phonon_calculation(copper(), np.diag([3] * 3), np.diag([4] * 3))
    displace(ph3, "symfc", distance_angstrom=0.03, snapshots=None, seed=0)
    forces = force_sets(ph3, EMT())
    assert forces.second.shape == (1, 64, 3)
    fit_force_constants(ph3, forces)
    assert ph3.fc2.shape[1] == 64
    assert minimum_frequency(ph3, MESH) == pytest.approx(
        minimum_frequency(copper_phonons, MESH), rel=0.1
    )


def test_half_of_the_snapshots_give_other_constants(copper_phonons):
    ph3 = phonon_calculation(copper(), np.diag([3] * 3))
    displace(ph3, "symfc", distance_angstrom=0.03, snapshots=None, seed=0)
    forces = force_sets(ph3, EMT())
    fit_force_constants(ph3, forces, snapshots=2)
    half = ph3.fc3.copy()
    fit_force_constants(ph3, forces)
    np.testing.assert_allclose(ph3.fc3, copper_phonons.fc3, atol=1e-9)
    assert np.abs(half - ph3.fc3).max() > 1e-3 * np.abs(ph3.fc3).max()


def test_a_supercell_too_small_to_be_fitted_is_refused():
    with pytest.raises(
        CalculationError, match=r"supercell of 8 atoms .* choose a larger supercell"
    ):
        fitted(copper(), (2, 2, 2))


def test_charges_split_longitudinal_from_transverse_modes():
    """ω_LO² - ω_TO² = Z²e²/(ε₀ ε∞ V μ) in a cubic crystal of two atoms (Born and Huang)."""
    charge, dielectric = 1.2, 3.0
    cell = nickel_aluminium()
    correction = NonAnalyticalCorrection(
        born=(tuple(map(tuple, charge * np.eye(3))), tuple(map(tuple, -charge * np.eye(3)))),
        dielectric=tuple(map(tuple, dielectric * np.eye(3))),
    )
    ph3 = phonon_calculation(cell, np.diag([2] * 3), correction=correction)
    displace(ph3, "symfc", distance_angstrom=0.03, snapshots=None, seed=0)
    fit_force_constants(ph3, force_sets(ph3, EMT()))
    phonons = harmonic(ph3)
    phonons.run_qpoints([[0, 0, 0]], nac_q_direction=[1, 0, 0])
    optical = np.sort(phonons.qpoints.frequencies[0])[-3:] * 1e12
    split = (2 * np.pi) ** 2 * (optical[2] ** 2 - optical[1] ** 2)
    reduced = _amu / np.sum(1 / cell.get_masses())
    expected = (charge * _e) ** 2 / (_eps0 * dielectric * cell.get_volume() * 1e-30 * reduced)
    assert split == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("born", "complaint"),
    [((UNIT,), "'born' has 1 tensors, and the primitive cell has 2"), ((UNIT, UNIT), "2.00 e")],
)
def test_charges_that_do_not_fit_are_refused(born, complaint):
    correction = NonAnalyticalCorrection(born=born, dielectric=UNIT)
    with pytest.raises(CalculationError, match=complaint):
        phonon_calculation(nickel_aluminium(), np.eye(3), correction=correction)


@pytest.mark.parametrize("method", ["symfc", "finite-displacements"])
def test_a_supercell_beyond_all_memory_is_refused(method):
    with pytest.raises(CalculationError, match=r"2744 atoms needs about .* GiB"):
        check_memory(2744, method)


def test_a_missing_package_is_said_with_the_way_to_install_it():
    if importlib.util.find_spec("pypolymlp"):
        pytest.skip("pypolymlp is installed")
    with pytest.raises(MissingDependencyError, match="libeigen3-dev, then pip install pypolymlp"):
        check_method("pypolymlp")


@pytest.mark.slow
def test_a_polynomial_potential_agrees_with_full_finite_displacements():
    pytest.importorskip("pypolymlp", reason="pypolymlp is not installed")
    full, _ = fitted(copper(), method="finite-displacements")
    learnt, _ = fitted(copper(), method="pypolymlp")
    exact = conductivity(full, MESH, (300.0,)).average()
    assert conductivity(learnt, MESH, (300.0,)).average() == pytest.approx(exact, rel=0.15)
