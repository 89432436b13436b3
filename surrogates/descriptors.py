"""Descriptors: what a surrogate is told of a candidate, as numbers."""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.errors import StructureError
from discover.records import Candidate
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized

Array = npt.NDArray[np.float64]


class Descriptor(Protocol):
    """Turns candidates into rows of finite numbers, always the same ones in the same order."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the d columns."""
        ...

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x d), finite; StructureError for one that cannot be described."""
        ...


def featurize(
    candidates: Sequence[Candidate], descriptors: Sequence[Descriptor]
) -> list[Candidate]:
    """The candidates with `features` filled by all descriptors, side by side in the order given."""
    if not candidates:
        return []
    rows = np.hstack([descriptor.describe(candidates) for descriptor in descriptors])
    return [
        candidate.model_copy(update={"features": tuple(map(float, row))})
        for candidate, row in zip(candidates, rows, strict=True)
    ]


def descriptors_named(
    names: Sequence[str], base: Path | None = None, potential: str | None = None
) -> list[Descriptor]:
    """The descriptors that a campaign calls by these names; a file plug-in's path is relative to `base`.

    Those with an option `potential`, such as `physical`, are given the campaign's (a name, with a path
    relative to `base`).
    """
    from discover.potentials import load_potential

    made = []
    for name in names:
        factory = plugins.load("descriptors", name, base)
        wants = potential is not None and "potential" in plugins.options_model(factory).model_fields
        options = {"potential": load_potential(str(potential), base)} if wants else {}
        made.append(plugins.create("descriptors", name, options, base))
    return made


class CompositionDescriptor:
    """Magpie statistics of elemental properties: 132 numbers that depend on the formula alone.

    Minimum, maximum, range, mean, average deviation and mode of 22 properties, computed by matminer
    (Ward et al., npj Comput. Mater. 2, 16028 (2016)). An elemental property that was never measured
    is replaced by its mean over all elements.
    """

    takes = (Crystal, Composition)

    def __init__(self) -> None:
        self._rows: dict[str, Array] = {}

    @cached_property
    def _featurizer(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from matminer.featurizers.composition import ElementProperty

            return ElementProperty.from_preset("magpie", impute_nan=True)

    @property
    def names(self) -> tuple[str, ...]:
        """Matminer's labels of the 132 columns."""
        return tuple(self._featurizer.feature_labels())

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 132); each formula is computed once."""
        return np.array([self._row(candidate.formula) for candidate in candidates])

    def _row(self, formula: str) -> Array:
        if formula not in self._rows:
            from pymatgen.core import Composition

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    row = np.array(self._featurizer.featurize(Composition(formula)), dtype=float)
                except (KeyError, ValueError) as error:
                    raise StructureError(f"Magpie cannot describe {formula!r}: {error}") from error
            if not np.isfinite(row).all():
                raise StructureError(f"Magpie has no data for {formula!r}")
            self._rows[formula] = row
        return self._rows[formula]


class StructureDescriptor:
    """Symmetry, packing, bonding and masses of the relaxed cell: 17 numbers known to steer heat flow.

    They do not depend on which cell of the crystal is given. Bonds reach to the neighbours within
    `SHELL` times an atom's shortest distance; radii are the covalent ones of Cordero et al., Dalton
    Trans. 2832 (2008), as given by ASE.
    """

    SHELL = 1.12
    """Wide enough for distorted octahedra, below the 1.155 that separates the CsCl structure's shells."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the 17 columns, with units where they have one."""
        return (
            "point_group_order",
            "inversion_centre",
            "atoms_in_primitive_cell",
            "volume_per_atom_angstrom3",
            "log10_volume_per_atom",
            "density_g_cm3",
            "packing_fraction",
            "bond_length_min_angstrom",
            "bond_length_mean_angstrom",
            "bond_over_radii_min",
            "bond_over_radii_mean",
            "coordination_min",
            "coordination_mean",
            "coordination_max",
            "log10_mean_mass",
            "mass_ratio",
            "mass_variance",
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 17)."""
        return np.array([self._row(candidate) for candidate in candidates])

    def _row(self, candidate: Candidate) -> list[float]:
        from ase.data import atomic_masses, covalent_radii

        crystal = candidate.crystal
        numbers = np.array(crystal.numbers)
        masses, radii = atomic_masses[numbers], covalent_radii[numbers]
        atoms, volume = len(numbers), crystal.volume_angstrom3
        bonds = _bonds(crystal, self.SHELL)
        lengths = np.array([length for _, _, length in bonds])
        if lengths.min() < 1e-3:
            raise StructureError(f"candidate {candidate.id}: two atoms are on one site")
        ratios = lengths / [radii[i] + radii[j] for i, j, _ in bonds]
        coordination = np.bincount([i for i, _, _ in bonds], minlength=atoms)
        order, inversion = point_group(cast("int", candidate.spacegroup))
        return [
            order,
            inversion,
            _primitive_atoms(crystal, candidate.id),
            volume / atoms,
            np.log10(volume / atoms),
            masses.sum() / volume * 1.66053907,  # u/Å³ in g/cm³
            4 / 3 * np.pi * (radii**3).sum() / volume,
            lengths.min(),
            lengths.mean(),
            ratios.min(),
            ratios.mean(),
            coordination.min(),
            coordination.mean(),
            coordination.max(),
            np.log10(masses.mean()),
            masses.max() / masses.min(),
            ((masses / masses.mean() - 1) ** 2).mean(),
        ]


_POINT_GROUPS = (
    (1, 1, False),  # 1
    (2, 2, True),  # -1
    (3, 2, False),  # 2
    (6, 2, False),  # m
    (10, 4, True),  # 2/m
    (16, 4, False),  # 222
    (25, 4, False),  # mm2
    (47, 8, True),  # mmm
    (75, 4, False),  # 4
    (81, 4, False),  # -4
    (83, 8, True),  # 4/m
    (89, 8, False),  # 422
    (99, 8, False),  # 4mm
    (111, 8, False),  # -42m
    (123, 16, True),  # 4/mmm
    (143, 3, False),  # 3
    (147, 6, True),  # -3
    (149, 6, False),  # 32
    (156, 6, False),  # 3m
    (162, 12, True),  # -3m
    (168, 6, False),  # 6
    (174, 6, False),  # -6
    (175, 12, True),  # 6/m
    (177, 12, False),  # 622
    (183, 12, False),  # 6mm
    (187, 12, False),  # -6m2
    (191, 24, True),  # 6/mmm
    (195, 12, False),  # 23
    (200, 24, True),  # m-3
    (207, 24, False),  # 432
    (215, 24, False),  # -43m
    (221, 48, True),  # m-3m
)
"""First space group of each point group, its order, and whether it holds the inversion."""


def point_group(spacegroup: int) -> tuple[int, bool]:
    """Order of a space group's point group, and whether that holds the inversion.

    International Tables for Crystallography A: point groups follow one another in space-group number.
    """
    _, order, inversion = _POINT_GROUPS[
        bisect_right(_POINT_GROUPS, spacegroup, key=lambda entry: entry[0]) - 1
    ]
    return order, inversion


def _bonds(crystal: Crystal, shell: float) -> list[tuple[int, int, float]]:
    """Pairs (i, j, length in Å) within `shell` times the shortest distance of atom i."""
    cell = np.asarray(crystal.cell_angstrom)
    positions = np.asarray(crystal.scaled_positions) % 1.0
    heights = crystal.volume_angstrom3 / np.linalg.norm(
        np.cross(np.roll(cell, -1, axis=0), np.roll(cell, -2, axis=0)), axis=1
    )

    def distances(reach: npt.NDArray[np.int64]) -> Array:
        shifts = np.array(list(np.ndindex(*(2 * reach + 1)))) - reach
        separations = positions[None, :, None] + shifts - positions[:, None, None]
        found: Array = np.linalg.norm(separations @ cell, axis=-1)
        itself = np.eye(len(positions), dtype=bool)[..., None] & (shifts == 0).all(axis=1)
        found[itself] = np.inf
        return found

    # Distances to the next cells bound every atom's shortest one; what lies farther is then needed
    # only in cells that are flat or skewed.
    found = distances(np.ones(3, dtype=np.int64))
    cutoff = shell * found.min(axis=(1, 2)).max()
    reach = (cutoff / heights).astype(np.int64) + 1
    if (reach > 1).any():
        found = distances(reach)
    limits = shell * found.min(axis=(1, 2))
    i, j, image = np.nonzero(found <= limits[:, None, None])
    return list(zip(i.tolist(), j.tolist(), found[i, j, image].tolist(), strict=True))


def _primitive_atoms(crystal: Crystal, name: str) -> int:
    try:
        return len(standardized(crystal, primitive=True).numbers)
    except StructureError as error:
        raise StructureError(f"candidate {name}: {error}") from error
