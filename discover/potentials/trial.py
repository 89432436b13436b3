"""One potential tried out: loaded for real, checked, and timed on a few crystals that it knows."""

from __future__ import annotations

import importlib.metadata
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.errors import PotentialError
from discover.potentials import load_potential, unknown_elements
from discover.potentials.base import Potential
from discover.potentials.conformance import check_potential
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms

_CRYSTALS = {
    "NaCl": ("rocksalt", 5.64),
    "MgO": ("rocksalt", 4.21),
    "Si": ("diamond", 5.43),
    "GaAs": ("zincblende", 5.65),
    "Cu": ("fcc", 3.61),
    "Al": ("fcc", 4.05),
    "Fe": ("bcc", 2.87),
    "AlN": ("wurtzite", 3.11),
}
"""Structure and lattice constant in Å, near their measured ones."""

_TRIED = 3
_TIMED_CALLS = 5
_PACKAGES = {"chgnet": ("chgnet", "torch"), "mace": ("mace-torch", "torch"), "emt": ("ase",)}


@dataclass(frozen=True)
class TriedCrystal:
    """What a potential says of one crystal, and how long it takes."""

    name: str
    atoms: int
    energy_ev_per_atom: float
    max_stress_gpa: float
    milliseconds_per_call: float


@dataclass(frozen=True)
class Trial:
    """A potential that passed."""

    potential: str
    elements: int
    load_seconds: float
    crystals: tuple[TriedCrystal, ...]
    versions: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def try_out(name: str, base: Path) -> Trial:
    """Load the potential (a path starts at `base`), check its contract, and time it.

    DiscoverError where it cannot be loaded, breaks its contract, or knows none of the crystals.
    """
    started = time.perf_counter()
    potential = load_potential(name, base)
    elements = potential.elements()
    potential.calculator()
    seconds = time.perf_counter() - started
    known = {
        formula: atoms
        for formula, atoms in _crystals().items()
        if not unknown_elements(potential, atoms.get_chemical_symbols())
    }
    if not known:
        raise PotentialError(
            f"{potential.name} knows no crystal to try it on ({', '.join(_CRYSTALS)});"
            f" its elements: {', '.join(sorted(elements))}"
        )
    tried = []
    for formula, atoms in list(known.items())[:_TRIED]:
        check_potential(potential, Crystal.from_atoms(atoms))
        tried.append(_timed(formula, atoms, potential))
    return Trial(potential.name, len(elements), seconds, tuple(tried), _versions(name, potential))


def _crystals() -> dict[str, Atoms]:
    from ase.build import bulk

    return {
        # an atom that is alone in its cell feels no force, whatever the potential
        formula: bulk(formula, kind, a=a, cubic=kind in {"fcc", "bcc"})
        for formula, (kind, a) in _CRYSTALS.items()
    }


def _timed(formula: str, atoms: Atoms, potential: Potential) -> TriedCrystal:
    from ase.units import GPa

    atoms.calc = potential.calculator()
    energy, stress = atoms.get_potential_energy(), atoms.get_stress()
    started = time.perf_counter()
    for call in range(_TIMED_CALLS):
        atoms.rattle(0.001, seed=call)
        atoms.get_forces()
    return TriedCrystal(
        name=formula,
        atoms=len(atoms),
        energy_ev_per_atom=float(energy) / len(atoms),
        max_stress_gpa=float(abs(stress).max() / GPa),
        milliseconds_per_call=1000 * (time.perf_counter() - started) / _TIMED_CALLS,
    )


def _versions(name: str, potential: Potential) -> dict[str, str]:
    """Of the packages behind it: its own word, or those we know of."""
    if hasattr(potential, "versions"):
        return dict(potential.versions())
    packages = _PACKAGES.get(name.partition(":")[0], ())
    return {package: importlib.metadata.version(package) for package in packages}
