"""Families of solvent molecules, and the groups that are put on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

FamilyName = Literal["carbonates", "ethers", "sulfones", "nitriles", "phosphates", "esters"]

SCAFFOLDS: dict[FamilyName, tuple[str, ...]] = {
    "carbonates": ("O=C1OCCO1", "COC(=O)OC", "CCOC(=O)OC"),
    "ethers": ("COCCOC", "C1COCO1", "C1CCOC1", "COCOC"),
    "sulfones": ("O=S1(=O)CCCC1", "CS(C)(=O)=O", "CCS(C)(=O)=O"),
    "nitriles": ("CC#N", "N#CCCC#N", "N#CCCCC#N"),
    "phosphates": ("COP(=O)(OC)OC",),
    "esters": ("COC(C)=O", "CCOC=O", "O=C1CCCO1"),
}
"""SMILES of each family: EC, DMC, EMC; DME, dioxolane, THF, DMM; sulfolane and two open sulfones;
acetonitrile, succino- and glutaronitrile; trimethyl phosphate; methyl acetate, ethyl formate,
γ-butyrolactone."""

SUBSTITUENTS: dict[str, str] = {
    "F": "F",
    "Cl": "Cl",
    "Me": "C",
    "Et": "CC",
    "CF3": "C(F)(F)F",
    "CHF2": "C(F)F",
    "CN": "C#N",
    "OMe": "OC",
    "OCF3": "OC(F)(F)F",
    "SO2Me": "S(C)(=O)=O",
    "vinyl": "C=C",
    "NMe2": "N(C)C",
}
"""SMILES of each group; its first atom is the one that is bound."""


def substituted(smiles: str, groups: Iterable[str]) -> dict[str, str]:
    """Every way to put one of the groups (names) on one carbon instead of a hydrogen.

    Canonical SMILES of the products and the group that each got.
    """
    from rdkit import Chem

    scaffold = Chem.MolFromSmiles(smiles)
    products: dict[str, str] = {}
    ranks = list(Chem.CanonicalRankAtoms(scaffold, breakTies=False))
    sites = {
        rank: atom.GetIdx()
        for rank, atom in zip(ranks, scaffold.GetAtoms(), strict=True)
        if atom.GetSymbol() == "C" and atom.GetTotalNumHs() > 0
    }
    for name in groups:
        group = Chem.MolFromSmiles(SUBSTITUENTS[name])
        for site in sites.values():
            joined = Chem.RWMol(Chem.CombineMols(scaffold, group))
            joined.AddBond(site, scaffold.GetNumAtoms(), Chem.BondType.SINGLE)
            Chem.SanitizeMol(joined)
            products.setdefault(Chem.MolToSmiles(joined), name)
    return products
