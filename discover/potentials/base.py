"""The contract of a machine-learning interatomic potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms
    from ase.calculators.calculator import Calculator


class Potential(Protocol):
    """Gives an ASE calculator with energies in eV, forces in eV/Å and stresses in eV/Å³."""

    @property
    def name(self) -> str:
        """The name under which it is chosen, version included: what goes into hashes and records."""
        ...

    def elements(self) -> frozenset[str]:
        """Chemical symbols it was trained on; PotentialError where the model cannot be loaded."""
        ...

    def calculator(self) -> Calculator:
        """A calculator, ready for use in this process; PotentialError where it cannot be loaded."""
        ...


@dataclass(frozen=True)
class Evaluation:
    """What a potential says of one structure of n atoms.

    `energy_ev` is the total energy, `forces_ev_per_angstrom` is (n, 3), and `stress_ev_per_angstrom3`
    is (6,) in the order and sign of ASE: xx, yy, zz, yz, xz, xy, negative under compression.
    """

    energy_ev: float
    forces_ev_per_angstrom: np.ndarray
    stress_ev_per_angstrom3: np.ndarray


@runtime_checkable
class BatchedPotential(Potential, Protocol):
    """A potential that evaluates many structures in one call of its model."""

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        """One answer for each structure, in order; a string says what is wrong with that structure.

        One bad structure never costs the others. Not a finite number is no error here: it is in the
        evaluation. PotentialError only where the potential itself cannot be used.
        """
        ...
