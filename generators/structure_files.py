"""The generator `structures`: crystals from the user's own files, such as a database's download."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from discover.errors import CampaignError, DataError, StructureError
from discover.plugins import suggestion
from discover.records import Candidate, Provenance
from discover.structures.crystal import Crystal
from generators.base import GeneratorContext, Proposal
from generators.streams import Permutation

SUFFIXES = {".cif", ".extxyz", ".xyz"}
"""Endings of the files in a folder that are read; one named by itself may be JSON or Parquet too."""
SHOWN_PROBLEMS = 30


def absolute_path(name: str) -> str:
    """The name itself; CampaignError where it is not an absolute path."""
    if not Path(name).expanduser().is_absolute():
        raise CampaignError("give an absolute path, for a campaign may be steered from anywhere")
    return name


def _element(symbol: str) -> str:
    from ase.data import atomic_numbers

    if atomic_numbers.get(symbol, 0) < 1:
        raise CampaignError(f"no element{suggestion(symbol.capitalize(), atomic_numbers)}")
    return symbol


Files = Annotated[tuple[Annotated[str, AfterValidator(absolute_path)], ...], Field(min_length=1)]
Elements = tuple[Annotated[str, AfterValidator(_element)], ...]


class StructureFiles:
    """Ordered crystals from extxyz, CIF, JSON or Parquet files, or folders of those, in a random order.

    Files are read once, when the generator is made; while a campaign runs they must stay as they are.
    The same crystal in several files comes once. `refused` are (place, problem) of what cannot be used,
    such as partly occupied sites, `left_out` how many were not asked for and why.
    """

    def __init__(
        self,
        files: Files,
        containing: Elements = (),
        elements: Elements | None = None,
        max_atoms: Annotated[int, Field(ge=1)] | None = None,
        *,
        drop_invalid: bool = False,
    ) -> None:
        """Read the files; CampaignError where one is not there, and where nothing is left.

        `containing`: symbols that each compound has. `elements`: symbols that it may have (None: any).
        `max_atoms`: of the cell as it is in the file. Without `drop_invalid` everything that cannot be
        used is an error, which lists it.
        """
        found, self.refused = _read([absolute_path(name) for name in files])
        if self.refused and not drop_invalid:
            shown = "\n".join(f"  {place}: {why}" for place, why in self.refused[:SHOWN_PROBLEMS])
            more = len(self.refused) - SHOWN_PROBLEMS
            raise CampaignError(
                f"generator 'structures': {len(self.refused)} structures cannot be used; correct them, "
                f"or leave them out by `drop_invalid: true`:\n{shown}"
                + (f"\n  and {more} more" if more > 0 else "")
            )
        must, may = set(containing), None if elements is None else set(elements)
        reasons = {c.id: _unwanted(c.crystal, must, may, max_atoms) for c in found}
        self.left_out = Counter(why for why in reasons.values() if why)
        wanted = {c.id: c for c in found if not reasons[c.id]}
        if not wanted:
            why = [f"{len(self.refused)} cannot be used"] if self.refused else []
            why += [f"{n} {reason}" for reason, n in self.left_out.items()]
            raise CampaignError(
                f"generator 'structures': no crystal is left of {', '.join(files)} "
                f"({'; '.join(why) or 'no structure in it'})"
            )
        self._candidates = [wanted[i] for i in sorted(wanted)]
        self._namesakes: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in self._candidates:
            self._namesakes[candidate.fingerprint].append(candidate)
        self._originals: dict[str, frozenset[str]] = {}

    def size(self) -> int:
        """Positions of the stream: an upper bound on the number of candidates."""
        return len(self._candidates)

    def elements(self) -> frozenset[str]:
        """Chemical symbols that occur."""
        return frozenset().union(*(_symbols(c.crystal) for c in self._candidates))

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """The next `n` candidates that are not known, or as many as there are before the end."""
        shuffle = Permutation(self.size(), f"{context.seed}/structures")
        candidates: list[Candidate] = []
        position = context.position
        while position < self.size() and len(candidates) < n:
            candidate = self._candidates[shuffle(position)]
            if candidate.id not in context.known and self._is_original(candidate):
                draw = candidate.provenance.model_copy(update={"draw": position})
                candidates.append(candidate.model_copy(update={"provenance": draw}))
            position += 1
        return Proposal(
            candidates=tuple(candidates), position=position, exhausted=position >= self.size()
        )

    def _is_original(self, candidate: Candidate) -> bool:
        """Whether it is the first of its kind, by id: whatever was drawn before, so are its twins not."""
        from discover.structures.fingerprint import find_duplicate

        name = candidate.fingerprint
        if name not in self._originals:
            kept: dict[str, Crystal] = {}
            for one in self._namesakes[name]:
                if find_duplicate(one.crystal, kept) is None:
                    kept[one.id] = one.crystal
            self._originals[name] = frozenset(kept)
        return candidate.id in self._originals[name]


def _read(names: Sequence[str]) -> tuple[list[Candidate], tuple[tuple[str, str], ...]]:
    """All candidates, and (place, problem) of what cannot be used."""
    from discover.importing.readers import read_rows

    found: list[Candidate] = []
    refused: list[tuple[str, str]] = []
    for file in _files(names):
        try:
            rows = read_rows([file]).rows
        except DataError as error:
            refused.append((file.name, str(error).removeprefix(f"{file}: ")))
            continue
        for number, row in enumerate(rows, start=1):
            place = f"{file.name}, structure {number}" if len(rows) > 1 else file.name
            if row.crystal is None:
                refused.append((place, row.unreadable or "has no structure"))
                continue
            provenance = Provenance(generator="structures", operation=f"read {place}")
            try:
                found.append(Candidate.of(row.crystal, provenance))
            except StructureError as error:
                refused.append((place, str(error)))
    return found, tuple(refused)


def _files(names: Sequence[str]) -> Iterator[Path]:
    for name in dict.fromkeys(names):
        path = Path(name).expanduser()
        if path.is_dir():
            yield from sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES)
        elif path.is_file():
            yield path
        else:
            raise CampaignError(f"generator 'structures': there is no file or folder {path}")


def _unwanted(
    crystal: Crystal, must: set[str], may: set[str] | None, max_atoms: int | None
) -> str | None:
    """Why a crystal was not asked for, None where it was."""
    symbols = _symbols(crystal)
    if not must <= symbols:
        return f"do not contain {' and '.join(sorted(must))}"
    if may is not None and not symbols <= may:
        return "have other elements"
    if max_atoms is not None and len(crystal.numbers) > max_atoms:
        return f"have more than {max_atoms} atoms"
    return None


def _symbols(crystal: Crystal) -> frozenset[str]:
    from ase.data import chemical_symbols

    return frozenset(chemical_symbols[number] for number in crystal.numbers)
