"""Relaxation inside the space group, and what is refused."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.calculations.lattice.relaxation import _standard, relax
from discover.errors import CalculationError


def relaxed(atoms, max_steps=100):
    return relax(atoms, EMT(), fmax_ev_per_angstrom=1e-3, max_steps=max_steps)


def test_copper_finds_the_minimum_of_its_energy():
    result = relaxed(bulk("Cu", a=3.7))
    assert result.cell.cell.lengths() == pytest.approx([3.5898 / 2**0.5] * 3, abs=1e-3)
    assert result.spacegroup == 225
    assert result.max_stress_gpa < 0.02
    assert result.steps > 1


def test_without_steps_it_only_tells_the_stress():
    result = relaxed(bulk("Cu", a=3.7), max_steps=0)
    assert result.steps == 0
    assert result.cell.cell.lengths() == pytest.approx([3.7 / 2**0.5] * 3)
    assert result.max_stress_gpa > 5


def test_one_that_does_not_converge_is_refused():
    with pytest.raises(CalculationError, match=r"did not converge to 0\.001 eV/Å in 1 steps"):
        relaxed(bulk("Cu", a=3.8), max_steps=1)


def test_lost_symmetry_is_refused_and_gained_symmetry_is_not():
    cubic = bulk("Cu", cubic=True)
    stretched = cubic.copy()
    stretched.set_cell(cubic.cell.array @ np.diag([1, 1, 1.05]), scale_atoms=True)
    with pytest.raises(CalculationError, match="lost symmetry: from space group 225 to 139"):
        _standard(stretched, cubic)
    cell, number = _standard(cubic, stretched)
    assert (len(cell), number) == (1, 225)
