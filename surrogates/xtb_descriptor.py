"""Descriptor `xtb`: electronic structure of a molecule by a semi-empirical method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from discover.errors import MissingDependencyError, StructureError
from discover.records import Candidate
from discover.structures.molecule import Molecule

Array = npt.NDArray[np.float64]

_HARTREE_EV = 27.211386245988
_BOHR_ANGSTROM = 0.529177210903
_DEBYE = 2.541746473
"""Of one atomic unit of dipole moment."""


class XTBDescriptor:
    """Frontier orbitals, vertical ionization energy and electron affinity, dipole, charges: 10 numbers.

    GFN2-xTB (C. Bannwarth et al., J. Chem. Theory Comput. 15, 1652 (2019)) at the candidate's geometry,
    by tblite. Energies of one electron less and more are those of the unrelaxed ions, so that they
    follow redox potentials at a thousandth of their price.
    """

    takes = Molecule

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the 10 columns."""
        return (
            "xtb_homo_ev",
            "xtb_lumo_ev",
            "xtb_gap_ev",
            "xtb_ionization_energy_ev",
            "xtb_electron_affinity_ev",
            "xtb_dipole_debye",
            "xtb_charge_min_e",
            "xtb_charge_max_e",
            "xtb_charge_spread_e",
            "xtb_energy_per_electron_ev",
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 10); MissingDependencyError where tblite is not installed."""
        return np.array([self._row(candidate.molecule) for candidate in candidates])

    def _row(self, molecule: Molecule) -> list[float]:
        unpaired = molecule.multiplicity - 1
        itself = _single_point(molecule, molecule.charge, unpaired)
        levels, filled = itself.get("orbital-energies"), itself.get("orbital-occupations")
        occupied, empty = levels[filled > 0.5], levels[filled <= 0.5]
        if not len(occupied) or not len(empty):
            raise StructureError(f"{molecule.smiles}: has no frontier orbitals in a valence basis")
        homo, lumo = float(occupied.max()) * _HARTREE_EV, float(empty.min()) * _HARTREE_EV
        charges, energy = itself.get("charges"), float(itself.get("energy"))
        ion = (unpaired + 1) % 2 if unpaired else 1
        oxidized = float(_single_point(molecule, molecule.charge + 1, ion).get("energy"))
        reduced = float(_single_point(molecule, molecule.charge - 1, ion).get("energy"))
        return [
            homo,
            lumo,
            lumo - homo,
            (oxidized - energy) * _HARTREE_EV,
            (energy - reduced) * _HARTREE_EV,
            float(np.linalg.norm(itself.get("dipole") - molecule.charge * _centre(molecule)))
            * _DEBYE,
            float(charges.min()),
            float(charges.max()),
            float(charges.std()),
            energy * _HARTREE_EV / float(filled.sum()),
        ]


def _centre(molecule: Molecule) -> Array:
    """Centre of mass in bohr, to which the dipole moment of an ion refers."""
    centre: Array = molecule.to_atoms().get_center_of_mass() / _BOHR_ANGSTROM
    return centre


def _single_point(molecule: Molecule, charge: int, unpaired: int) -> Any:
    try:
        from tblite.interface import Calculator
    except ImportError as error:
        raise MissingDependencyError(
            "the descriptor 'xtb' needs tblite: pip install 'discover-materials[molecules]'"
        ) from error
    try:
        calculator = Calculator(
            "GFN2-xTB",
            np.array(molecule.numbers),
            np.array(molecule.positions_angstrom) / _BOHR_ANGSTROM,
            charge=charge,
            uhf=unpaired,
        )
        calculator.set("verbosity", 0)
        return calculator.singlepoint()
    except RuntimeError as error:
        raise StructureError(f"{molecule.smiles}: xTB gives no answer: {error}") from error
