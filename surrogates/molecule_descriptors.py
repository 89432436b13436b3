"""Descriptors `molecule` and `morgan`: physico-chemical numbers and fragment counts by RDKit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from discover.errors import StructureError
from discover.records import Candidate
from discover.structures.molecule import Molecule

if TYPE_CHECKING:
    from rdkit.Chem import Mol

Array = npt.NDArray[np.float64]

_PROPERTIES = (
    "MolWt",
    "HeavyAtomCount",
    "TPSA",
    "MolLogP",
    "MolMR",
    "LabuteASA",
    "FractionCSP3",
    "NumHAcceptors",
    "NumHDonors",
    "NumRotatableBonds",
    "RingCount",
    "NumAromaticRings",
    "NumSpiroAtoms",
    "NumBridgeheadAtoms",
    "NumValenceElectrons",
    "HallKierAlpha",
    "Kappa1",
    "Kappa2",
    "Chi0v",
    "Chi1v",
)
"""Functions of `rdkit.Chem.Descriptors`."""
_ELEMENTS = ("H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I")
_GROUPS = {
    "carbonyl": "[CX3]=O",
    "carbonate": "[OX2,o]C(=O)[OX2,o]",
    "ester": "[#6][CX3](=O)[OX2][#6]",
    "ether": "[OD2]([#6;!$(C=O)])[#6;!$(C=O)]",
    "nitrile": "C#N",
    "sulfonyl": "S(=O)=O",
    "phosphoryl": "P=O",
    "amine": "[NX3;!$(NC=O);!$(NS=O)]",
    "double_bond": "[#6]=[#6]",
    "fluoromethyl": "C(F)(F)F",
    "carbon_fluorine": "[#6]F",
    "hydroxyl": "[OX2H]",
    "alpha_hydrogen": "[CX4;!H0][C,S,P]=O",
    "oxygen_bound_carbon_hydrogen": "[CX4;!H0][OX2]",
}
"""SMARTS of groups whose oxidation, reduction and solvation set molecules apart."""


class MoleculeDescriptor:
    """Size, polarity, shape, elements and functional groups: 47 numbers that SMILES alone decide.

    Crippen's logP and refractivity, Ertl's polar surface area, Kier's shape indices and the like, as
    RDKit computes them; counts of elements and of groups; charge and number of unpaired electrons.
    """

    takes = Molecule

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns; molar mass in g/mol, areas in Å²."""
        return (
            *_PROPERTIES,
            *(f"count_{symbol}" for symbol in _ELEMENTS),
            *(f"groups_{name}" for name in _GROUPS),
            "charge",
        )

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x 47)."""
        return np.array([describe_smiles(candidate.molecule.smiles) for candidate in candidates])


class MorganDescriptor:
    """Counts of the environments of atoms up to `radius` bonds, hashed to `size` columns.

    D. Rogers and M. Hahn, J. Chem. Inf. Model. 50, 742 (2010). Counts enter as log(1 + count).
    """

    takes = Molecule

    def __init__(self, radius: int = 2, size: int = 256) -> None:
        self._radius, self._size = radius, size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(f"morgan_{number}" for number in range(self._size))

    def describe(self, candidates: Sequence[Candidate]) -> Array:
        """One row per candidate (n x size)."""
        from rdkit.Chem import rdFingerprintGenerator

        generator = rdFingerprintGenerator.GetMorganGenerator(
            radius=self._radius, fpSize=self._size
        )
        rows = [generator.GetCountFingerprintAsNumPy(_mol(c.molecule.smiles)) for c in candidates]
        return np.log1p(np.array(rows, dtype=np.float64))


def describe_smiles(smiles: str) -> Array:
    """The row of the descriptor `molecule`.

    StructureError where the SMILES cannot be read, or a number is not finite.
    """
    from rdkit import Chem

    mol = _mol(smiles)
    symbols = [atom.GetSymbol() for atom in Chem.AddHs(mol).GetAtoms()]
    row = np.array(
        [
            *(function(mol) for function in _functions()),
            *(symbols.count(symbol) for symbol in _ELEMENTS),
            *(len(mol.GetSubstructMatches(query)) for query in _queries()),
            Chem.GetFormalCharge(mol),
        ],
        dtype=np.float64,
    )
    if not np.isfinite(row).all():
        bad = [
            n for n, x in zip(MoleculeDescriptor().names, row, strict=True) if not np.isfinite(x)
        ]
        raise StructureError(f"{smiles}: RDKit gives no {', '.join(bad)}")
    return row


@cache
def _functions() -> tuple[Callable[[Mol], float], ...]:
    from rdkit.Chem import Descriptors

    return tuple(getattr(Descriptors, name) for name in _PROPERTIES)


@cache
def _queries() -> tuple[Mol, ...]:
    from rdkit import Chem

    return tuple(Chem.MolFromSmarts(smarts) for smarts in _GROUPS.values())


def _mol(smiles: str) -> Mol:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():  # the reason is told by row
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not mol.GetNumAtoms():
        raise StructureError(f"{smiles!r} is not a SMILES that can be read")
    return mol
