"""The decorations of one prototype as an index space that is never held in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, product
from math import prod
from operator import getitem, mul
from typing import Any

from discover.structures.crystal import Crystal
from generators.chemistry import (
    Ion,
    contact_distance,
    covalent_distance,
    electronegativity,
    valences,
)
from generators.prototype_library import Geometry, Prototype
from generators.streams import Permutation

_ACCEPTANCE_SAMPLE = 256


@dataclass(frozen=True)
class Decoration:
    """A prototype with an ion on every site, and the cell that their contacts give."""

    prototype: Prototype
    ions: tuple[Ion, ...]
    geometry: Geometry

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbols, one a site."""
        return tuple(ion.symbol for ion in self.ions)

    @property
    def labels(self) -> tuple[str, ...]:
        """Ions as in `Na+`; plain symbols where valences are electron counts, not charges."""
        return self.symbols if self.prototype.bonding == "covalent" else tuple(map(str, self.ions))

    def crystal(self) -> Crystal:
        """Primitive cell."""
        from ase.data import atomic_numbers

        numbers = tuple(int(atomic_numbers[symbol]) for symbol in self.symbols)
        return self.prototype.crystal(numbers, self.geometry)


class DecorationSpace:
    """Every way to put elements on a prototype's sites whose valences add up.

    The space is a list of blocks, one for each choice of valences that adds up, and a block is the
    product of the elements that take those valences: its length is known and any index can be decoded
    without the ones before it. Some indices are no decoration of their own (an element twice, the
    wrong order of electronegativity, a cell that cannot exist, a twin under exchange of equivalent
    sites or with more common valences, not all of the elements in `containing`): those decode to None,
    and no crystal comes twice.
    """

    def __init__(
        self, prototype: Prototype, elements: Iterable[str], containing: Iterable[str] = ()
    ) -> None:
        self.prototype = prototype
        self._containing = frozenset(containing)
        symbols = sorted(elements)
        self._weights = [{s: valences(s, site.role) for s in symbols} for site in prototype.sites]
        choices = product(
            *(sorted({v for states in site.values() for v in states}) for site in self._weights)
        )
        blocks = [
            tuple(
                tuple(Ion(symbol, valence) for symbol, states in site.items() if valence in states)
                for site, valence in zip(self._weights, choice, strict=True)
            )
            for choice in choices
            if self._adds_up(choice) and self._in_order(choice)
        ]
        self._blocks = [
            block
            for block in blocks
            if self._containing <= {ion.symbol for site in block for ion in site}
        ]
        self._ends = list(accumulate(prod(map(len, block)) for block in self._blocks))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def elements(self) -> frozenset[str]:
        """Symbols that occur in any index."""
        return frozenset(ion.symbol for block in self._blocks for site in block for ion in site)

    def decode(self, index: int) -> Decoration | None:
        """The decoration at an index, None where there is none; IndexError outside of the space."""
        if not 0 <= index < len(self):
            raise IndexError(f"{index} is not in 0 ... {len(self) - 1}")
        number = bisect_right(self._ends, index)
        rest = index - (self._ends[number - 1] if number else 0)
        ions: list[Ion] = []
        for members in self._blocks[number]:
            rest, chosen = divmod(rest, len(members))
            ions.append(members[chosen])
        if not self._is_canonical(tuple(ions)):
            return None
        geometry = self.prototype.geometry(*self._contact_distances(ions))
        return None if geometry is None else Decoration(self.prototype, tuple(ions), geometry)

    def acceptance(self) -> float:
        """Share of the indices that decode to something, estimated from a fixed sample."""
        sample = min(len(self), _ACCEPTANCE_SAMPLE)
        shuffle = Permutation(len(self), "acceptance")
        accepted = sum(self.decode(shuffle(i)) is not None for i in range(sample))
        return accepted / sample if sample else 0.0

    def _adds_up(self, choice: Sequence[int]) -> bool:
        counts = (site.count for site in self.prototype.sites)
        return sum(map(mul, counts, choice)) in self.prototype.valence_sums

    def _in_order(self, keys: Sequence[Any]) -> bool:
        pair = self.prototype.interchangeable
        return pair is None or keys[pair[0]] <= keys[pair[1]]

    def _is_canonical(self, ions: tuple[Ion, ...]) -> bool:
        symbols = [ion.symbol for ion in ions]
        if len(set(symbols)) < len(symbols) or not self._containing <= set(symbols):
            return False
        if not self._in_order([(ion.valence, ion.symbol) for ion in ions]):
            return False
        alternatives = [
            tuple(map(Ion, symbols, choice))
            for choice in product(*map(getitem, self._weights, symbols))
            if self._adds_up(choice)
        ]
        ordered = [other for other in alternatives if self._electronegativities_agree(other)]
        return bool(ordered) and ions == max(ordered, key=self._commonness)

    def _electronegativities_agree(self, ions: Sequence[Ion]) -> bool:
        return all(
            electronegativity(ions[less]) < electronegativity(ions[more])
            for less, more in self.prototype.electronegativity_order
        )

    def _commonness(self, ions: Sequence[Ion]) -> tuple[float, list[Ion]]:
        """Larger for more common valences; equal whichever of two equivalent sites an ion is on."""
        weights = (
            site[ion.symbol][ion.valence] for site, ion in zip(self._weights, ions, strict=True)
        )
        return prod(sorted(weights)), sorted(ions)

    def _contact_distances(self, ions: Sequence[Ion]) -> Iterator[float]:
        sites = self.prototype.sites
        for i, j in self.prototype.contacts:
            if self.prototype.bonding == "covalent":
                yield covalent_distance(ions[i].symbol, ions[j].symbol)
            else:
                yield contact_distance(
                    ions[i], sites[i].coordination, ions[j], sites[j].coordination
                )
