"""Effective medium theory: a cheap potential of a few elements, for tests and rehearsals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


class EMTPotential:
    """ASE's effective medium theory (Jacobsen, Stoltze and Nørskov, Surf. Sci. 366, 394 (1996)).

    Sound for Al, Cu, Ag, Au, Ni, Pd, Pt and their alloys. ASE has parameters for H, C, N and O that
    it calls experimental: with them it rehearses a campaign and says nothing about matter.
    """

    @property
    def name(self) -> str:
        """`emt`: its parameters have never changed."""
        return "emt"

    def elements(self) -> frozenset[str]:
        """Chemical symbols that ASE has parameters for."""
        from ase.calculators.emt import parameters

        return frozenset(parameters)

    def calculator(self) -> Calculator:
        """A new calculator."""
        from ase.calculators.emt import EMT

        return EMT()
