"""The contract of a generator."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from discover.records import Candidate, Record


@dataclass(frozen=True)
class GeneratorContext:
    """What a generator is told when it is asked for candidates.

    `seed` is the campaign's; `position` is what the last `Proposal` returned (0 at first), so that a
    generator needs no memory of its own; `known` holds the ids that the store already has; `best` are
    the best candidates computed so far, best first, for generators that build on them.
    """

    seed: int
    position: int
    known: AbstractSet[str]
    best: tuple[Candidate, ...] = ()


class Proposal(Record):
    """New candidates, where the stream stands after them, and whether it has come to its end."""

    candidates: tuple[Candidate, ...]
    position: int
    exhausted: bool


class Generator(Protocol):
    """Proposes candidates: the same context gives the same proposal.

    A class attribute `makes` names their sort, such as `Molecule`; without one they are crystals.
    """

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """Up to `n` candidates that are not in `context.known` and not duplicates of one another."""
        ...

    def elements(self) -> frozenset[str]:
        """Chemical symbols that may occur, so that an engine that lacks one is found out early."""
        ...
