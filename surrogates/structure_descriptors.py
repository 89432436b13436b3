"""Descriptors `local-structure` and the atoms' environments that it, and `compound`, are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from discover.errors import StructureError
from discover.records import Candidate
from discover.structures.crystal import Crystal

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

REACH = 2.4
"""Neighbours are looked for up to this distance, in units of the cube root of the volume per atom."""

SHELL = 1.4
"""A bond fades from 1 at an atom's shortest distance to 0 at this multiple of it, which is below √2."""

ORDERS = (2, 3, 4, 6, 8)
"""l of the bond-order parameters: 3 tells tetrahedra from cubes, 4 and 6 the close packings."""


@dataclass(frozen=True)
class Environments:
    """Neighbours of the n atoms of a cell, as p directed pairs sorted by their first atom.

    `first` and `second` (p) are indices of atoms, `vectors` (p x 3) lead from one to the other in Å,
    `distances` (p) are their lengths, `nearest` (n) is each atom's shortest one, and `unit` the cube root
    of the volume per atom in Å, against which REACH is measured.
    """

    first: Indices
    second: Indices
    vectors: Array
    distances: Array
    nearest: Array
    unit: float

    @property
    def bonds(self) -> Array:
        """Strength of each pair as a bond (p): 1 for nearest neighbours, fading smoothly to 0."""
        stretch = (self.distances / self.nearest[self.first] - 1) / (SHELL - 1)
        return np.where(stretch < 1, 0.5 * (1 + np.cos(np.pi * np.minimum(stretch, 1))), 0.0)

    def sums(self, values: Array) -> Array:
        """Sum over each atom's pairs of `values` (p, or p x k)."""
        total = np.zeros((len(self.nearest), *values.shape[1:]))
        np.add.at(total, self.first, values)
        return total


def environments(crystal: Crystal, name: str) -> Environments:
    """The neighbours of every atom within REACH.

    StructureError, with the candidate's `name`, where two atoms are on one site or one has no neighbour.
    """
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cell = np.array(crystal.cell_angstrom)
    positions = np.ascontiguousarray(np.array(crystal.scaled_positions) % 1.0 @ cell)
    unit = (crystal.volume_angstrom3 / len(positions)) ** (1 / 3)
    first, second, images, distances = find_points_in_spheres(
        positions,
        positions,
        r=REACH * unit,
        pbc=np.ones(3, dtype=np.int64),
        lattice=np.ascontiguousarray(cell),
        tol=1e-8,
    )
    itself = (first == second) & (images == 0).all(axis=1)
    order = np.argsort(first[~itself], kind="stable")
    first, second, images, distances = (
        array[~itself][order] for array in (first, second, images, distances)
    )
    if len(distances) and distances.min() < 1e-3:
        raise StructureError(f"candidate {name}: two atoms are on one site")
    nearest = np.full(len(positions), np.inf)
    np.minimum.at(nearest, first, distances)
    if not np.isfinite(nearest).all():
        raise StructureError(
            f"candidate {name}: an atom has no neighbour within {REACH * unit:.1f} Å, so it is no crystal"
        )
    vectors = positions[second] + images @ cell - positions[first]
    return Environments(first, second, vectors, distances, nearest, unit)


def bond_orders(around: Environments) -> Array:
    """Bond-order parameters Q_l of every atom (n x len(ORDERS)), each bond by its strength.

    P. J. Steinhardt, D. R. Nelson and M. Ronchetti, Phys. Rev. B 28, 784 (1983):
    `Q_l² = 4π/(2l+1) Σ_m |Σ_j w_j Y_lm(j) / Σ_j w_j|²`, the sum over m > 0 being that over m < 0.
    """
    from scipy.special import sph_harm_y

    strengths = around.bonds
    x, y, z = around.vectors.T
    polar, azimuth = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    total = around.sums(strengths)
    orders = np.zeros((len(around.nearest), len(ORDERS)))
    for column, degree in enumerate(ORDERS):
        squared = np.zeros(len(around.nearest))
        for m in range(degree + 1):
            harmonic = strengths * sph_harm_y(degree, m, polar, azimuth)
            moments = (around.sums(harmonic.real) + 1j * around.sums(harmonic.imag)) / total
            squared += (1 if m == 0 else 2) * np.abs(moments) ** 2
        orders[:, column] = np.sqrt(4 * np.pi / (2 * degree + 1) * squared)
    return orders


class LocalStructureDescriptor:
    """Radial distribution, bond angles and bond-order parameters: what the surroundings look like.

    Free of scale: distances are in units of the cube root of the volume per atom, which `structure`
    holds. All is averaged over the atoms, so that the choice of cell does not matter, and changes
    smoothly when atoms move. Bonds as in `Environments.bonds`.
    """

    RADII = tuple(np.linspace(0.7, 2.02, 12).round(3).tolist())
    COSINES = tuple(np.linspace(-1.0, 1.0, 9).tolist())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the 46 columns."""
        return (
            *(f"rdf_{radius:g}" for radius in self.RADII),
            *(f"rdf_like_{radius:g}" for radius in self.RADII),
            *(f"bond_cosine_{cosine:g}" for cosine in self.COSINES),
            *(f"bond_order_{degree}_mean" for degree in ORDERS),
            *(f"bond_order_{degree}_std" for degree in ORDERS),
            "bonds_mean",
            "bonds_std",
            "unlike_bonds_share",
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 46); StructureError as `environments`."""
        return np.array([self._row(candidate) for candidate in candidates])

    def _row(self, candidate: Candidate) -> Array:
        around = environments(candidate.crystal, candidate.id)
        numbers = np.array(candidate.crystal.numbers)
        like = numbers[around.first] == numbers[around.second]
        strengths = around.bonds
        coordination = around.sums(strengths)
        orders = bond_orders(around)
        return np.concatenate(
            [
                self._radial(around, np.ones(len(like))),
                self._radial(around, like.astype(float)),
                self._cosines(around),
                orders.mean(axis=0),
                orders.std(axis=0),
                [coordination.mean(), coordination.std()],
                [strengths[~like].sum() / strengths.sum()],
            ]
        )

    def _radial(self, around: Environments, weights: Array) -> Array:
        """Pairs of an atom around each radius, over those of a gas of the same density."""
        radii = np.array(self.RADII)
        width = radii[1] - radii[0]
        scaled = around.distances[:, None] / around.unit
        bumps = np.exp(-0.5 * ((scaled - radii) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        pairs = (weights[:, None] * bumps).sum(axis=0) / len(around.nearest)
        found: Array = pairs / (4 * np.pi * radii**2)
        return found

    def _cosines(self, around: Environments) -> Array:
        """Share of the angles between two bonds around each cosine, averaged over the atoms."""
        centres = np.array(self.COSINES)
        width = centres[1] - centres[0]
        shares = np.zeros((len(around.nearest), len(centres)))
        for atom, (strengths, cosines) in enumerate(_angles(around)):
            pairs = np.outer(strengths, strengths)
            np.fill_diagonal(pairs, 0.0)
            bumps = np.exp(-0.5 * ((cosines[..., None] - centres) / width) ** 2)
            # an atom with a single bond has no angle, and no share in any
            shares[atom] = (pairs[..., None] * bumps).sum(axis=(0, 1)) / max(pairs.sum(), 1e-12)
        mean: Array = shares.mean(axis=0)
        return mean


def _angles(around: Environments) -> list[tuple[Array, Array]]:
    """For each atom, the strengths of its b bonds and the cosines (b x b) between them."""
    strengths = around.bonds
    bonded = strengths > 0
    directions = around.vectors[bonded] / around.distances[bonded, None]
    ends = np.cumsum(np.bincount(around.first[bonded], minlength=len(around.nearest)))[:-1]
    return [
        (weights, np.clip(units @ units.T, -1.0, 1.0))
        for weights, units in zip(
            np.split(strengths[bonded], ends), np.split(directions, ends), strict=True
        )
    ]
