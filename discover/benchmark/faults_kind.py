"""The plug-ins of the fault benchmark: alloys, and a calculation that waits and keeps a log of its own.

The benchmark installs them for its own service alone, as users install plug-ins, by entry points.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field

from discover.calculations.base import Engine, Outcome, Value
from discover.errors import CalculationError
from discover.records import Candidate, Provenance, content_hash
from discover.structures.crystal import Crystal
from discover.structures.fingerprint import reduced_formula
from discover.structures.symmetry import spacegroup
from generators import GeneratorContext, Proposal
from generators.streams import Permutation

NAME = "rehearsal"
ALLOYS = "alloys"
METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
LOG = "DISCOVER_FAULTS_LOG"


class Rehearsal:
    """A thermal conductivity by a formula after `seconds` of sleep; begin and end go to a log.

    The log, named by the environment variable DISCOVER_FAULTS_LOG, lies outside of the campaign and is
    what the benchmark compares the store with.
    """

    name = NAME
    properties = ("thermal_conductivity",)

    def __init__(self, *, seconds: Annotated[float, Field(ge=0, le=3600)] = 5.0) -> None:
        self._seconds = seconds

    def run(self, crystal: Crystal, engine: Engine, directory: Path) -> Outcome:  # noqa: ARG002
        """Wait and answer; CalculationError where there is no log to write to."""
        path = os.environ.get(LOG)
        if path is None:
            raise CalculationError(f"a rehearsal needs the name of its log in {LOG}")
        value = conductivity(crystal)
        append(Path(path), "begin", directory, value)
        time.sleep(self._seconds)
        append(Path(path), "end", directory, value)
        return Outcome(values=(Value.of("thermal_conductivity", value),))


class Alloys:
    """Every filling of the four sites of a face-centred cube by seven metals: 210 candidates."""

    def __init__(self) -> None:
        self._fillings = list(itertools.combinations_with_replacement(METALS, 4))

    def size(self) -> int:
        """How many there are."""
        return len(self._fillings)

    def elements(self) -> frozenset[str]:
        """The metals."""
        return frozenset(METALS)

    def propose(self, n: int, context: GeneratorContext) -> Proposal:
        """The next fillings in an order of the seed's own."""
        order = Permutation(self.size(), f"{context.seed}/{ALLOYS}")
        candidates: list[Candidate] = []
        position = context.position
        while position < self.size() and len(candidates) < n:
            candidate = _alloy(self._fillings[order(position)], position)
            if candidate.id not in context.known:
                candidates.append(candidate)
            position += 1
        return Proposal(
            candidates=tuple(candidates), position=position, exhausted=position >= self.size()
        )


def _alloy(filling: tuple[str, ...], position: int) -> Candidate:
    from ase.build import bulk

    cube = bulk("Cu", cubic=True)
    cube.symbols = list(filling)
    crystal = Crystal.from_atoms(cube)
    return Candidate(
        id=content_hash({"alloy": list(filling)}),
        formula=reduced_formula(crystal),
        spacegroup=spacegroup(crystal),
        prototype="fcc",
        structure=crystal,
        provenance=Provenance(generator=ALLOYS, operation="fill", draw=position),
    )


def conductivity(crystal: Crystal) -> float:
    """A smooth made-up value in W/m/K: high for light atoms of alike mass in a small cell."""
    numbers = sorted(crystal.numbers)
    return 300.0 / (numbers[0] + 0.5 * numbers[-1] + 0.1 * crystal.numbers[0])


def append(log: Path, event: str, directory: Path, value: float) -> None:
    """One line in the log, by one write, on disk when this returns."""
    line = {
        "event": event,
        "campaign": directory.parent.parent.name,
        "job": directory.name,
        "pid": os.getpid(),
        "time": time.time(),
        "value": value,
    }
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
