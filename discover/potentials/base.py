"""The contract of a machine-learning interatomic potential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
