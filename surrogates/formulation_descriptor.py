"""Descriptor `formulation`: what a mixture is made of, role by role."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from discover.records import Candidate
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule
from surrogates.molecule_descriptors import MoleculeDescriptor, describe_smiles

Array = npt.NDArray[np.float64]


class FormulationDescriptor:
    """Mole fraction and mean `molecule` descriptor of each role, and the spread among the solvents.

    Means and standard deviations are weighted by mole fractions within the role; a role without a
    component has zeros.
    """

    takes = Formulation

    def __init__(self) -> None:
        self._rows: dict[str, Array] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        of_molecules = MoleculeDescriptor().names
        return (
            *(f"fraction_{role}" for role in Role),
            "salt_per_solvent",
            *(f"{role}_{name}" for role in Role for name in of_molecules),
            *(f"solvent_spread_{name}" for name in of_molecules),
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x d); a molecule is computed once."""
        return np.array([self._row(candidate.formulation) for candidate in candidates])

    def _row(self, formulation: Formulation) -> Array:
        fractions: dict[Role, float] = {}
        means, spread = [], np.zeros(0)
        for role in Role:
            parts = [c for c in formulation.components if c.role is role]
            fractions[role] = sum(c.mole_fraction for c in parts)
            mean, deviation = self._moments(parts)
            means.append(mean)
            if role is Role.SOLVENT:
                spread = deviation
        solvent = fractions[Role.SOLVENT]
        ratio = fractions[Role.CATION] / solvent if solvent else 0.0
        return np.concatenate([[*fractions.values(), ratio], *means, spread])

    def _moments(self, parts: Sequence[Component]) -> tuple[Array, Array]:
        """Weighted mean and standard deviation of the parts' rows; zeros where there is no part."""
        if not parts:
            nothing = np.zeros(len(MoleculeDescriptor().names))
            return nothing, nothing
        rows = np.array([self._described(component.molecule) for component in parts])
        weights = np.array([component.mole_fraction for component in parts])
        mean = np.average(rows, axis=0, weights=weights)
        variance = np.average((rows - mean) ** 2, axis=0, weights=weights)
        return mean, np.sqrt(variance)

    def _described(self, molecule: Molecule) -> Array:
        if molecule.smiles not in self._rows:
            self._rows[molecule.smiles] = describe_smiles(molecule.smiles)
        return self._rows[molecule.smiles]
