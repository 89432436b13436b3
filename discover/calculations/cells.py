"""The cell that a calculation works on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discover.errors import CalculationError, StructureError
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized

if TYPE_CHECKING:
    from ase import Atoms


def primitive_cell(crystal: Crystal) -> Atoms:
    """The standard primitive cell of a crystal; CalculationError where none can be found."""
    try:
        return standardized(crystal, primitive=True).to_atoms()
    except StructureError as error:
        raise CalculationError(f"the primitive cell cannot be found: {error}") from error
