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
    generator needs no memory of its own; `known` holds the ids that the store already has.
    """

    seed: int
    position: int
    known: AbstractSet[str]


class Proposal(Record):
    """New candidates, where the stream stands after them, and whether it has come to its end."""

    candidates: tuple[Candidate, ...]
    position: int
    exhausted: bool


class Generator(Protocol):
    """Proposes candidates: the same seed, position and known ids give the same proposal."""

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """Up to `n` candidates that are not in `context.known` and not duplicates of one another."""
        ...

    def elements(self) -> frozenset[str]:
        """Chemical symbols that may occur, so that a potential that lacks one is found out early."""
        ...
