"""ASE's interface to energies and forces of molecules by PySCF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from discover.calculations.engines import pyscf_fields as fields

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from discover.calculations.engines.pyscf_fields import Level
    from discover.calculations.molecules.base import Solvent


class PySCFCalculator(Calculator):  # type: ignore[misc]
    """Energies in eV, forces in eV/Å, dipoles in e Å.

    Each field starts from the density of the last one with the same atoms.
    """

    implemented_properties = ("energy", "forces", "dipole")

    def __init__(
        self,
        level: Level,
        *,
        charge: int = 0,
        multiplicity: int = 1,
        solvent: Solvent | None = None,
    ) -> None:
        super().__init__()
        self._level = level
        self._charge = charge
        self._multiplicity = multiplicity
        self._solvent = solvent
        self._numbers: tuple[int, ...] = ()
        self._density: NDArray[np.float64] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """All there is about these atoms; CalculationError where the field does not converge."""
        from ase.units import Bohr, Debye, Hartree

        super().calculate(atoms, list(properties), list(system_changes))
        molecule = self.atoms.copy()
        molecule.info |= {"charge": self._charge, "spin": self._multiplicity}
        field = fields.make(molecule, self._level, solvent=self._solvent)
        numbers = tuple(map(int, molecule.numbers))
        guess = self._density if numbers == self._numbers else None
        field, _ = fields.converge(field, guess)
        self._numbers, self._density = numbers, np.asarray(field.make_rdm1())
        self.results = {
            "energy": float(field.e_tot) * Hartree,
            "dipole": fields.dipole_moment(field) * Debye,
        }
        if "forces" in properties:
            gradient = field.nuc_grad_method()
            gradient.grid_response = True
            self.results["forces"] = -np.asarray(gradient.kernel()) * Hartree / Bohr
