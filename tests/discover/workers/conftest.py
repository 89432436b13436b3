"""Pieces of work for workers: crystals to relax, candidates to describe, a descriptor that kills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from discover.campaign import RelaxationSettings
from discover.records import Candidate
from discover.structures.crystal import Crystal
from discover.workers import tasks

KILLER = '''
"""A descriptor that kills the process: at `once` the first time it is asked, at `always` every time.

It counts what it describes, and at `later` it waits for a file `go`.
"""

import os
import time
from pathlib import Path

import numpy as np

from discover.errors import StructureError


class Killer:
    names = ("length",)

    def describe(self, candidates):
        for candidate in candidates:
            if candidate.id == "always":
                os._exit(9)
            mark = Path(__file__).with_name("died")
            if candidate.id == "once" and not mark.exists():
                mark.touch()
                os._exit(9)
            while candidate.id == "later" and not Path(__file__).with_name("go").exists():
                time.sleep(0.05)
            with Path(__file__).with_name(f"described {candidate.id}").open("a") as count:
                count.write("1")
            if candidate.id == "odd":
                raise StructureError("odd is not to my taste")
        return np.array([[float(len(candidate.id))] for candidate in candidates])
'''


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign's folder with the descriptor `killer.py:Killer` in it."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "killer.py").write_text(KILLER)
    return folder


@pytest.fixture(scope="session")
def metals() -> list[Crystal]:
    """Stretched fcc metals."""
    from ase.build import bulk

    return [Crystal.from_atoms(bulk(s, a=4.0 + 0.02 * i)) for i in range(4) for s in ("Cu", "Ni")]


@pytest.fixture(scope="session")
def to_relax() -> Callable[[Sequence[Crystal]], str]:
    """Crystals as a chunk for `tasks.relax_crystals`."""

    def pack(crystals: Sequence[Crystal]) -> str:
        return tasks.RelaxCrystals(
            base=Path(),
            potential="emt",
            settings=RelaxationSettings(),
            crystals=tuple(crystals),
        ).model_dump_json()

    return pack


@pytest.fixture
def to_describe(base: Path) -> Callable[[Sequence[Candidate]], str]:
    """Candidates as a chunk for `tasks.describe`."""

    def pack(candidates: Sequence[Candidate]) -> str:
        return tasks.Describe(
            base=base,
            potential="emt",
            descriptors=("killer.py:Killer",),
            candidates=tuple(candidates),
        ).model_dump_json()

    return pack
