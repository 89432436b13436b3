"""What the kind `molecule` asks of an engine, and what it gets."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from discover.calculations.base import Engine
from discover.records import Record
from discover.structures.crystal import Vector

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

Solvent = str | Annotated[float, Field(gt=1)]
"""The name of a solvent that the engine knows, or a static dielectric constant."""

SPIN_TOLERANCE = 0.1
"""How far <S²> may be from S(S + 1) before the result says so."""


class SinglePoint(Record):
    """One self-consistent field: energies in eV, the dipole (x, y, z) in D, polarizability in Å³.

    The dipole of an ion is that about its centre of mass. `polarizability_angstrom3` is the isotropic
    part, a third of the trace, and None where it was not asked for.
    """

    energy_ev: float
    homo_ev: float
    lumo_ev: float
    dipole_debye: Vector
    spin_squared: float
    polarizability_angstrom3: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def dipole(self) -> float:
        """The dipole's length in D."""
        return float(np.linalg.norm(self.dipole_debye))


@runtime_checkable
class MolecularEngine(Engine, Protocol):
    """An engine for molecules and molecular ions in vacuum and in an implicit solvent.

    Atoms carry `charge` (e) and `spin` (2S + 1) in their `info`, as `Molecule.to_atoms` gives them.
    """

    def dielectric_constant(self, solvent: Solvent) -> float:
        """Static dielectric constant; CalculationError where it does not know the solvent."""
        ...

    def single_point(
        self,
        atoms: Atoms,
        *,
        solvent: Solvent | None = None,
        ghosts: Collection[int] = (),
        polarizability: bool = False,
    ) -> SinglePoint:
        """One self-consistent field; CalculationError, with the reason, where it does not converge.

        With a solvent the energy is the electronic one plus the free energy of solvation (1 M to 1 M).
        `ghosts` are indices of atoms that have basis functions and nothing else; `charge` and `spin` are
        those of the others.
        """
        ...

    def calculator(
        self, atoms: Atoms, directory: Path, solvent: Solvent | None = None
    ) -> Calculator:
        """ASE's interface to energies (eV) and forces (eV/Å) of these atoms, whatever their positions."""
        ...
