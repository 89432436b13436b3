"""A molecule as plain data, its way to and from SMILES and ASE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from discover.errors import StructureError
from discover.structures.crystal import Vector

if TYPE_CHECKING:
    from ase import Atoms
    from rdkit.Chem import Mol

CONFORMERS = 10
"""Embedded geometries of which the one with the lowest force-field energy is taken."""


Array = npt.NDArray[np.float64]

_AXES = np.vstack([np.eye(3), -np.eye(3)])
_THIRDS = 2 * np.pi * np.arange(3) / 3
_DIRECTIONS: dict[int, Array] = {
    6: _AXES,
    5: np.vstack([np.c_[np.cos(_THIRDS), np.sin(_THIRDS), np.zeros(3)], _AXES[[2, 5]]]),
}
"""Unit vectors to the corners of an octahedron and of a trigonal bipyramid."""


class Molecule(BaseModel):
    """A molecule or molecular ion: canonical SMILES, one geometry (Å), charge (e) and spin.

    Atoms stand in the order of the SMILES, the hydrogens that it leaves out after them; `multiplicity`
    is 2S + 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    smiles: str = Field(min_length=1)
    numbers: tuple[Annotated[int, Field(ge=1, le=118)], ...] = Field(min_length=1)
    positions_angstrom: tuple[Vector, ...]
    charge: int = 0
    multiplicity: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> Molecule:
        if len(self.numbers) != len(self.positions_angstrom):
            raise ValueError(
                f"{len(self.numbers)} atomic numbers but {len(self.positions_angstrom)} positions"
            )
        electrons = sum(self.numbers) - self.charge
        if electrons < self.multiplicity - 1 or (electrons - self.multiplicity) % 2 == 0:
            raise ValueError(
                f"{electrons} electrons cannot have the multiplicity {self.multiplicity}"
            )
        return self

    def content(self) -> dict[str, Any]:
        """What makes it the molecule it is, for hashes: coordinates rounded to 1e-6 Å."""
        return {
            "smiles": self.smiles,
            "charge": self.charge,
            "multiplicity": self.multiplicity,
            "numbers": self.numbers,
            "positions_angstrom": [
                [round(x, 6) + 0.0 for x in row] for row in self.positions_angstrom
            ],
        }

    @classmethod
    def from_smiles(cls, smiles: str, seed: int = 0) -> Molecule:
        """With the best of a few ETKDG geometries by MMFF94 (UFF where that lacks parameters).

        ETKDGv3: S. Wang et al., J. Chem. Inf. Model. 60, 2044 (2020). Raises StructureError where the
        SMILES cannot be parsed, holds several molecules or a radical, or has no sound geometry.
        """
        from rdkit import Chem, RDLogger
        from rdkit.Chem import AllChem

        RDLogger.DisableLog("rdApp.*")
        parsed = parse_smiles(smiles)
        canonical = Chem.MolToSmiles(parsed)
        mol = Chem.AddHs(Chem.MolFromSmiles(canonical))
        parameters = AllChem.ETKDGv3()
        parameters.randomSeed = seed + 1  # from 0 RDKit makes the same geometry each time
        conformers = list(AllChem.EmbedMultipleConfs(mol, CONFORMERS, parameters))
        if not conformers:
            raise StructureError(f"{smiles!r}: no three-dimensional geometry could be made")
        optimize = (
            AllChem.MMFFOptimizeMoleculeConfs
            if AllChem.MMFFHasAllMoleculeParams(mol)
            else AllChem.UFFOptimizeMoleculeConfs
        )
        energies = [energy for _, energy in optimize(mol, maxIters=500)]
        best = mol.GetConformer(conformers[int(np.argmin(energies))])
        positions = _with_polyhedra(mol, np.array(best.GetPositions()))
        if _atoms_overlap(mol, positions):
            raise StructureError(
                f"{smiles!r}: its atoms overlap in every geometry that could be made"
            )
        return cls(
            smiles=canonical,
            numbers=tuple(atom.GetAtomicNum() for atom in mol.GetAtoms()),
            positions_angstrom=tuple(tuple(map(float, row)) for row in positions),
            charge=Chem.GetFormalCharge(mol),
        )

    @property
    def formula(self) -> str:
        """Hill formula with the charge, as in `C3H4O3` and `F6P-`."""
        from ase.formula import Formula

        hill = Formula.from_list([_symbol(number) for number in self.numbers]).format("hill")
        size = str(abs(self.charge)) if abs(self.charge) > 1 else ""
        return f"{hill}{size}{'+' if self.charge > 0 else '-'}" if self.charge else f"{hill}"

    @property
    def inchikey(self) -> str:
        """IUPAC's hashed identifier: equal for the same molecule, however it is written."""
        return inchikey(self.smiles)

    @property
    def fingerprint(self) -> str:
        """InChIKey, with charge and multiplicity where they are not 0 and 1: equal for duplicates."""
        charge = f"{self.charge:+d}" if self.charge else ""
        return f"{self.inchikey}{charge}{f'm{self.multiplicity}' if self.multiplicity > 1 else ''}"

    @property
    def title(self) -> str:
        """Its SMILES."""
        return self.smiles

    def to_atoms(self) -> Atoms:
        """As a non-periodic ASE `Atoms`, with `charge` and `spin` (2S + 1) in its `info`."""
        from ase import Atoms

        atoms = Atoms(numbers=self.numbers, positions=self.positions_angstrom)
        atoms.info |= {"charge": self.charge, "spin": self.multiplicity}
        return atoms

    def moved(self, atoms: Atoms) -> Molecule:
        """The same molecule with the positions of `atoms`."""
        positions = tuple(tuple(map(float, row)) for row in atoms.positions)
        return self.model_validate(self.model_dump() | {"positions_angstrom": positions})


def inchikey(smiles: str) -> str:
    """IUPAC's hashed identifier of a SMILES; StructureError where that cannot be read."""
    from rdkit import Chem

    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise StructureError(f"{smiles!r} is not a SMILES that can be read")
    return str(Chem.MolToInchiKey(mol))


def parse_smiles(smiles: str) -> Mol:
    """The closed-shell RDKit molecule of a SMILES; StructureError saying what is wrong with it."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    problems = Chem.DetectChemistryProblems(
        Chem.MolFromSmiles(smiles, sanitize=False) or Chem.Mol()
    )
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or not mol.GetNumAtoms():
        why = f": {problems[0].Message()}" if problems else ""
        raise StructureError(f"{smiles!r} is not a SMILES that can be read{why}")
    if len(Chem.GetMolFrags(mol)) > 1:
        raise StructureError(f"{smiles!r} holds several molecules: give each its own")
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise StructureError(f"{smiles!r} is a radical, and closed shells are asked for")
    return mol


def _with_polyhedra(mol: Mol, positions: Array) -> Array:
    """The positions (n x 3, in Å) with octahedra and trigonal bipyramids, which force fields do not know.

    Where an atom has five or six neighbours that have no other, as in PF6-.
    """
    placed = positions.copy()
    for atom in mol.GetAtoms():
        around = [neighbour.GetIdx() for neighbour in atom.GetNeighbors()]
        terminal = all(mol.GetAtomWithIdx(index).GetDegree() == 1 for index in around)
        if terminal and len(around) in _DIRECTIONS:
            centre = positions[atom.GetIdx()]
            length = np.linalg.norm(positions[around] - centre, axis=1).mean()
            placed[around] = centre + length * _DIRECTIONS[len(around)]
    return placed


def _atoms_overlap(mol: Mol, positions: Array) -> bool:
    """Whether two atoms without a bond are closer than one would be."""
    from ase.data import covalent_radii
    from rdkit import Chem

    radii = covalent_radii[[atom.GetAtomicNum() for atom in mol.GetAtoms()]]
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    apart = Chem.GetDistanceMatrix(mol) > 1
    return bool((distances[apart] < (radii[:, None] + radii[None])[apart]).any())


def _symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return str(chemical_symbols[number])
