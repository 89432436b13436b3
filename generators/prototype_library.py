"""Structure prototypes as data: sites, rules, and how contact distances fix the cell.

Settings and Wyckoff positions are those of the International Tables, vol. A; prototypes as in AFLOW
(D. Hicks et al., Comput. Mater. Sci. 199, 110450 (2021)) unless a function names another source.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from discover.structures.crystal import Crystal
from generators.chemistry import Role

PrototypeName = Literal[
    "rocksalt",
    "zincblende",
    "wurtzite",
    "CsCl",
    "NiAs",
    "fluorite",
    "antifluorite",
    "perovskite",
    "double-perovskite",
    "half-Heusler",
    "chalcopyrite",
    "spinel",
]

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Conventional cell (a and c in Å) and one fractional position of each site."""

    a: float
    c: float
    positions: tuple[Position, ...]


@dataclass(frozen=True)
class Site:
    """A Wyckoff orbit: what may sit there, its share of the formula, its coordination number."""

    role: Role
    count: int
    coordination: int


@dataclass(frozen=True)
class Prototype:
    """A structure type.

    A decoration is allowed when the valences, weighted by the sites' counts, add up to one of
    `valence_sums`, and when the first site of each pair in `electronegativity_order` is the less
    electronegative. `geometry` takes the distances (Å) of `contacts` in their order and is None where
    no such cell exists. Exchanging the elements of the `interchangeable` sites gives the same crystal.
    """

    name: PrototypeName
    spacegroup: int
    hall_number: int
    sites: tuple[Site, ...]
    contacts: tuple[tuple[int, int], ...]
    electronegativity_order: tuple[tuple[int, int], ...]
    geometry: Callable[..., Geometry | None]
    bonding: Literal["ionic", "covalent"] = "ionic"
    valence_sums: tuple[int, ...] = (0,)
    interchangeable: tuple[int, int] | None = None

    def crystal(self, numbers: tuple[int, ...], geometry: Geometry) -> Crystal:
        """Primitive cell with these atomic numbers, one a site."""
        cell = _conventional_cell(self.spacegroup, geometry)
        rotations, translations, primitive = _symmetry(self.hall_number)
        to_primitive = np.linalg.inv(primitive)
        atoms: list[int] = []
        positions: list[Position] = []
        for number, representative in zip(numbers, geometry.positions, strict=True):
            images = (rotations @ np.asarray(representative) + translations) @ to_primitive
            orbit = images - np.floor(images + 1e-6)  # so that 0.9999999 becomes 0, not 1
            _, first = np.unique(np.round(orbit, 5), axis=0, return_index=True)
            atoms += [number] * len(first)
            positions += [(float(x), float(y), float(z)) for x, y, z in orbit[np.sort(first)]]
        return Crystal(
            numbers=tuple(atoms),
            cell_angstrom=(primitive @ cell).tolist(),
            scaled_positions=tuple(positions),
        )


def _conventional_cell(spacegroup: int, geometry: Geometry) -> NDArray[np.float64]:
    a, c = geometry.a, geometry.c
    if 168 <= spacegroup <= 194:
        return np.array([[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, c]])
    return np.diag([a, a, c])


_PRIMITIVE_VECTORS = {
    "P": np.eye(3),
    "F": np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "I": np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]]),
}
"""Rows in units of the conventional vectors, by the letter of the centring."""


@cache
def _symmetry(
    hall_number: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
    import spglib

    operations = spglib.get_symmetry_from_database(hall_number)
    centring = spglib.get_spacegroup_type(hall_number).international_short[0]
    return operations["rotations"], operations["translations"], _PRIMITIVE_VECTORS[centring]


def _scaled(
    positions: tuple[Position, ...], a_over_d: float, c_over_a: float = 1.0
) -> Callable[[float], Geometry]:
    """Geometry without free parameters: one contact distance d sets the scale."""
    return lambda d: Geometry(a_over_d * d, c_over_a * a_over_d * d, positions)


_MIN_TOLERANCE, _MAX_TOLERANCE = 0.75, 1.05
"""Goldschmidt factors (six-coordinate radii) between which perovskites are known to form."""


def _pseudocubic_constant(d_ax: float, d_bx: float) -> float | None:
    """Perovskite lattice constant in Å; None outside of the Goldschmidt limits.

    R. Ubic, J. Am. Ceram. Soc. 90, 3326 (2007), a fit with six-coordinate radii on both sites.
    """
    if not _MIN_TOLERANCE <= d_ax / (math.sqrt(2) * d_bx) <= _MAX_TOLERANCE:
        return None
    return 0.06741 + 0.49052 * d_ax + 1.29212 * d_bx


def _perovskite(d_ax: float, d_bx: float) -> Geometry | None:
    a = _pseudocubic_constant(d_ax, d_bx)
    if a is None:
        return None
    return Geometry(a, a, ((0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (0.5, 0.0, 0.0)))


def _double_perovskite(d_ax: float, d_bx: float, d_cx: float) -> Geometry | None:
    half = _pseudocubic_constant(d_ax, (d_bx + d_cx) / 2)
    if half is None:
        return None
    x = d_bx / (d_bx + d_cx) / 2
    positions = ((0.25, 0.25, 0.25), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (x, 0.0, 0.0))
    return Geometry(2 * half, 2 * half, positions)


def _chalcopyrite(d_ax: float, d_bx: float) -> Geometry | None:
    """Lattice constant and anion parameter u that give both bond lengths at c = 2a, if they can.

    J. E. Jaffe and A. Zunger, Phys. Rev. B 29, 1882 (1984), eqs. 1 and 2 with η = c/2a = 1.
    """
    total, difference = d_ax**2 + d_bx**2, d_ax**2 - d_bx**2
    under_root = total**2 - 3 * difference**2
    if under_root < 0:
        return None
    a_squared = 4 / 3 * (total + math.sqrt(under_root))
    u = 0.25 + difference / a_squared
    a = math.sqrt(a_squared)
    return Geometry(a, 2 * a, ((0.0, 0.0, 0.0), (0.0, 0.0, 0.5), (u, 0.25, 0.125)))


def _spinel(d_tetrahedral: float, d_octahedral: float) -> Geometry | None:
    """Lattice constant and anion parameter u (origin at -3m) that give both bond lengths.

    R. J. Hill, J. R. Craig and G. V. Gibbs, Phys. Chem. Miner. 4, 317 (1979).
    """
    under_root = 33 * d_octahedral**2 - 8 * d_tetrahedral**2
    if under_root < 0:
        return None
    a = (40 * d_tetrahedral + 8 * math.sqrt(under_root)) / (11 * math.sqrt(3))
    u = 0.125 + d_tetrahedral / (a * math.sqrt(3))
    return Geometry(a, a, ((0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (u, u, u)))


def _binary(
    name: PrototypeName,
    spacegroup: int,
    hall_number: int,
    *,
    cation: tuple[int, int],
    anion: tuple[int, int],
    geometry: Callable[[float], Geometry],
) -> Prototype:
    """A prototype of one cation and one anion, each given as (count, coordination number)."""
    return Prototype(
        name=name,
        spacegroup=spacegroup,
        hall_number=hall_number,
        sites=(Site("cation", *cation), Site("anion", *anion)),
        contacts=((0, 1),),
        electronegativity_order=((0, 1),),
        geometry=geometry,
    )


_ORIGIN, _QUARTER, _CENTRE = (0.0, 0.0, 0.0), (0.25, 0.25, 0.25), (0.5, 0.5, 0.5)
_TETRAHEDRAL = 4 / math.sqrt(3)
"""a over the bond length where a cube's eighth holds a regular tetrahedron."""
_CLOSE_PACKED = math.sqrt(8 / 3)
"""c over a of ideal hexagonal close packing, and a over the bond length of ideal wurtzite."""

PROTOTYPES: dict[PrototypeName, Prototype] = {
    prototype.name: prototype
    for prototype in (
        _binary(
            "rocksalt",
            225,
            523,
            cation=(1, 6),
            anion=(1, 6),
            geometry=_scaled((_ORIGIN, _CENTRE), 2.0),
        ),
        _binary(
            "zincblende",
            216,
            512,
            cation=(1, 4),
            anion=(1, 4),
            geometry=_scaled((_ORIGIN, _QUARTER), _TETRAHEDRAL),
        ),
        _binary(
            "wurtzite",
            186,
            480,
            cation=(1, 4),
            anion=(1, 4),
            geometry=_scaled(
                ((1 / 3, 2 / 3, 0.0), (1 / 3, 2 / 3, 0.375)), _CLOSE_PACKED, _CLOSE_PACKED
            ),
        ),
        _binary(
            "CsCl",
            221,
            517,
            cation=(1, 8),
            anion=(1, 8),
            geometry=_scaled((_ORIGIN, _CENTRE), 2 / math.sqrt(3)),
        ),
        _binary(
            "NiAs",
            194,
            488,
            cation=(1, 6),
            anion=(1, 6),
            geometry=_scaled((_ORIGIN, (1 / 3, 2 / 3, 0.25)), math.sqrt(2), _CLOSE_PACKED),
        ),
        _binary(
            "fluorite",
            225,
            523,
            cation=(1, 8),
            anion=(2, 4),
            geometry=_scaled((_ORIGIN, _QUARTER), _TETRAHEDRAL),
        ),
        _binary(
            "antifluorite",
            225,
            523,
            cation=(2, 4),
            anion=(1, 8),
            geometry=_scaled((_QUARTER, _ORIGIN), _TETRAHEDRAL),
        ),
        Prototype(
            name="perovskite",
            spacegroup=221,
            hall_number=517,
            sites=(Site("cation", 1, 6), Site("cation", 1, 6), Site("anion", 3, 6)),
            contacts=((0, 2), (1, 2)),
            electronegativity_order=((0, 2), (1, 2)),
            geometry=_perovskite,
        ),
        Prototype(
            name="double-perovskite",
            spacegroup=225,
            hall_number=523,
            sites=(
                Site("cation", 2, 6),
                Site("cation", 1, 6),
                Site("cation", 1, 6),
                Site("anion", 6, 6),
            ),
            contacts=((0, 3), (1, 3), (2, 3)),
            electronegativity_order=((0, 3), (1, 3), (2, 3)),
            geometry=_double_perovskite,
            interchangeable=(1, 2),
        ),
        Prototype(  # Y and Z form a zincblende framework whose voids X fills
            name="half-Heusler",
            spacegroup=216,
            hall_number=512,
            sites=(Site("heusler_x", 1, 4), Site("heusler_y", 1, 4), Site("heusler_z", 1, 4)),
            contacts=((1, 2),),
            electronegativity_order=((0, 1), (0, 2)),
            geometry=_scaled((_CENTRE, _QUARTER, _ORIGIN), _TETRAHEDRAL),
            bonding="covalent",
            valence_sums=(8, 18),
        ),
        Prototype(
            name="chalcopyrite",
            spacegroup=122,
            hall_number=399,
            sites=(Site("cation", 1, 4), Site("cation", 1, 4), Site("anion", 2, 4)),
            contacts=((0, 2), (1, 2)),
            electronegativity_order=((0, 2), (1, 2)),
            geometry=_chalcopyrite,
            interchangeable=(0, 1),
        ),
        Prototype(
            name="spinel",
            spacegroup=227,
            hall_number=526,
            sites=(Site("cation", 1, 4), Site("cation", 2, 6), Site("anion", 4, 4)),
            contacts=((0, 2), (1, 2)),
            electronegativity_order=((0, 2), (1, 2)),
            geometry=_spinel,
        ),
    )
}
