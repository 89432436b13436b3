"""Descriptor `compound`: how the properties of the atoms are distributed over a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from discover.records import Candidate
from surrogates.elemental import PROPERTIES, elemental_properties
from surrogates.structure_descriptors import ORDERS, bond_orders, environments

Array = npt.NDArray[np.float64]


class CompoundDescriptor:
    """Mean, standard deviation and covariance of the atoms' properties: the compound descriptor.

    A. Seko, H. Hayashi, K. Nakayama, A. Takahashi and I. Tanaka, Phys. Rev. B 95, 144110 (2017). An atom
    has twelve elemental properties (`elemental.PROPERTIES`) and nine of its surroundings: its number of
    bonds, nearest distance (Å), bond orders, and the mean difference to its bonded neighbours in mass and
    electronegativity. The set of atoms of a cell is then told by the first two moments of these.
    """

    SURROUNDINGS = (
        "bonds",
        "nearest_angstrom",
        *(f"bond_order_{degree}" for degree in ORDERS),
        "mass_contrast",
        "electronegativity_contrast",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the 252 columns: 21 means, 21 standard deviations, 210 covariances."""
        atomic = (*PROPERTIES, *self.SURROUNDINGS)
        return (
            *(f"mean_{name}" for name in atomic),
            *(f"std_{name}" for name in atomic),
            *(
                f"covariance_{one}_{other}"
                for i, one in enumerate(atomic)
                for other in atomic[i + 1 :]
            ),
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 252); StructureError as `structure_descriptors.environments`."""
        return np.array([self._row(candidate) for candidate in candidates])

    def _row(self, candidate: Candidate) -> Array:
        elemental = elemental_properties()[list(candidate.crystal.numbers)]
        around = environments(candidate.crystal, candidate.id)
        strengths = around.bonds
        bonds = around.sums(strengths)
        compared = elemental[:, [_MASS, _ELECTRONEGATIVITY]]
        contrast = np.abs(compared[around.first] - compared[around.second])
        surroundings = np.column_stack(
            [
                bonds,
                around.nearest,
                bond_orders(around),
                around.sums(strengths[:, None] * contrast) / bonds[:, None],
            ]
        )
        atoms = np.hstack([elemental, surroundings])
        mean = atoms.mean(axis=0)
        covariance = (atoms - mean).T @ (atoms - mean) / len(atoms)
        above = np.triu_indices(atoms.shape[1], k=1)
        return np.concatenate([mean, np.sqrt(covariance.diagonal()), covariance[above]])


_MASS = list(PROPERTIES).index("mass")
_ELECTRONEGATIVITY = list(PROPERTIES).index("electronegativity")
