from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.units import _amu, _c, _e

from discover.calculations.molecules.geometry import minimum, xtb, xtb_minimum
from discover.calculations.molecules.vibrations import gibbs_correction, hessian, wavenumbers

SPRING = 30.0  # eV/Å²


class Spring(Calculator):  # type: ignore[misc]
    """Two atoms at 1 Å."""

    implemented_properties = ("energy", "forces")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        bond = self.atoms.positions[1] - self.atoms.positions[0]
        length = np.linalg.norm(bond)
        pull = SPRING * (length - 1) * bond / length
        self.results = {"energy": SPRING / 2 * (length - 1) ** 2, "forces": np.array([pull, -pull])}


def test_a_spring_has_its_wavenumber_and_nothing_else() -> None:
    atoms = Atoms("HF", positions=[[0, 0, 0], [0.6, 0, 0.8]])
    reduced = np.prod(atoms.get_masses()) / atoms.get_masses().sum() * _amu
    expected = np.sqrt(SPRING * _e * 1e20 / reduced) / (2 * np.pi * _c * 100)
    assert wavenumbers(atoms, hessian(atoms, Spring())) == pytest.approx([expected], rel=1e-4)


def test_geometric_finds_the_springs_minimum() -> None:
    found, energy = minimum(Atoms("HF", positions=[[0, 0, 0], [0.7, 0, 0.9]]), Spring(), 30)
    assert found.get_distance(0, 1) == pytest.approx(1, abs=1e-3)
    assert energy == pytest.approx(0, abs=1e-4)


def test_water_by_xtb_is_a_minimum_with_three_modes() -> None:
    pytest.importorskip("tblite")
    water, energy = xtb_minimum(molecule("H2O"))
    waves = wavenumbers(water, hessian(water, xtb(water)))
    assert waves == pytest.approx([1595, 3657, 3756], rel=0.05)  # measured fundamentals
    correction = gibbs_correction(water, waves, 298.15)
    # zero-point energy less H - TS of CODATA: 0.575 + 0.103 - 0.583 - kT ln 2 of the symmetry number
    assert correction == pytest.approx(0.565 + 0.103 - 0.583 - 0.018, abs=0.02)
    assert xtb_minimum(molecule("H2O"), 78.4)[1] < energy


def test_the_entropy_of_argon_is_that_of_sackur_and_tetrode() -> None:
    argon = Atoms("Ar", positions=[[0, 0, 0]])
    argon.info["spin"] = 1
    entropy = 154.846 / 96485.332  # J/K/mol of CODATA, in eV/K
    expected = 2.5 * 8.617333e-5 * 298.15 - 298.15 * entropy
    assert gibbs_correction(argon, np.empty(0), 298.15) == pytest.approx(expected, abs=1e-4)
