"""The calculation of the fault benchmark: it waits, keeps a log of its own, and gives a made-up value.

The benchmark installs it for its own service alone, as users install plug-ins, by an entry point.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import Field

from discover.calculations.base import Engine, Outcome, Value
from discover.errors import CalculationError
from discover.structures.crystal import Crystal

NAME = "rehearsal"
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
