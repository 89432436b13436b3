"""Configurations of one crystal: on the way to its equilibrium, strained, rattled, displaced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ase import Atoms

    from discover.potentials.distillation.families import Family

Kind = Literal["relaxation", "strained", "rattled", "displaced"]

VOLUME_STEPS = 3
DISPLACEMENT_ANGSTROM = 0.03
"""Of every atom of a supercell, in a random direction: as in force constants by symfc."""

_FIRST_BULK_MODULUS = 0.5
"""In eV/Å³ (80 GPa), before two pressures tell a better one, which is kept in `_BULK_MODULI`."""
_BULK_MODULI = (0.02, 4.0)
_LARGEST_STEP = 0.2
"""In the logarithm of the volume."""
_SUPERCELLS: dict[str, tuple[int, int, int]] = {
    "rocksalt": (2, 2, 2),
    "zincblende": (2, 2, 2),
    "wurtzite": (2, 2, 1),
}
_LARGE_SUPERCELLS: dict[str, tuple[int, int, int]] = {
    "rocksalt": (3, 3, 3),
    "zincblende": (3, 3, 3),
    "wurtzite": (3, 3, 2),
}
_LARGE_SHARE = 0.06


def generator(seed: int, family: Family) -> np.random.Generator:
    """Random numbers of a family's configurations, independent of all other families."""
    digest = hashlib.sha256(f"{seed}/{family.name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def next_volume_step(log_volumes: list[float], pressures_ev_per_angstrom3: list[float]) -> float:
    """Change of ln V towards zero pressure: Newton's step, B = -dP/d ln V from the last two points."""
    bulk_modulus = _FIRST_BULK_MODULUS
    if len(log_volumes) > 1:
        slope = -(pressures_ev_per_angstrom3[-1] - pressures_ev_per_angstrom3[-2])
        distance = log_volumes[-1] - log_volumes[-2]
        bulk_modulus = slope / distance if abs(distance) > 1e-6 else bulk_modulus
    step = pressures_ev_per_angstrom3[-1] / float(np.clip(bulk_modulus, *_BULK_MODULI))
    return float(np.clip(step, -_LARGEST_STEP, _LARGEST_STEP))


def deformed(
    family: Family, equilibrium: Atoms, random: np.random.Generator
) -> Iterator[tuple[Kind, Atoms]]:
    """Configurations derived from the crystal near its equilibrium volume.

    Strained cells (hydrostatic from -7 to +9 % in length, then shear), a rattled one; for the
    prototypes of phonondb a supercell with all atoms displaced by 0.03 Å; for an element three of
    each, since all formation energies lean on it.
    """
    for _ in range(3 if family.structure == "element" else 1):
        yield "strained", _strained(equilibrium, random.uniform(-0.07, 0.09), 0.015, random)
        if family.structure not in {"double-perovskite", "spinel"}:
            yield "strained", _strained(equilibrium, random.normal(0, 0.01), 0.03, random)
        rattled = _strained(equilibrium, random.normal(0, 0.01), 0.005, random)
        rattled.positions += random.normal(0, 0.06, rattled.positions.shape)
        yield "rattled", rattled
    if family.structure in _SUPERCELLS:
        large = random.uniform() < _LARGE_SHARE
        repeat = (_LARGE_SUPERCELLS if large else _SUPERCELLS)[family.structure]
        supercell = equilibrium.repeat(repeat)
        directions = random.normal(size=supercell.positions.shape)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        supercell.positions += DISPLACEMENT_ANGSTROM * directions
        yield "displaced", supercell


def _strained(atoms: Atoms, linear: float, shear: float, random: np.random.Generator) -> Atoms:
    """A copy with the linear strain along all axes and a random symmetric strain of this size."""
    noise: NDArray[np.float64] = random.normal(0, shear, (3, 3))
    strain = np.eye(3) * (1 + linear) + (noise + noise.T) / 2
    strained = atoms.copy()
    strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    return strained
