"""Space groups and standard cells, whatever error mode spglib is in."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from discover.errors import StructureError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import spacegroup, standardized

ON_TOP = Crystal(
    numbers=(14, 14),
    cell_angstrom=((3.0, 0.0, 0.0), (0.0, 4.0, 0.0), (0.0, 0.0, 5.0)),
    scaled_positions=((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
)


@pytest.mark.parametrize("raises", ["false", "true"])
def test_atoms_on_top_of_one_another_have_no_symmetry(
    raises: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPGLIB_OLD_ERROR_HANDLING", raises)
    with pytest.raises(StructureError, match="on top of one another"):
        spacegroup(ON_TOP)
    with pytest.raises(StructureError, match="on top of one another"):
        standardized(ON_TOP, primitive=True)


def test_standard_cells_of_rocksalt() -> None:
    given = Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.21))
    assert spacegroup(given) == 225
    cubic = standardized(given, primitive=False)
    np.testing.assert_allclose(cubic.cell_angstrom, 4.21 * np.eye(3), atol=1e-9)
    assert len(cubic.numbers) == 8
    back = standardized(cubic, primitive=True)
    assert len(back.numbers) == 2
    assert back.volume_angstrom3 == pytest.approx(given.volume_angstrom3)
