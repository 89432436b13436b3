"""Generator `mutate`: molecules bred from the best so far, as SELFIES strings that are always valid."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from discover.errors import MissingDependencyError, StructureError
from discover.records import Candidate, Provenance
from discover.structures.molecule import Molecule, inchikey, parse_smiles
from discover.structures.molecule_validity import MoleculeFilters, molecule_problem
from generators.base import GeneratorContext, Proposal
from generators.scaffolds import SCAFFOLDS

Element = Literal["B", "Br", "C", "Cl", "F", "I", "N", "O", "P", "S"]
"""Elements that SELFIES has symbols for."""
_TRIES = 400
"""Offspring tried for each candidate that is asked for; after that the generator is at its end."""


class Parent(NamedTuple):
    """A molecule to breed from; `id` is empty for one that the user gave."""

    id: str
    smiles: str


class MutationGenerator:
    """Mutates and crosses the best molecules so far; before there are enough, the `seeds` as well.

    A parent's SELFIES (M. Krenn et al., Mach. Learn.: Sci. Technol. 1, 045024 (2020)) gets symbols
    replaced, inserted or deleted, or its head is joined with another's tail; what comes out is a molecule
    with sound valences. Better parents are chosen more often. Offspring that is known, too small or
    large, or fails the filters is thrown away and the next one tried.
    """

    makes = Molecule

    def __init__(
        self,
        seeds: tuple[str, ...] = (),
        elements: tuple[Element, ...] = ("C", "N", "O", "F", "S", "P"),
        parents: Annotated[int, Field(ge=1, le=20)] = 10,
        crossover: Annotated[float, Field(ge=0, le=1)] = 0.3,
        max_mutations: Annotated[int, Field(ge=1, le=10)] = 2,
        min_heavy_atoms: Annotated[int, Field(ge=1, le=100)] = 4,
        max_heavy_atoms: Annotated[int, Field(ge=1, le=100)] = 14,
        max_sa_score: Annotated[float, Field(ge=1, le=10)] = 4.5,
    ) -> None:
        """`seeds` are SMILES; without any they are the scaffolds of `enumerate`.

        Raises StructureError for one that cannot be read.
        """
        if min_heavy_atoms > max_heavy_atoms:
            raise StructureError(
                f"min_heavy_atoms {min_heavy_atoms} is more than max_heavy_atoms {max_heavy_atoms}"
            )
        self._seeds = [
            Parent("", smiles) for smiles in seeds or [s for f in SCAFFOLDS.values() for s in f]
        ]
        for seed in self._seeds:
            parse_smiles(seed.smiles)
        self._elements = elements
        self._parents = parents
        self._crossover = crossover
        self._max_mutations = max_mutations
        self._heavy_atoms = range(min_heavy_atoms, max_heavy_atoms + 1)
        self._filters = MoleculeFilters(
            elements=tuple(sorted(self.elements())),
            max_sa_score=max_sa_score,
            max_molar_mass_g_mol=None,
        )

    def elements(self) -> frozenset[str]:
        """Those allowed, and hydrogen."""
        return frozenset({*self._elements, "H"})

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """`n` new molecules; fewer, and the end, where so many tries give nothing new."""
        best = [
            Parent(c.id, c.structure.smiles)
            for c in context.best
            if isinstance(c.structure, Molecule)
        ]
        parents = [*best, *self._seeds[: max(0, self._parents - len(best))]][: self._parents]
        chosen: dict[str, Candidate] = {}
        position = context.position
        for _ in range(_TRIES * n):
            if len(chosen) == n:
                break
            random = np.random.default_rng([context.seed, position])
            candidate = self._offspring(random, parents, position, context.known | chosen.keys())
            if candidate is not None:
                chosen[candidate.id] = candidate
            position += 1
        return Proposal(
            candidates=tuple(chosen.values()), position=position, exhausted=len(chosen) < n
        )

    def _offspring(
        self,
        random: np.random.Generator,
        parents: Sequence[Parent],
        position: int,
        known: AbstractSet[str],
    ) -> Candidate | None:
        """The molecule of one draw; None where it is not wanted, or known by the id of its candidate."""
        weights = 1.0 / np.arange(1, len(parents) + 1)
        picks = random.choice(len(parents), size=2, p=weights / weights.sum())
        first, second = parents[picks[0]], parents[picks[1]]
        symbols = self._symbols(first.smiles)
        if first != second and random.random() < self._crossover:
            symbols = _crossed(random, symbols, self._symbols(second.smiles))
            operation, used = f"cross {first.smiles} with {second.smiles}", [first, second]
        else:
            for _ in range(random.integers(1, self._max_mutations + 1)):
                symbols = self._mutated(random, symbols)
            operation, used = f"mutate {first.smiles}", [first]
        smiles = self._decoded(symbols)
        if smiles is None or inchikey(smiles) in known:  # before the dear search for a geometry
            return None
        try:
            molecule = Molecule.from_smiles(smiles)
        except StructureError:
            return None
        ids = tuple(parent.id for parent in used if parent.id)
        return Candidate.of(
            molecule,
            Provenance(generator="mutate", operation=operation, parents=ids, draw=position),
        )

    def _mutated(self, random: np.random.Generator, symbols: Sequence[str]) -> list[str]:
        place = int(random.integers(len(symbols)))
        new = self._alphabet[random.integers(len(self._alphabet))]
        match random.integers(3):
            case 0:
                return [*symbols[:place], new, *symbols[place + 1 :]]
            case 1:
                return [*symbols[:place], new, *symbols[place:]]
            case _:
                return [*symbols[:place], *symbols[place + 1 :]] or [new]

    def _decoded(self, symbols: Sequence[str]) -> str | None:
        """Canonical SMILES of SELFIES symbols; None where it is not wanted."""
        from rdkit import Chem, RDLogger

        RDLogger.DisableLog("rdApp.*")
        mol = Chem.MolFromSmiles(_selfies().decoder("".join(symbols)))
        if mol is None or mol.GetNumAtoms() not in self._heavy_atoms:
            return None
        smiles: str = Chem.MolToSmiles(mol)
        return smiles if molecule_problem(smiles, self._filters) is None else None

    def _symbols(self, smiles: str) -> list[str]:
        selfies = _selfies()
        return list(selfies.split_selfies(selfies.encoder(smiles)))

    @cached_property
    def _alphabet(self) -> list[str]:
        """Symbols of uncharged atoms of the allowed elements, of branches and of rings, sorted."""
        atoms = {f"[{bond}{e}]" for e in self._elements for bond in ("", "=", "#")}
        return sorted(
            symbol
            for symbol in _selfies().get_semantic_robust_alphabet()
            if symbol in atoms or "Branch" in symbol or "Ring" in symbol
        )


def _crossed(random: np.random.Generator, head: Sequence[str], tail: Sequence[str]) -> list[str]:
    """The start of one and the end of the other, neither empty where there is enough."""
    return [
        *head[: int(random.integers(1, max(2, len(head))))],
        *tail[int(random.integers(min(1, len(tail) - 1), len(tail))) :],
    ]


def _selfies() -> Any:
    try:
        import selfies
    except ImportError as error:
        raise MissingDependencyError(
            "the generator 'mutate' needs selfies: pip install 'discover-materials[molecules]'"
        ) from error
    return selfies
