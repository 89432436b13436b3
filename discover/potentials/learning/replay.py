"""What a potential knew before, in its own words: configurations labelled by the potential itself.

Trained on beside new labels they keep it from forgetting (rehearsal with the model's own answers:
Robins, Connection Science 7, 123 (1995); Li and Hoiem, IEEE TPAMI 40, 2935 (2018)). No earlier data
are needed, so it serves every model; it keeps the model's errors as well as its knowledge.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from discover.errors import PotentialError
from discover.files import write_atomically
from discover.potentials.base import Potential
from discover.potentials.distillation.families import ELEMENTS, Family, families
from discover.potentials.distillation.labels import label, read_labels
from discover.potentials.elements import elemental_crystal
from discover.potentials.learning.labels import Label
from discover.potentials.learning.splitting import share
from discover.records import Record
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula
from generators.prototype_library import PrototypeName

if TYPE_CHECKING:
    from collections.abc import Callable

    from discover.records import Candidate

REPLAY = "replay"
CRYSTALS = "replay.json"
FRAMES = "replay.extxyz"
_FRAMES_A_FAMILY = 6


def replay_families(
    number: int,
    elements: Collection[str],
    candidates: Iterable[Candidate],
    without: Collection[str],
    seed: int,
) -> list[Family]:
    """Crystals for about `number` configurations, none with a formula of `without`.

    By turns a candidate of the campaign, a compound of the prototypes that brings an element that
    none had before (then any compound), and one of the elements.
    """
    known = sorted(set(elements) & set(ELEMENTS))
    compounds = [
        family
        for family in families(seed, known)
        if family.structure != "element" and family.formula not in without
    ]
    own = sorted(
        (_of_candidate(c) for c in candidates if c.formula not in without),
        key=lambda family: share(seed, family.name),
    )
    chosen = itertools.islice(
        _in_turn(own, _new_elements_first(compounds), _elemental(sorted(elements), seed)),
        max(1, round(number / _FRAMES_A_FAMILY)),
    )
    return list(chosen)


def replay_labels(
    potential: Potential,
    choose: Callable[[], Sequence[Family]],
    directory: Path,
    number: int,
    seed: int,
) -> list[Label]:
    """Up to `number` configurations of the crystals that `choose` gives, with the potential's labels.

    The directory keeps crystals and labels, so that a labelling that was killed goes on with the
    same. Their kinds begin with `replay`. PotentialError where there is no crystal, or no finite answer.
    """
    crystals = _chosen_once(directory / CRYSTALS, choose)
    file = directory / FRAMES
    label(crystals, potential.calculator(), file, seed)
    formulas = {family.name: family.formula for family in crystals}
    frames = [
        Label(
            atoms=frame,
            kind=f"{REPLAY} {frame.info['kind']}",
            formula=formulas[str(frame.info["family"])],
            level=potential.name,
            calculation="",
            digest=f"{frame.info['family']}/{index}",
        )
        for index, frame in enumerate(read_labels(file))
    ]
    return sorted(frames, key=lambda frame: share(seed, frame.digest))[:number]


class _Crystals(Record):
    """The families as they were chosen."""

    class Entry(Record):
        name: str
        formula: str
        structure: str
        crystal: Crystal

    families: tuple[Entry, ...]


def _chosen_once(file: Path, choose: Callable[[], Sequence[Family]]) -> list[Family]:
    if not file.exists():
        chosen = tuple(_Crystals.Entry(**vars(family)) for family in choose())
        write_atomically(file, _Crystals(families=chosen).model_dump_json())
    kept = _Crystals.model_validate_json(file.read_bytes()).families
    if not kept:
        raise PotentialError("there is no crystal to replay: neither candidates nor elements")
    return [
        Family(one.name, one.formula, cast("PrototypeName", one.structure), one.crystal)
        for one in kept
    ]


def _of_candidate(candidate: Candidate) -> Family:
    prototype = cast("PrototypeName", candidate.title)
    return Family(f"candidate {candidate.id}", candidate.formula, prototype, candidate.crystal)


def _new_elements_first(compounds: Sequence[Family]) -> Iterator[Family]:
    seen: set[int] = set()
    later = []
    for family in compounds:
        if set(family.crystal.numbers) - seen:
            seen.update(family.crystal.numbers)
            yield family
        else:
            later.append(family)
    yield from later


def _elemental(symbols: Iterable[str], seed: int) -> Iterator[Family]:
    for symbol in sorted(symbols, key=lambda symbol: share(seed, symbol)):
        try:
            crystal = elemental_crystal(symbol)
        except PotentialError:
            continue
        yield Family(f"element {symbol}", reduced_formula(crystal), "element", crystal)


def _in_turn(*sources: Iterable[Family]) -> Iterator[Family]:
    for turn in itertools.zip_longest(*sources):
        yield from (family for family in turn if family is not None)
