"""Potentials side by side, with the embedded-atom potential for both sides."""

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from discover.errors import PotentialError, StructureError
from discover.potentials import load_potential
from discover.potentials.comparison import compare, read_structures

EMT = load_potential("emt")
CELLS = {"Cu": 3.5898, "Ag": 4.0638, "Au": 4.0559}
"""Lattice constants of the potential itself, in Å."""


def structures(scale=1.0):
    return [bulk(symbol, a=scale * a) for symbol, a in CELLS.items()]


def test_a_potential_agrees_with_its_own_cells_and_energies():
    (row,) = compare([EMT], structures(), frozenset(), teacher=EMT)
    assert (row.group, row.crystals, row.failures) == ("trained on", 3, ())
    assert row.lattice_mae_percent == pytest.approx(0, abs=0.05)
    assert row.energy_mae_ev_per_atom == pytest.approx(0, abs=1e-9)
    assert row.forces_mae_ev_per_angstrom == pytest.approx(0, abs=1e-9)
    assert row.milliseconds_per_call > 0


def test_errors_are_those_of_the_given_cells():
    (row,) = compare([EMT], structures(1.02), frozenset())
    assert row.lattice_mae_percent == pytest.approx(100 * (1 - 1 / 1.02), abs=0.05)
    assert row.lattice_bias_percent == pytest.approx(-row.lattice_mae_percent)
    assert row.volume_mae_percent == pytest.approx(100 * (1 - 1 / 1.02**3), abs=0.15)
    assert row.energy_mae_ev_per_atom is None


def test_formulas_kept_out_are_a_group_of_their_own():
    rows = compare([EMT], structures(), frozenset({"Au"}))
    assert [(row.group, row.crystals) for row in rows] == [("trained on", 2), ("kept out", 1)]


def test_what_does_not_relax_is_named_and_left_out():
    rows = compare([EMT], [bulk("Cu", a=5.6), bulk("Au", a=CELLS["Au"])], frozenset({"Cu"}))
    kept_out = next(row for row in rows if row.group == "kept out")
    assert kept_out.lattice_mae_percent is None
    assert "Cu" in kept_out.failures[0]


def test_unknown_elements_and_empty_files_are_refused(tmp_path):
    with pytest.raises(PotentialError, match="does not know Cl, Na"):
        compare([EMT], [bulk("NaCl", "rocksalt", a=5.6)], frozenset())
    with pytest.raises(StructureError, match="no structure"):
        compare([EMT], [], frozenset())
    with pytest.raises(StructureError, match=r"absent\.extxyz"):
        read_structures(tmp_path / "absent.extxyz")


def test_structures_are_read_from_a_file(tmp_path):
    write(tmp_path / "two.extxyz", structures()[:2])
    assert [len(atoms) for atoms in read_structures(tmp_path / "two.extxyz")] == [1, 1]
    assert np.allclose(read_structures(tmp_path / "two.extxyz")[0].cell, structures()[0].cell)
