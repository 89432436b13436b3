"""Engine `emt`: effective medium theory, which comes with ASE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


class EMTEngine:
    """ASE's effective medium theory: late fcc metals in milliseconds, to try a campaign out."""

    name = "emt"

    def check(self) -> None:
        """Nothing: it comes with ASE."""

    def elements(self) -> frozenset[str]:
        """Metals it was made for; its H, C, N and O are no solids."""
        return frozenset({"Al", "Cu", "Ag", "Au", "Ni", "Pd", "Pt"})

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:  # noqa: ARG002
        """ASE's `EMT`."""
        from ase.calculators.emt import EMT

        return EMT()

    def versions(self) -> dict[str, str]:
        """Nothing beyond ASE, which every result names."""
        return {}
