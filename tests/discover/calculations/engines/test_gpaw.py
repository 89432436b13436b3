"""The engine `gpaw`: what it knows, and what it says when something is missing or fails."""

import importlib.metadata
import math
import sys
import warnings

import pytest
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from discover.calculations.engines import CalculationWarning
from discover.calculations.engines.gpaw import CUTOFF_EV, GPAWEngine, cutoff_of
from discover.errors import CalculationError, MissingDependencyError


def test_gpaw_knows_the_elements_it_has_data_sets_for():
    pytest.importorskip("gpaw")
    engine = GPAWEngine()
    engine.check()
    assert {"H", "O", "K", "Ga", "Pb"} <= engine.elements()
    assert not {"U", "Po"} & engine.elements()
    assert set(engine.versions()) == {"gpaw", "gpaw-data"}


def test_gpaw_with_data_sets_from_elsewhere_has_versions(monkeypatch):
    """As with a Debian package or `gpaw install-data`: there is no Python package of that name."""
    pytest.importorskip("gpaw")
    found = importlib.metadata.version

    def version(name):
        if name == "gpaw-data":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert GPAWEngine().versions() == {"gpaw": found("gpaw"), "gpaw-data": "unknown"}


def test_gpaw_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpaw", None)  # Python's own way to make an import fail
    with pytest.raises(MissingDependencyError, match=r"libxc-dev .*discover-materials\[gpaw\]"):
        GPAWEngine().check()


def test_gpaw_without_data_sets_for_the_functional_says_so():
    pytest.importorskip("gpaw")
    with pytest.raises(MissingDependencyError, match="no PAW data sets for SCAN"):
        GPAWEngine(xc="SCAN").check()


def test_gpaw_warns_of_open_shells(tmp_path):
    pytest.importorskip("gpaw")
    with pytest.warns(CalculationWarning, match="may be wrong for Ni"):
        GPAWEngine().calculator(bulk("NiO", "rocksalt", a=4.18), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CalculationWarning)
        GPAWEngine().calculator(bulk("MgO", "rocksalt", a=4.25), tmp_path)


def test_gpaw_that_does_not_converge_is_a_failure_with_advice(tmp_path):
    pytest.importorskip("gpaw")
    atoms = bulk("LiH", "rocksalt", a=4.0)
    engine = GPAWEngine(
        cutoff_ev=300.0, k_density=0.5, energy_tolerance_ev=1e-300, max_iterations=10
    )
    atoms.calc = engine.calculator(atoms, tmp_path)
    with pytest.raises(CalculationError, match=r"30 iterations, .*raise smearing_ev"):
        atoms.get_potential_energy()
    assert "Did not converge" in (tmp_path / "gpaw.txt").read_text()


def test_gpaw_that_converges_with_cautious_mixing_only_says_so(tmp_path):
    pytest.importorskip("gpaw")
    energies = []
    for max_iterations in (6, 60):
        atoms = bulk("LiH", "rocksalt", a=4.0)
        engine = GPAWEngine(cutoff_ev=300.0, k_density=0.5, max_iterations=max_iterations)
        atoms.calc = engine.calculator(atoms, tmp_path)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            energies.append(atoms.get_potential_energy())
        told = [str(w.message) for w in caught if issubclass(w.category, CalculationWarning)]
        assert len(told) == (1 if max_iterations == 6 else 0)
        assert all("in 6 iterations; it did with mixing 0.02" in line for line in told)
    assert energies[0] == pytest.approx(energies[1], abs=1e-3)


@pytest.mark.slow
def test_gpaw_serves_a_symmetric_relaxation_and_displaced_atoms(tmp_path):
    """As phonons need it: the PBE lattice constant of Si is 5.47 Å, and forces are derivatives."""
    pytest.importorskip("gpaw")
    engine = GPAWEngine(cutoff_ev=220.0, k_density=0.7)
    atoms = bulk("Si", a=5.44)
    atoms.calc = engine.calculator(atoms, tmp_path)
    atoms.set_constraint(FixSymmetry(atoms))
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.05, steps=10)
    assert math.cbrt(4 * atoms.get_volume()) == pytest.approx(5.47, abs=0.04)

    (tmp_path / "displaced").mkdir()
    atoms.set_constraint()
    calculator = engine.calculator(atoms, tmp_path / "displaced")
    energies, forces = [], []
    for x in (0.03, 0.04, 0.05):
        moved = atoms.copy()
        moved.positions[0] += (x, 0.02, 0.0)
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
        forces.append(moved.get_forces()[0, 0])
    assert forces[1] == pytest.approx(-(energies[2] - energies[0]) / 0.02, rel=0.01)
    assert not (tmp_path / "displaced" / "basis.jsonl").exists()


def test_every_element_has_one_cutoff():
    listed = [symbol for symbols in CUTOFF_EV.values() for symbol in symbols.split()]
    assert len(listed) == len(set(listed))
    assert list(CUTOFF_EV) == sorted(CUTOFF_EV, reverse=True)
    assert (cutoff_of("O"), cutoff_of("Mg"), cutoff_of("Cl")) == (700.0, 500.0, 400.0)
