"""Which potentials there are, and which of them can be used here and now."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from discover import plugins
from discover.errors import PotentialError
from discover.potentials.environments import Environment
from discover.potentials.fairchem import FAIRChemPotential
from discover.potentials.foreign import ForeignPotential
from discover.potentials.mattersim import MatterSimPotential
from discover.potentials.sevennet import SevenNetPotential

_FOREIGN: tuple[tuple[type[ForeignPotential], str], ...] = (
    (SevenNetPotential, "MIT"),
    (MatterSimPotential, "MIT"),
    (FAIRChemPotential, "FAIR"),
)
"""Families with an environment of their own, and the licence of their weights."""

_ELEMENTS = 89
"""Of each of these models: those of the Materials Project, from which their training sets grew."""


@dataclass(frozen=True)
class Entry:
    """One line of the list; `elements` is how many it knows, None where only the model itself tells."""

    name: str
    status: str
    where: str
    elements: int | None = None
    licence: str | None = None


def environment(name: str) -> Environment:
    """The environment of a family; a model may follow its name. PluginError for an unknown one."""
    known = {potential.environment.name: potential.environment for potential, _ in _FOREIGN}
    family = name.partition(":")[0]
    if family in known:
        return known[family]
    if family in plugins.available("potentials"):
        raise PotentialError(f"{family} needs no environment of its own: it runs in ours")
    raise PotentialError(
        f"no potential with an environment of its own is called {family!r}"
        f"{plugins.suggestion(family, known)}"
    )


def catalogue() -> list[Entry]:
    """Every potential that can be named, built-in ones first."""
    entries = [*_ours()]
    for potential, licence in _FOREIGN:
        entries += _models(potential, licence)
    for info in plugins.available("potentials").values():
        if info.source != "built in":
            entries.append(Entry(info.name, "installed", f"{info.source}: {info.target}"))
    return entries


def _ours() -> Iterator[Entry]:
    """Those that run in our own environment."""
    from discover.potentials import load_potential
    from discover.potentials.bundled import WEIGHTS
    from discover.potentials.chgnet import CHGNetPotential
    from discover.potentials.emt import EMTPotential

    known = len(CHGNetPotential().elements())
    for version in ("0.3.0", "0.2.0", "r2scan"):
        yield Entry(f"chgnet:{version}", "built in", "", known, "BSD-3-Clause")
    has_mace = importlib.util.find_spec("mace") is not None
    mace = "built in" if has_mace else "not installed"
    downloaded = "needs network" if has_mace else mace
    hint = "" if has_mace else "mace: pip install 'discover-materials[mace]'"
    if has_mace and WEIGHTS.exists():
        elements = load_potential("mace:bundled").elements()
        yield Entry("mace:bundled", "built in", "", len(elements), "MIT")
    yield Entry("mace:<file>", mace, hint)
    yield Entry(
        "mace:<foundation model>",
        downloaded,
        "mace foundation models: ~/.cache/mace",
        89,
        "by model",
    )
    yield Entry("emt", "built in", "", len(EMTPotential().elements()), "LGPL-2.1")


def _models(potential: type[ForeignPotential], licence: str) -> Iterator[Entry]:
    chosen = potential.environment
    if potential.runs_here():
        status, where = "built in", ""
    elif chosen.is_installed():
        status, where = "installed", f"{chosen.name}: {chosen.directory}"
        if not chosen.is_current():
            status = "outdated"
    else:
        status, where = "not installed", f"{chosen.name}: discover potentials install {chosen.name}"
    for model in potential.models:
        needs = "" if model in potential.shipped else ", needs network"
        yield Entry(f"{chosen.name}:{model}", f"{status}{needs}", where, _ELEMENTS, licence)
