"""Structures for the three-dimensional viewer: atoms, bonds and the cell, and the same as files."""

from __future__ import annotations

import io
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from discover.errors import NotServedError, StructureError
from discover.page.candidate_answers import Atom, Shape
from discover.records import Candidate
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule
from discover.structures.structure import sort_name
from discover.structures.symmetry import standardized

Array = npt.NDArray[np.float64]
Format = Literal["cif", "xyz"]

BOND = 1.12
"""A bond joins atoms no further apart than this times the shorter of their nearest distances."""
LONGEST_BOND_ANGSTROM = 4.0
ON_FACE = 1e-3
"""Fractional coordinate below which an atom lies on a face, and is shown on the opposite one too."""
MOST_ATOMS = 4000
GAP_ANGSTROM = 3.0
"""Space between the molecules of a formulation, which are set out side by side."""


def shape(candidate: Candidate, repeats: tuple[int, int, int] = (1, 1, 1)) -> Shape:
    """What is looked at: a crystal's conventional cells, a molecule, or a formulation's molecules.

    NotServedError where so many cells hold more atoms than a viewer should be given.
    """
    structure = candidate.structure
    if isinstance(structure, Crystal):
        return _crystal(candidate.title, structure, repeats)
    if isinstance(structure, Molecule):
        return Shape(title=structure.title, atoms=tuple(_molecule(structure, 0, np.zeros(3))))
    if isinstance(structure, Composition):
        raise NotServedError(f"candidate {candidate.id}: only its composition is known")
    return _formulation(structure)


def structure_text(candidate: Candidate, kind: Format) -> str:
    """The structure as a CIF (crystals, conventional cell) or extended XYZ file.

    NotServedError for a CIF of something that has no cell.
    """
    from ase.io import write

    structure = candidate.structure
    if isinstance(structure, Formulation | Composition):
        raise NotServedError(
            f"candidate {candidate.id} is a {sort_name(structure)}: it has no structure file"
        )
    if kind == "cif" and not isinstance(structure, Crystal):
        raise NotServedError(f"candidate {candidate.id} has no cell: take its xyz file")
    if isinstance(structure, Crystal):
        structure = _conventional(structure)
    if kind == "cif":
        binary = io.BytesIO()
        write(binary, structure.to_atoms(), format="cif")
        return binary.getvalue().decode()
    text = io.StringIO()
    write(text, structure.to_atoms(), format="extxyz")
    return text.getvalue()


def _crystal(title: str, crystal: Crystal, repeats: tuple[int, int, int]) -> Shape:
    from ase.data import chemical_symbols

    shown = _conventional(crystal)
    vectors, scaled = np.array(shown.cell_angstrom), np.array(shown.scaled_positions)
    if not (np.abs(scaled - np.round(scaled)) < ON_FACE).all(axis=1).any():
        scaled = scaled - scaled[0]  # a cell with an atom at its corners is the one people know
    numbers, places = [], []
    for number, place in zip(shown.numbers, scaled - np.floor(scaled + ON_FACE), strict=True):
        for cell in product(
            *(range(n + (abs(x) < ON_FACE)) for n, x in zip(repeats, place, strict=True))
        ):
            numbers.append(number)
            places.append((place + cell) @ vectors)
    if len(places) > MOST_ATOMS:
        raise NotServedError(f"{len(places)} atoms are too many to be shown: ask for fewer cells")
    points = np.array(places)
    bonds = _bonds(points)
    return Shape(
        title=title,
        atoms=tuple(
            Atom(
                symbol=chemical_symbols[number],
                **_place(point),
                bonds=bonded,
                orders=(1.0,) * len(bonded),
            )
            for number, point, bonded in zip(numbers, points, bonds, strict=True)
        ),
        cell=tuple((float(v[0]), float(v[1]), float(v[2])) for v in vectors),
        repeats=repeats,
    )


def _conventional(crystal: Crystal) -> Crystal:
    try:
        return standardized(crystal, primitive=False)
    except StructureError:
        return crystal  # no symmetry is found in it: it is shown as it is


def _bonds(points: Array) -> list[tuple[int, ...]]:
    """Each atom's neighbours at about the shorter of the two atoms' nearest distances."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points)
    pairs = tree.query_pairs(LONGEST_BOND_ANGSTROM, output_type="ndarray")
    distances = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    nearest = np.full(len(points), np.inf)
    for column in (0, 1):
        np.minimum.at(nearest, pairs[:, column], distances)
    found: list[list[int]] = [[] for _ in points]
    for (i, j), distance in zip(pairs.tolist(), distances, strict=True):
        if distance <= BOND * min(nearest[i], nearest[j]):
            found[i].append(j)
            found[j].append(i)
    return [tuple(sorted(bonded)) for bonded in found]


def _molecule(molecule: Molecule, first: int, shift: Array) -> list[Atom]:
    """Atoms, numbered from `first`, with the bonds and bond orders of the SMILES."""
    from ase.data import chemical_symbols

    bonded: list[list[tuple[int, float]]] = [[] for _ in molecule.numbers]
    for i, j, order in _smiles_bonds(molecule.smiles):
        bonded[i].append((first + j, order))
        bonded[j].append((first + i, order))
    return [
        Atom(
            symbol=chemical_symbols[number],
            **_place(np.array(position) + shift),
            bonds=tuple(k for k, _ in bonds),
            orders=tuple(order for _, order in bonds),
        )
        for number, position, bonds in zip(
            molecule.numbers, molecule.positions_angstrom, bonded, strict=True
        )
    ]


def _smiles_bonds(smiles: str) -> list[tuple[int, int, float]]:
    """Bonds of a SMILES whose hydrogens stand after all other atoms, as in a `Molecule`."""
    from rdkit import Chem

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return [
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondTypeAsDouble())
        for bond in mol.GetBonds()
    ]


def _formulation(formulation: Formulation) -> Shape:
    atoms: list[Atom] = []
    edge = 0.0
    for component in formulation.components:
        positions = np.array(component.molecule.positions_angstrom)
        middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
        width = float(np.ptp(positions[:, 0]))
        shift = np.array([edge + width / 2, 0.0, 0.0]) - middle
        atoms += _molecule(component.molecule, len(atoms), shift)
        edge += width + GAP_ANGSTROM
    return Shape(title=formulation.title, atoms=tuple(atoms))


def _place(point: Array) -> dict[str, float]:
    return {axis: round(float(value), 4) for axis, value in zip("xyz", point, strict=True)}
