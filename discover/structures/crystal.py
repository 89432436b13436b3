"""A periodic structure as plain data, its way to and from ASE, and to pymatgen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from discover.errors import StructureError

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

Vector = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class Crystal(BaseModel):
    """Atomic numbers, cell vectors (rows, in Å) and fractional positions of one periodic cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    numbers: tuple[Annotated[int, Field(ge=1, le=118)], ...] = Field(min_length=1)
    cell_angstrom: tuple[Vector, Vector, Vector]
    scaled_positions: tuple[Vector, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Crystal:
        if len(self.numbers) != len(self.scaled_positions):
            raise ValueError(
                f"{len(self.numbers)} atomic numbers but {len(self.scaled_positions)} positions"
            )
        if not abs(np.linalg.det(np.asarray(self.cell_angstrom))) > 1e-6:
            raise ValueError("the cell vectors span no volume")
        return self

    @property
    def volume_angstrom3(self) -> float:
        """Cell volume in Å³."""
        return float(abs(np.linalg.det(np.asarray(self.cell_angstrom))))

    def content(self) -> dict[str, Any]:
        """What makes it the crystal it is, for hashes: coordinates rounded to 1e-6 (Å for the cell)."""
        return {
            "numbers": self.numbers,
            "cell": _rounded(self.cell_angstrom),
            "positions": _rounded(self.scaled_positions),
        }

    @classmethod
    def from_atoms(cls, atoms: Atoms) -> Crystal:
        """From an ASE `Atoms`; StructureError without a three-dimensional cell."""
        if atoms.cell.rank < 3:
            raise StructureError(
                "it has no cell with a volume, so it is no crystal (molecules are given by SMILES)"
            )
        return cls(
            numbers=tuple(int(z) for z in atoms.numbers),
            cell_angstrom=_rows(atoms.cell.array),
            scaled_positions=_rows(atoms.get_scaled_positions()),
        )

    def to_atoms(self) -> Atoms:
        """As a periodic ASE `Atoms`."""
        from ase import Atoms

        return Atoms(
            numbers=self.numbers,
            cell=self.cell_angstrom,
            scaled_positions=self.scaled_positions,
            pbc=True,
        )

    def to_pymatgen(self) -> Structure:
        """As a pymatgen `Structure`."""
        from pymatgen.core import Lattice, Structure

        return Structure(
            Lattice(self.cell_angstrom), list(self.numbers), list(self.scaled_positions)
        )


def _rounded(rows: Iterable[Vector]) -> list[list[float]]:
    # adding zero turns -0.0, which a tiny negative number rounds to, into 0.0
    return [[round(x, 6) + 0.0 for x in row] for row in rows]


def _rows(array: object) -> Any:
    return tuple(tuple(float(x) for x in row) for row in np.asarray(array))
