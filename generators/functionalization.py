"""Generator `enumerate`: scaffolds of known solvents with functional groups on their carbons."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, NamedTuple, get_args

from pydantic import AfterValidator, Field

from discover.errors import StructureError
from discover.plugins import suggestion
from discover.records import Candidate, Provenance
from discover.structures.molecule import Molecule, parse_smiles
from generators.base import GeneratorContext, Proposal
from generators.scaffolds import SCAFFOLDS, SUBSTITUENTS, FamilyName, substituted
from generators.streams import Interleaving, Permutation


def _known_groups(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in SUBSTITUENTS]
    if unknown:
        raise ValueError(f"no group is called {unknown[0]!r}{suggestion(unknown[0], SUBSTITUENTS)}")
    return names


class Product(NamedTuple):
    """A molecule of the space: its SMILES, the scaffold it was made of, and the groups put on."""

    smiles: str
    scaffold: str
    groups: tuple[str, ...]


class EnumerationGenerator:
    """Every scaffold with up to `max_substituents` groups in the places of hydrogens on carbon.

    The space is finite and each molecule comes once. Families and numbers of groups take turns, so that
    the simple ones, which are few, come early; within each the seed shuffles the order.
    """

    makes = Molecule

    def __init__(
        self,
        families: Annotated[tuple[FamilyName, ...], Field(min_length=1)] = get_args(FamilyName),
        scaffolds: tuple[str, ...] = (),
        substituents: Annotated[tuple[str, ...], AfterValidator(_known_groups)] = (
            "F",
            "Me",
            "CN",
            "OMe",
        ),
        max_substituents: Annotated[int, Field(ge=0, le=4)] = 2,
    ) -> None:
        """Scaffolds (SMILES) are one family more; with them alone give no `families`.

        Raises StructureError for a SMILES that cannot be read.
        """
        self._groups = substituents
        self._most = max_substituents
        self._families: dict[str, tuple[str, ...]] = {name: SCAFFOLDS[name] for name in families}
        if scaffolds:
            for smiles in scaffolds:
                parse_smiles(smiles)
            self._families["scaffolds"] = scaffolds

    @cached_property
    def space(self) -> dict[str, list[Product]]:
        """All molecules by family, in the order of their SMILES; one in two families is in the first."""
        seen: set[str] = set()
        found: dict[str, list[Product]] = {}
        for family, scaffolds in self._families.items():
            products: dict[str, Product] = {}
            for scaffold in scaffolds:
                self._grow(scaffold, seen, products)
            found[family] = [products[smiles] for smiles in sorted(products)]
        return found

    @cached_property
    def _lanes(self) -> list[tuple[tuple[str, int], list[Product]]]:
        lanes: dict[tuple[int, str], list[Product]] = {}
        for family, products in self.space.items():
            for product in products:
                lanes.setdefault((len(product.groups), family), []).append(product)
        return [((family, groups), lanes[groups, family]) for groups, family in sorted(lanes)]

    def size(self) -> int:
        """How many molecules there are."""
        return sum(map(len, self.space.values()))

    def elements(self) -> frozenset[str]:
        """Symbols in any scaffold or group."""
        from rdkit import Chem

        texts = [s for family in self._families.values() for s in family]
        texts += [SUBSTITUENTS[name] for name in self._groups]
        atoms = [a.GetSymbol() for text in texts for a in Chem.MolFromSmiles(text).GetAtoms()]
        return frozenset({*atoms, "H"})

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """The next `n` molecules that are not known and have a geometry, or what there is."""
        names, lanes = zip(*self._lanes, strict=True)
        shuffles = [
            Permutation(len(lane), f"{context.seed}/{family}/{groups}")
            for (family, groups), lane in self._lanes
        ]
        stream = Interleaving([len(lane) for lane in lanes])
        chosen: dict[str, Candidate] = {}
        position = context.position
        while position < len(stream) and len(chosen) < n:
            lane, turn = stream.locate(position)
            product = lanes[lane][shuffles[lane](turn)]
            candidate = _candidate(product, names[lane][0], position)
            if candidate is not None and candidate.id not in context.known:
                chosen.setdefault(candidate.id, candidate)
            position += 1
        return Proposal(
            candidates=tuple(chosen.values()),
            position=position,
            exhausted=position >= len(stream),
        )

    def _grow(self, scaffold: str, seen: set[str], products: dict[str, Product]) -> None:
        from rdkit import Chem

        start = Product(Chem.CanonSmiles(scaffold), scaffold, ())
        layer = [start]
        for _ in range(self._most + 1):
            fresh = [p for p in layer if p.smiles not in seen]
            seen |= {p.smiles for p in fresh}
            products |= {p.smiles: p for p in fresh}
            if len(layer[0].groups) == self._most:
                return
            grown = {
                smiles: Product(smiles, scaffold, (*one.groups, group))
                for one in layer
                for smiles, group in substituted(one.smiles, self._groups).items()
            }
            if not grown:
                return
            layer = list(grown.values())


def _candidate(product: Product, family: str, position: int) -> Candidate | None:
    """The candidate of a product; None where no geometry can be made."""
    added = " ".join(sorted(product.groups)) or "nothing"
    try:
        molecule = Molecule.from_smiles(product.smiles)
    except StructureError:
        return None
    return Candidate.of(
        molecule,
        Provenance(
            generator="enumerate",
            operation=f"put {added} on {product.scaffold} ({family})",
            draw=position,
        ),
    )
