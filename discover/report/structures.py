"""Drawings of crystals: the conventional cell as a small SVG of shaded spheres, bonds and edges."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from discover.errors import StructureError
from discover.records import content_hash
from discover.structures.crystal import Crystal
from discover.structures.symmetry import standardized

Array = npt.NDArray[np.float64]

_SIZE = 100.0
"""Width and height of a drawing in its own units."""
_AZIMUTH, _ELEVATION = np.radians(24.0), np.radians(13.0)
_SPHERE = 0.42
"""Drawn radius over covalent radius: small enough to see through the cell."""
_BOND_RADIUS_ANGSTROM = 0.11
_BOND = 1.12
"""A bond joins atoms no further apart than this times the shorter of their nearest distances."""
_ON_FACE = 1e-3
"""Fractional coordinate below which an atom lies on a face, and is drawn on the opposite one too."""
_COINCIDENT_ANGSTROM = 1e-6


class ElementColour(NamedTuple):
    """Chemical symbol and its colour in the drawings, as `#rrggbb`."""

    symbol: str
    colour: str


class _Cell(NamedTuple):
    numbers: tuple[int, ...]
    vectors: Array
    scaled: Array


class _Shape(NamedTuple):
    depth: float  # along the line of sight, larger is nearer
    svg: str


def crystal_svg(crystal: Crystal) -> str:
    """The conventional cell, seen from slightly above, with the atoms on its faces completed.

    Colours are those of Jmol; cell edges take the page's text colour. Ids inside are made from the
    crystal, so that many drawings can share a page. A cell in which no symmetry is found is drawn as
    it is.
    """
    cell = _conventional(crystal)
    basis, scaled = _completed(cell)
    view = _view()
    atoms = scaled @ cell.vectors @ view.T
    corners = np.array(list(product((0, 1), repeat=3))) @ cell.vectors @ view.T
    numbers = [cell.numbers[index] for index in basis]
    radii = np.array([_radius(z) for z in numbers])

    low = np.minimum((atoms[:, :2] - radii[:, None]).min(axis=0), corners[:, :2].min(axis=0))
    high = np.maximum((atoms[:, :2] + radii[:, None]).max(axis=0), corners[:, :2].max(axis=0))
    scale = (_SIZE - 2) / float((high - low).max())
    middle = np.append((low + high) / 2, 0.0)
    for points in (atoms, corners):  # to the drawing's units, y downwards
        points -= middle
        points *= (scale, -scale, scale)
        points += (_SIZE / 2, _SIZE / 2, 0.0)

    key = f"c{content_hash(crystal.model_dump(mode='json'), 8)}"
    shapes = _edges(corners)
    for i, j in _bonds(cell, basis, scaled):
        shapes += _bond((numbers[i], numbers[j]), (atoms[i], atoms[j]), scale)
    shapes += [
        _Shape(
            float(depth),
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius * scale:.1f}" '
            f'fill="url(#{key}-{z})" stroke="{_shade(z, black=0.5)}"/>',
        )
        for z, radius, (x, y, depth) in zip(numbers, radii, atoms, strict=True)
    ]
    drawn = "".join(shape.svg for shape in sorted(shapes, key=lambda shape: shape.depth))
    gradients = "".join(_gradient(key, z) for z in sorted(set(numbers)))
    return (
        f'<svg class="crystal" xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {_SIZE:g} {_SIZE:g}" fill="none" stroke="currentColor" stroke-width=".6">'
        f"<title>{escape(_title(cell))}</title><defs>{gradients}</defs>{drawn}</svg>"
    )


def element_colours(numbers: Iterable[int]) -> list[ElementColour]:
    """The legend of a drawing: each of these atomic numbers once, in the order it first appears."""
    from ase.data import chemical_symbols

    return [ElementColour(chemical_symbols[z], _shade(z)) for z in dict.fromkeys(numbers)]


def _conventional(crystal: Crystal) -> _Cell:
    try:
        shown = standardized(crystal, primitive=False)
    except StructureError:
        shown = crystal
    vectors, scaled = np.array(shown.cell_angstrom), np.array(shown.scaled_positions)
    if shown is not crystal and not _any_on_corner(scaled):
        scaled = scaled - scaled[0]  # a cell with an atom at its corners is the one people know
    return _Cell(shown.numbers, vectors, scaled)


def _any_on_corner(scaled: Array) -> bool:
    return bool((np.abs(scaled - np.round(scaled)) < _ON_FACE).all(axis=1).any())


def _completed(cell: _Cell) -> tuple[list[int], Array]:
    """Index in the cell and fractional position of every atom drawn, images on far faces included."""
    basis, scaled = [], []
    for index, place in enumerate(cell.scaled - np.floor(cell.scaled + _ON_FACE)):
        for shift in product(*((0, 1) if abs(x) < _ON_FACE else (0,) for x in place)):
            basis.append(index)
            scaled.append(place + shift)
    return basis, np.array(scaled)


def _view() -> Array:
    """Rotation to x right, y up, z towards the eye, for a cell with c upright."""
    a, e = _AZIMUTH, _ELEVATION
    right = (np.cos(a), np.sin(a), 0.0)
    towards = (np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e))
    return np.array([right, np.cross(towards, right), towards])


def _bonds(cell: _Cell, basis: list[int], scaled: Array) -> list[tuple[int, int]]:
    nearest = _nearest_distances(cell)
    places = scaled @ cell.vectors
    return [
        (i, j)
        for i, j in combinations(range(len(basis)), 2)
        if _COINCIDENT_ANGSTROM
        < np.linalg.norm(places[i] - places[j])
        <= _BOND * min(nearest[basis[i]], nearest[basis[j]])
    ]


def _nearest_distances(cell: _Cell) -> Array:
    """Distance of each atom to its nearest neighbour, periodic images included, in Å."""
    shifts = np.array(list(product((-1, 0, 1), repeat=3)))
    apart = cell.scaled[:, None, None] - cell.scaled[None, :, None] + shifts
    apart -= np.round(cell.scaled[:, None, None] - cell.scaled[None, :, None])
    distances = np.linalg.norm(apart @ cell.vectors, axis=-1)
    distances[distances < _COINCIDENT_ANGSTROM] = np.inf  # the atom itself
    return np.asarray(distances.min(axis=(1, 2)))


def _edges(corners: Array) -> list[_Shape]:
    """Both halves of the cell's edges, each just behind its own far end so that atoms cover them."""
    return [
        _Shape(
            float(min(corners[end, 2], (corners[i, 2] + corners[j, 2]) / 2)) - 1e-6,
            f'<path d="{_line(corners[end], (corners[i] + corners[j]) / 2)}"/>',
        )
        for i, j in combinations(range(8), 2)
        if (i ^ j).bit_count() == 1  # corners are numbered by their coordinates' bits
        for end in (i, j)
    ]


def _bond(elements: tuple[int, int], ends: tuple[Array, Array], scale: float) -> list[_Shape]:
    """Two halves from sphere to sphere, each in the colour of its atom and at its own depth."""
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    surfaces = [
        end + sign * 0.9 * _radius(z) * scale * along
        for end, z, sign in zip(ends, elements, (1, -1), strict=True)
    ]
    middle = (surfaces[0] + surfaces[1]) / 2
    return [
        _Shape(
            float((surface[2] + middle[2]) / 2),
            f'<path d="{_line(surface, middle)}" stroke="{_shade(z, black=0.15)}" '
            f'stroke-width="{2 * _BOND_RADIUS_ANGSTROM * scale:.1f}"/>',
        )
        for surface, z in zip(surfaces, elements, strict=True)
    ]


def _line(start: Array, end: Array) -> str:
    return f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}"


def _gradient(key: str, z: int) -> str:
    """Lit from the upper left."""
    return (
        f'<radialGradient id="{key}-{z}" cx=".36" cy=".32" r=".72">'
        f'<stop stop-color="{_shade(z, white=0.8)}"/>'
        f'<stop offset=".45" stop-color="{_shade(z)}"/>'
        f'<stop offset="1" stop-color="{_shade(z, black=0.35)}"/></radialGradient>'
    )


def _shade(z: int, *, white: float = 0.0, black: float = 0.0) -> str:
    """The element's Jmol colour with a share of white or black, as `#rrggbb`."""
    from ase.data.colors import jmol_colors

    colour = np.asarray(jmol_colors[z]) * (1 - white - black) + white
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colour)


def _radius(z: int) -> float:
    from ase.data import covalent_radii

    return _SPHERE * float(covalent_radii[z])


def _title(cell: _Cell) -> str:
    from ase.data import chemical_symbols

    counts = {z: cell.numbers.count(z) for z in cell.numbers}
    contents = " ".join(f"{chemical_symbols[z]}{n}" for z, n in counts.items())
    lengths = ", ".join(f"{length:.2f}" for length in np.linalg.norm(cell.vectors, axis=1))
    return f"conventional cell: {contents}; a, b, c = {lengths} Å"
