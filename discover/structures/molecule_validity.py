"""Whether a molecule can be made and kept: elements, charge, mass, unstable groups, strain."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from discover.errors import MissingDependencyError, StructureError
from discover.section import Section
from discover.structures.molecule import parse_smiles

if TYPE_CHECKING:
    from rdkit.Chem import Mol

_SMALL_RING = 8
"""Rings of fewer atoms hold neither a triple bond, nor cumulated double bonds, nor a double bond at a
bridgehead (J. Bredt, Liebigs Ann. Chem. 437, 1 (1924))."""


def _symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    from ase.data import atomic_numbers

    unknown = sorted(set(symbols) - (set(atomic_numbers) - {"X"}))
    if unknown:
        raise ValueError(f"no chemical symbols: {', '.join(unknown)}")
    return symbols


class MoleculeFilters(Section):
    """Hard limits on proposed molecules; what fails one is kept with its reason."""

    elements: Annotated[tuple[str, ...], AfterValidator(_symbols)] = (
        "H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl",
    )  # fmt: skip
    """Chemical symbols allowed."""
    charges: tuple[int, ...] = (0,)
    """Charges allowed, in e."""
    max_molar_mass_g_mol: float | None = Field(400.0, gt=0)
    """Largest molar mass, in g/mol; null: no limit."""
    min_ring_atoms: int = Field(4, ge=3)
    """Atoms in the smallest ring allowed: 4 refuses epoxides and cyclopropanes."""
    max_sa_score: float | None = Field(5.0, ge=1, le=10)
    """Largest score of synthetic accessibility, 1 (easy) to 10; null: no limit."""
    forbidden_groups: tuple[str, ...] = (
        "[O,S;X2][O,S;X2]",
        "[#7,O][F,Cl]",
        "[CX4]([OX2H])[OX2H]",
        "[NX3][NX3][NX3]",
        "[CX3](=O)[F,Cl]",
    )
    """SMARTS of groups that do not last: by default O-O, S-S, N and O with F or Cl, geminal diols,
    triazanes, acyl halides."""


def molecule_problem(smiles: str, filters: MoleculeFilters) -> str | None:
    """What is wrong with a molecule; None where nothing is.

    The valences are those that RDKit knows, the synthetic accessibility is that of P. Ertl and A.
    Schuffenhauer, J. Cheminform. 1, 8 (2009).
    """
    from rdkit import Chem
    from rdkit.Chem import Descriptors

    try:
        mol = parse_smiles(smiles)
    except StructureError as error:
        return str(error)
    foreign = sorted({a.GetSymbol() for a in Chem.AddHs(mol).GetAtoms()} - set(filters.elements))
    if foreign:
        return f"elements: {', '.join(foreign)} not allowed"
    charge = Chem.GetFormalCharge(mol)
    if charge not in filters.charges:
        return f"charge: {charge:+d} e not allowed"
    mass, heaviest = Descriptors.MolWt(mol), filters.max_molar_mass_g_mol
    if heaviest is not None and mass > heaviest:
        return f"molar mass: {mass:.1f} g/mol (limit {heaviest:g})"
    for smarts in filters.forbidden_groups:
        if mol.HasSubstructMatch(pattern(smarts)):
            return f"unstable group: {smarts}"
    if (strain := strain_problem(mol, filters.min_ring_atoms)) is not None:
        return f"ring strain: {strain}"
    score, hardest = synthetic_accessibility(mol), filters.max_sa_score
    if hardest is not None and score > hardest:
        return f"synthetic accessibility: {score:.2f} (limit {hardest:g})"
    return None


def strain_problem(mol: Mol, min_ring_atoms: int) -> str | None:
    """What strains the rings of an RDKit molecule beyond what lasts; None where nothing does."""
    from rdkit.Chem import rdMolDescriptors

    rings = [set(ring) for ring in mol.GetRingInfo().AtomRings()]
    smallest = min(map(len, rings), default=min_ring_atoms)
    if smallest < min_ring_atoms:
        return f"a ring of {smallest} atoms (at least {min_ring_atoms} wanted)"
    for number, ring in enumerate(rings):
        if any(len(ring) < 5 and len(other) < 5 and ring & other for other in rings[:number]):
            return "two rings of fewer than 5 atoms share an atom"
    small = [ring for ring in rings if len(ring) < _SMALL_RING]
    bridgeheads: list[int] = []
    rdMolDescriptors.CalcNumBridgeheadAtoms(mol, bridgeheads)
    for bond in mol.GetBonds():
        ends = {bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()}
        inside = any(ends <= ring for ring in small)
        order = bond.GetBondTypeAsDouble()
        if inside and order == 3:
            return f"a triple bond in a ring of fewer than {_SMALL_RING} atoms"
        if inside and order == 2 and ends & set(bridgeheads):
            return "a double bond at a bridgehead"
    if any(_is_cumulated(mol.GetAtomWithIdx(index)) for ring in small for index in ring):
        return f"cumulated double bonds in a ring of fewer than {_SMALL_RING} atoms"
    return None


def synthetic_accessibility(mol: Mol) -> float:
    """Score from 1 (easy to make) to 10 of an RDKit molecule."""
    return float(_sascorer().calculateScore(mol))


@cache
def pattern(smarts: str) -> Mol:
    """The RDKit query of a SMARTS; StructureError where it is none."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    query = Chem.MolFromSmarts(smarts)
    if query is None:
        raise StructureError(f"{smarts!r} is not a SMARTS that can be read")
    return query


@cache
def _sascorer() -> Any:
    try:
        from rdkit.Contrib.SA_Score import sascorer
    except ImportError as error:
        raise MissingDependencyError(
            "the score of synthetic accessibility needs RDKit's Contrib folder: pip install "
            "'discover-materials[molecules]', or set filters.molecules.max_sa_score to null"
        ) from error
    return sascorer


def _is_cumulated(atom: Any) -> bool:
    """Whether a carbon has two double bonds to ring neighbours."""
    doubles = [b for b in atom.GetBonds() if b.GetBondTypeAsDouble() == 2 and b.IsInRing()]
    return len(doubles) > 1
