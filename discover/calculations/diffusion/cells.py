"""Cells for molecular dynamics: supercells of crystals, and molecules packed into a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import CalculationError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from discover.structures.crystal import Crystal
    from discover.structures.formulation import Formulation

GRAM_PER_CM3 = 1.66053906660
"""1 u/Å³ in g/cm³."""

_START_DENSITY = 0.5
_AS_NEAR = 1e-3
_CLEARANCE_ANGSTROM = 2.0
_LARGER = 1.1
_TRIES = 12


@dataclass(frozen=True)
class Carrier:
    """One kind of charge carrier: its name, charge in e, and the atoms of each (carriers, atoms)."""

    name: str
    charge: float
    atoms: NDArray[np.int_]


@dataclass(frozen=True)
class Cell:
    """Atoms in a periodic cell, and what carries charge in it; the first carrier is the mobile ion."""

    atoms: Atoms
    carriers: tuple[Carrier, ...]


def density(atoms: Atoms) -> float:
    """In g/cm³."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * GRAM_PER_CM3)


def supercell(
    crystal: Crystal, mobile: str, charge: float, min_length_angstrom: float, max_atoms: int
) -> Cell:
    """Repeated until opposite faces are `min_length_angstrom` apart.

    CalculationError where the mobile element is not in it, or where that takes more than `max_atoms`.
    """
    atoms = crystal.to_atoms()
    if mobile not in atoms.symbols:
        raise CalculationError(
            f"{atoms.get_chemical_formula()} holds no {mobile}: name the ion that moves by `mobile`"
        )
    heights = 1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    repeats = np.maximum(1, np.ceil(min_length_angstrom / heights - 1e-6)).astype(int)
    if len(atoms) * repeats.prod() > max_atoms:
        raise CalculationError(
            f"a supercell of {min_length_angstrom:g} Å takes {len(atoms) * repeats.prod()} atoms, more "
            f"than max_atoms = {max_atoms}: raise it, or lower min_length_angstrom"
        )
    repeated = atoms.repeat(repeats)
    indices = np.flatnonzero(np.asarray(repeated.symbols) == mobile)
    return Cell(repeated, (Carrier(mobile, charge, indices[:, None]),))


def counts(formulation: Formulation, max_atoms: int) -> list[int]:
    """How many of each component fit into `max_atoms`, neutral and as near to the fractions as can be.

    CalculationError where `max_atoms` are too few for one of each.
    """
    fractions = np.array([c.mole_fraction for c in formulation.components])
    charges = np.array([c.molecule.charge for c in formulation.components])
    sizes = np.array([len(c.molecule.numbers) for c in formulation.components])
    best: tuple[float, list[int]] | None = None
    for total in range(len(fractions), int(max_atoms / (fractions @ sizes)) + 1):
        numbers = np.maximum(1, np.round(fractions * total)).astype(int)
        if numbers @ sizes > max_atoms or numbers @ charges != 0:
            continue
        off = float(np.abs(numbers / numbers.sum() - fractions).max())
        # the largest of those that are as near
        if best is None or off < best[0] - _AS_NEAR or abs(off - best[0]) <= _AS_NEAR:
            best = off, numbers.tolist()
    if best is None:
        raise CalculationError(
            f"max_atoms = {max_atoms} are too few for a neutral box of {formulation.formula}: raise it"
        )
    return best[1]


def packed(formulation: Formulation, max_atoms: int, seed: int) -> Cell:
    """Molecules at random places and orientations in a cube of low density, 2 Å clear of each other.

    The cations come first among the carriers. CalculationError for a formulation without ions, or where
    no place is found for a molecule.
    """
    from ase import Atoms

    numbers = counts(formulation, max_atoms)
    kinds = [c.molecule for c in formulation.components]
    if not any(kind.charge for kind in kinds):
        raise CalculationError(
            f"{formulation.formula} has no ions: the kind 'transport' is about ionic conduction"
        )
    mass = sum(n * k.to_atoms().get_masses().sum() for n, k in zip(numbers, kinds, strict=True))
    edge = float((mass * GRAM_PER_CM3 / _START_DENSITY) ** (1 / 3))
    random = np.random.default_rng(seed)
    for _ in range(_TRIES):
        placed = _place(
            [kinds[i].to_atoms() for i, n in enumerate(numbers) for _ in range(n)], edge, random
        )
        if placed is not None:
            break
        edge *= _LARGER
    else:
        raise CalculationError(f"no box was found for {formulation.formula}: lower max_atoms")
    box = Atoms(cell=[edge] * 3, pbc=True)
    of_kind: list[list[list[int]]] = [[] for _ in kinds]
    for kind, one in zip(np.repeat(np.arange(len(kinds)), numbers), placed, strict=True):
        of_kind[kind].append(list(range(len(box), len(box) + len(one))))
        box += one
    box.info.clear()
    carriers = [
        Carrier(kind.smiles, float(kind.charge), np.array(indices))
        for kind, indices in zip(kinds, of_kind, strict=True)
        if kind.charge
    ]
    return Cell(box, tuple(sorted(carriers, key=lambda c: -c.charge)))


def _place(molecules: list[Atoms], edge: float, random: np.random.Generator) -> list[Atoms] | None:
    """Each molecule, the largest first, at a free point of a grid; None where one finds no place."""
    from ase.geometry import wrap_positions
    from scipy.spatial import cKDTree

    points = int(edge / _CLEARANCE_ANGSTROM)
    grid = (np.indices((points,) * 3).reshape(3, -1).T + 0.5) * edge / points
    taken = np.empty((0, 3))
    placed: dict[int, Atoms] = {}
    for index in sorted(range(len(molecules)), key=lambda i: -len(molecules[i])):
        for site in random.permutation(grid):
            one = molecules[index].copy()
            one.positions -= one.positions.mean(axis=0)
            one.positions = one.positions @ _rotation(random).T + site
            wrapped = wrap_positions(one.positions, np.eye(3) * edge, eps=0) % edge
            if not len(taken) or cKDTree(taken, boxsize=edge).query(wrapped)[0].min() > (
                _CLEARANCE_ANGSTROM
            ):
                taken = np.vstack([taken, wrapped])
                placed[index] = one
                break
        else:
            return None
    return [placed[index] for index in range(len(molecules))]


def _rotation(random: np.random.Generator) -> NDArray[np.float64]:
    """A rotation drawn evenly."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.random(random_state=random).as_matrix())
