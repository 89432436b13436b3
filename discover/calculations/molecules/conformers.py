"""Conformers of a molecule, by force field and then by xTB, and where a lithium ion binds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.structures.molecule import Molecule

if TYPE_CHECKING:
    from ase import Atoms

LITHIUM_DISTANCE_ANGSTROM = 1.9
DONORS = frozenset({"N", "O", "F", "P", "S", "Cl"})

_DIFFERENT_ANGSTROM = 0.25
_DIRECTIONS = 24
_CLASH_ANGSTROM = 1.6


def conformers(molecule: Molecule, count: int, seed: int) -> list[Atoms]:
    """The molecule as given, then up to `count` - 1 ETKDG geometries by MMFF94 energy (else UFF).

    What lies within 0.25 Å of one before, by the distances between atoms, is left out.
    """
    from rdkit import Chem, RDLogger
    from rdkit.Chem import AllChem

    RDLogger.DisableLog("rdApp.*")
    kept = [molecule.to_atoms()]
    mol = Chem.AddHs(Chem.MolFromSmiles(molecule.smiles))
    if count < 2 or tuple(a.GetAtomicNum() for a in mol.GetAtoms()) != molecule.numbers:
        return kept
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = seed + 1  # from 0 RDKit makes the same geometry each time
    embedded = list(AllChem.EmbedMultipleConfs(mol, 4 * count, parameters))
    has_all = AllChem.MMFFHasAllMoleculeParams(mol)
    optimize = AllChem.MMFFOptimizeMoleculeConfs if has_all else AllChem.UFFOptimizeMoleculeConfs
    energies = [energy for _, energy in optimize(mol, maxIters=500)] if embedded else []
    for index in np.argsort(energies, kind="stable"):
        atoms = molecule.to_atoms()
        atoms.positions = mol.GetConformer(embedded[int(index)]).GetPositions()
        if len(kept) < count and all(_differs(atoms, other) for other in kept):
            kept.append(atoms)
    return kept


def with_lithium(atoms: Atoms) -> list[Atoms]:
    """The molecule with Li⁺ at its end, before each donor atom, where most room is.

    The charge is one more. Without a donor atom (N, O, F, P, S, Cl) the ion stands before each carbon.
    """
    donors = [i for i, symbol in enumerate(atoms.symbols) if symbol in DONORS]
    donors = donors or [i for i, symbol in enumerate(atoms.symbols) if symbol == "C"]
    placed = []
    for index in donors or range(len(atoms)):
        others = np.delete(atoms.positions, index, axis=0)
        sites = atoms.positions[index] + LITHIUM_DISTANCE_ANGSTROM * _sphere(_DIRECTIONS)
        room = np.linalg.norm(sites[:, None] - others[None], axis=2).min(axis=1, initial=np.inf)
        if room.max() < _CLASH_ANGSTROM:
            continue
        complexed = atoms.copy()
        complexed.append("Li")
        complexed.positions[-1] = sites[int(room.argmax())]
        complexed.info["charge"] = int(atoms.info.get("charge", 0)) + 1
        placed.append(complexed)
    return placed


def bonds(atoms: Atoms, count: int | None = None) -> frozenset[tuple[int, int]]:
    """Pairs among the first `count` atoms closer than 1.3 times their covalent radii."""
    from ase.data import covalent_radii

    first = atoms[:count]
    radii = covalent_radii[first.numbers]
    near = first.get_all_distances() < 1.3 * (radii[:, None] + radii)
    return frozenset((int(i), int(j)) for i, j in np.argwhere(np.triu(near, 1)))


def lowest(geometries: Sequence[tuple[Atoms, float]]) -> tuple[Atoms, float]:
    """The geometry of lowest energy, the first of equal ones."""
    return min(geometries, key=lambda pair: pair[1])


def _differs(atoms: Atoms, other: Atoms) -> bool:
    change = atoms.get_all_distances() - other.get_all_distances()
    return bool(np.sqrt(np.mean(change**2)) > _DIFFERENT_ANGSTROM)


def _sphere(count: int) -> np.ndarray:
    """Directions evenly on the unit sphere (a Fibonacci lattice), shape (count, 3)."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - height**2)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), height])
