"""Errors of the embedded-atom potential against labels that are off by known amounts."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa

from discover.errors import PotentialError
from discover.potentials import load_potential
from discover.potentials.accuracy import accuracy, accuracy_by


def labelled(symbol, energy_off=0.0, forces_off=0.0, stress_off=0.0, kind="a"):
    atoms = bulk(symbol, cubic=True)
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc = SinglePointCalculator(
        atoms, energy=energy + energy_off, forces=forces + forces_off, stress=stress + stress_off
    )
    atoms.info["kind"] = kind
    return atoms


def test_exact_labels_have_no_error():
    found = accuracy(load_potential("emt"), [labelled("Cu"), labelled("Au")])
    assert found.configurations == 2
    assert found.energy_mae_ev_per_atom == pytest.approx(0, abs=1e-9)
    assert found.forces_rmse_ev_per_angstrom == pytest.approx(0, abs=1e-9)
    assert found.forces_rms_ev_per_angstrom > 0.01


def test_units():
    frames = [labelled("Cu", energy_off=0.4, forces_off=0.2, stress_off=3 * GPa), labelled("Cu")]
    found = accuracy(load_potential("emt"), frames)
    assert found.energy_mae_ev_per_atom == pytest.approx(0.4 / 4 / 2)
    assert found.forces_mae_ev_per_angstrom == pytest.approx(0.1)
    assert found.forces_rmse_ev_per_angstrom == pytest.approx(0.2 / np.sqrt(2))
    assert found.stress_mae_gpa == pytest.approx(1.5)


def test_kinds_are_apart():
    frames = [labelled("Cu", energy_off=0.4, kind="b"), labelled("Au"), labelled("Ag")]
    found = accuracy_by(load_potential("emt"), frames, lambda atoms: atoms.info["kind"])
    assert list(found) == ["a", "b"]
    assert found["a"].energy_mae_ev_per_atom == pytest.approx(0, abs=1e-9)
    assert found["b"].energy_mae_ev_per_atom == pytest.approx(0.1)


def test_nothing_to_compare_with_is_refused():
    with pytest.raises(PotentialError, match="no labelled configuration"):
        accuracy(load_potential("emt"), [])


def test_a_crystal_that_it_does_not_know_is_named():
    salt = bulk("NaCl", "rocksalt", a=5.6)
    salt.calc = SinglePointCalculator(salt, energy=0.0, forces=np.zeros((2, 3)), stress=np.zeros(6))
    with pytest.raises(PotentialError, match="NaCl"):
        accuracy(load_potential("emt"), [salt])
