"""A solid whose ions hop in a potential that is known, and costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

SITE_ANGSTROM = 2.5
MODULUS = 0.5  # eV/Å³


class HoppingIons(Calculator):  # type: ignore[misc]
    """Lithium in -A (cos kx + cos ky + cos kz), which it leaves over 2 A; all else on springs.

    Sites are `SITE_ANGSTROM` apart. The volume is on a spring too: its minimum is `volume_angstrom3`.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, barrier_ev: float = 0.2, volume_angstrom3: float | None = None) -> None:
        super().__init__()
        self._amplitude = barrier_ev / 2
        self._volume = volume_angstrom3

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        super().calculate(atoms, list(properties), list(system_changes))
        positions, ions = self.atoms.positions, self.atoms.numbers == 3
        wave = 2 * np.pi / SITE_ANGSTROM
        from_site = positions - np.round(positions / SITE_ANGSTROM) * SITE_ANGSTROM
        forces = np.where(
            ions[:, None], -self._amplitude * wave * np.sin(wave * positions), -5.0 * from_site
        )
        energy = -self._amplitude * np.cos(wave * positions[ions]).sum()
        energy += 2.5 * np.square(from_site[~ions]).sum()
        volume = self.atoms.get_volume()
        wanted = volume if self._volume is None else self._volume
        self.results = {
            "energy": float(energy + MODULUS / 2 * (volume - wanted) ** 2 / wanted),
            "forces": forces,
            "stress": np.array([1, 1, 1, 0, 0, 0]) * MODULUS * (volume - wanted) / wanted,
        }


class HoppingEngine:
    """The same as an engine; its calls are counted."""

    name = "hopping"

    def __init__(self, barrier_ev: float = 0.2, die_after: int | None = None) -> None:
        self._barrier_ev = barrier_ev
        self.left = die_after

    def check(self) -> None:
        """Nothing."""

    def elements(self) -> frozenset[str]:
        """Lithium and chlorine."""
        return frozenset({"Li", "Cl"})

    def versions(self) -> dict[str, str]:
        """None."""
        return {}

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:
        """The calculator, as long as `die_after` of them lasts."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return HoppingIons(self._barrier_ev)


def lattice(cells: int = 2) -> Atoms:
    """CsCl's structure with its lithium and chlorine on sites of the potential."""
    unit = Atoms("LiCl", positions=[[0, 0, 0], [2.5, 2.5, 2.5]], cell=[5.0] * 3, pbc=True)
    return unit.repeat(cells)


@pytest.fixture(scope="session")
def hopping_ions() -> type[HoppingIons]:
    """The calculator."""
    return HoppingIons


@pytest.fixture(scope="session")
def hopping_engine() -> type[HoppingEngine]:
    """The engine."""
    return HoppingEngine


@pytest.fixture(scope="session")
def hopping_lattice() -> Callable[..., Atoms]:
    """Makes the structure, so many cells along each axis."""
    return lattice
