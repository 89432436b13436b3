"""The generator `prototypes`: structure prototypes decorated with elements by chemical rules."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from discover.errors import CampaignError
from discover.plugins import suggestion
from discover.records import Candidate, Provenance, content_hash
from discover.structures.fingerprint import reduced_formula
from generators.base import GeneratorContext, Proposal
from generators.chemistry import default_elements, known_elements
from generators.decorations import Decoration, DecorationSpace
from generators.prototype_library import PROTOTYPES, PrototypeName
from generators.streams import Interleaving, Permutation

_MAX_TURNS = 32


def _known_prototype(name: object) -> object:
    if name not in PROTOTYPES:
        raise CampaignError(f"unknown prototype{suggestion(str(name), PROTOTYPES)}")
    return name


def _known_element(symbol: str) -> str:
    if symbol not in known_elements():
        raise CampaignError(
            f"no element that a prototype can hold"
            f"{suggestion(symbol.capitalize(), known_elements())}"
        )
    return symbol


def _not_empty(names: tuple[PrototypeName, ...]) -> tuple[PrototypeName, ...]:
    if not names:
        raise CampaignError("name at least one prototype")
    return names


Prototypes = Annotated[
    tuple[Annotated[PrototypeName, BeforeValidator(_known_prototype)], ...],
    AfterValidator(_not_empty),
]
Elements = tuple[Annotated[str, AfterValidator(_known_element)], ...]


class PrototypeGenerator:
    """Decorates prototypes with elements whose valences add up, in a random but repeatable order.

    Each prototype's decorations are shuffled by the campaign's seed, and the prototypes take turns, so
    that the many ternaries do not drown the few binaries: in the long run each gives one candidate a
    round, for as long as it has any. The position in the stream is one integer,
    and nothing is held in memory but the elements of each site: a space of millions costs nothing
    until it is drawn.
    """

    def __init__(
        self,
        prototypes: Prototypes = tuple(PROTOTYPES),
        elements: Elements | None = None,
        exclude_elements: Elements = (),
        containing: Elements = (),
    ) -> None:
        """Prepare the space; raises CampaignError for unknown names and for an empty space.

        `prototypes`: names from the library. `elements`: symbols to choose from; None stands for all
        up to Bi that ordinary DFT describes (no H, noble gas, Tc, Pm or open 4f shell).
        `exclude_elements`: symbols taken away from those. `containing`: symbols that each compound has.
        """
        for name in _not_empty(prototypes):
            _known_prototype(name)
        for symbol in (*(elements or ()), *exclude_elements, *containing):
            _known_element(symbol)
        chosen = set(default_elements() if elements is None else elements) - set(exclude_elements)
        self._spaces = [
            DecorationSpace(PROTOTYPES[name], chosen, containing)
            for name in dict.fromkeys(prototypes)
        ]
        self._lanes = [lane for space in self._spaces for lane in _lanes(space)]
        self._stream = Interleaving([len(indices) for _, indices in self._lanes])
        if not self.size():
            raise CampaignError(
                f"generator 'prototypes': {', '.join(sorted(chosen)) or 'no element'} cannot be put on "
                f"{', '.join(dict.fromkeys(prototypes))} with valences that add up"
                f"{' and contain ' + ' and '.join(containing) if containing else ''}; allow more elements"
            )

    def size(self) -> int:
        """Positions of the stream: an upper bound on the number of candidates."""
        return len(self._stream)

    def elements(self) -> frozenset[str]:
        """Chemical symbols that may occur."""
        return frozenset().union(*(space.elements() for space in self._spaces))

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """The next `n` candidates that are not known, or as many as there are before the end."""
        shuffles = {
            space: Permutation(len(space), f"{context.seed}/{space.prototype.name}")
            for space in self._spaces
        }
        candidates: list[Candidate] = []
        position = context.position
        while position < self.size() and len(candidates) < n:
            lane, turn = self._stream.locate(position)
            space, indices = self._lanes[lane]
            decoration = space.decode(shuffles[space](indices[turn]))
            if decoration is not None and _identity(decoration) not in context.known:
                candidates.append(_candidate(decoration, position))
            position += 1
        return Proposal(
            candidates=tuple(candidates), position=position, exhausted=position >= self.size()
        )


def _lanes(space: DecorationSpace) -> list[tuple[DecorationSpace, range]]:
    """The space's indices dealt to as many lanes as it takes turns to expect one decoration."""
    turns = round(1 / max(space.acceptance(), 1 / _MAX_TURNS))
    return [(space, range(first, len(space), turns)) for first in range(turns)]


def _identity(decoration: Decoration) -> str:
    return content_hash({"prototype": decoration.prototype.name, "sites": list(decoration.symbols)})


def _candidate(decoration: Decoration, position: int) -> Candidate:
    prototype = decoration.prototype
    crystal = decoration.crystal()
    return Candidate(
        id=_identity(decoration),
        formula=reduced_formula(crystal),
        spacegroup=prototype.spacegroup,
        prototype=prototype.name,
        structure=crystal,
        provenance=Provenance(
            generator="prototypes",
            operation=f"decorate {prototype.name} with {' '.join(decoration.labels)}",
            draw=position,
        ),
    )
