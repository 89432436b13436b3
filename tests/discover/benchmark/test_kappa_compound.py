from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from discover.benchmark.kappa_compound import (
    Settings,
    _phonons,
    check_compound,
    folder_name,
)
from discover.benchmark.kappa_data import Compound, Conditions, ReferenceModes
from discover.calculations.cells import primitive_cell
from discover.calculations.lattice.conductivity import irreducible_qpoints
from discover.calculations.lattice.supercells import as_matrix
from discover.errors import StructureError
from discover.structures.crystal import Crystal

SETTINGS = Settings(potential="emt")


def compound(atoms: Atoms, conditions: Conditions | None = None) -> Compound:
    return Compound(
        id="mp-1/x",
        formula="CdO",
        prototype="rocksalt",
        spacegroup=225,
        crystal=Crystal.from_atoms(atoms),
        conditions=conditions or Conditions(),
        reference=None,
        modes=None,
    )


def phonons_of(one: Compound, settings: Settings = SETTINGS) -> Any:
    return _phonons(one, primitive_cell(one.crystal), settings)


def test_the_second_order_reaches_farther() -> None:
    ph3 = phonons_of(compound(bulk("CdO", "rocksalt", a=4.78)))
    assert (len(ph3.supercell), len(ph3.phonon_supercell)) == (54, 250)
    small = SETTINGS.model_copy(update={"second_order_max_atoms": 200})
    assert len(phonons_of(compound(bulk("CdO", "rocksalt", a=4.78)), small).phonon_supercell) == 128


@pytest.mark.parametrize("cubic", [True, False])
def test_supercells_of_the_file_are_in_multiples_of_its_cell(cubic: bool) -> None:
    conditions = Conditions(as_matrix([2, 2, 2]), as_matrix([3, 3, 3]))
    ph3 = phonons_of(compound(bulk("CdO", "rocksalt", a=4.78, cubic=cubic), conditions))
    atoms = 8 if cubic else 2
    assert len(ph3.supercell) == 8 * atoms
    assert len(ph3.phonon_supercell) == 27 * atoms
    assert len(ph3.primitive) == 2
    np.testing.assert_allclose(
        ph3.primitive.cell, primitive_cell(compound(bulk("CdO", "rocksalt", a=4.78)).crystal).cell
    )


def test_supercells_of_another_cell_are_refused() -> None:
    odd = make_supercell(bulk("CdO", "rocksalt", a=4.78), [[1, 0, 0], [0, 1, 0], [0, 0, 2]])
    with pytest.raises(StructureError, match="neither the standard primitive nor the standard"):
        check_compound(compound(odd, Conditions(as_matrix([2, 2, 2]))), SETTINGS)


def test_modes_must_be_on_the_irreducible_points() -> None:
    one = compound(bulk("CdO", "rocksalt", a=4.78))
    qpoints, weights = irreducible_qpoints(phonons_of(one), (5, 5, 5))
    modes = ReferenceModes((5, 5, 5), qpoints, weights, np.ones((len(weights), 6)))
    check_compound(replace(one, modes=modes), SETTINGS)
    for wrong, words in (
        (replace(modes, mesh=(7, 7, 7)), "mesh 7 x 7 x 7"),
        (replace(modes, qpoints=qpoints[::-1]), "qpoints, weights and q_mesh"),
        (replace(modes, modes=np.ones((len(weights), 12))), "12 bands"),
    ):
        with pytest.raises(StructureError, match=words):
            check_compound(replace(one, modes=wrong), SETTINGS)


def test_a_folder_for_each_content() -> None:
    one = compound(bulk("CdO", "rocksalt", a=4.78))
    names = {
        folder_name(one, SETTINGS),
        folder_name(one, Settings(potential="chgnet")),
        folder_name(one, Settings(potential="emt", force_constants="finite-displacements")),
        folder_name(replace(one, conditions=Conditions(mesh=(5, 5, 5))), SETTINGS),
        folder_name(compound(bulk("CdO", "rocksalt", a=4.79)), SETTINGS),
    }
    assert len(names) == 5
    assert all(name.startswith("mp-1_x-") and "/" not in name for name in names)
    assert folder_name(replace(one, reference=7.0), SETTINGS) in names
