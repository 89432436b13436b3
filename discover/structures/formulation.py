"""A formulation: molecules with roles and mole fractions, such as a salt in a mixture of solvents."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from discover.structures.molecule import Molecule

FRACTION_TOLERANCE = 1e-6


class Role(StrEnum):
    """What a component is there for."""

    CATION = "cation"
    ANION = "anion"
    SOLVENT = "solvent"
    ADDITIVE = "additive"


class Component(BaseModel):
    """One kind of molecule or ion in a formulation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    molecule: Molecule
    mole_fraction: Annotated[FiniteFloat, Field(gt=0, le=1)]


class Formulation(BaseModel):
    """A mixture whose mole fractions sum to one and whose charges cancel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    components: tuple[Component, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Formulation:
        total = math.fsum(c.mole_fraction for c in self.components)
        if abs(total - 1.0) > FRACTION_TOLERANCE:
            raise ValueError(f"the mole fractions sum to {total:.6g}, not to 1")
        charge = math.fsum(c.mole_fraction * c.molecule.charge for c in self.components)
        if abs(charge) > FRACTION_TOLERANCE:
            raise ValueError(f"the charges sum to {charge:.6g} e per mole, not to 0")
        names = [c.molecule.smiles for c in self.components]
        if len(set(names)) < len(names):
            raise ValueError("a molecule stands twice: add up its mole fractions")
        return self

    def content(self) -> dict[str, Any]:
        """What makes it the mixture it is, for hashes: mole fractions rounded to 1e-6.

        Geometries of its molecules are left out, as a liquid has many.
        """
        return {
            "components": sorted(
                [c.molecule.smiles, c.role.value, round(c.mole_fraction, 6), c.molecule.charge]
                for c in self.components
            )
        }

    @property
    def fingerprint(self) -> str:
        """The molecules' fingerprints with mole fractions to four digits: equal for duplicates.

        What a component is called does not matter: an additive may be another's solvent.
        """
        parts = sorted(f"{c.molecule.fingerprint}:{c.mole_fraction:.4f}" for c in self.components)
        return " ".join(parts)

    @property
    def title(self) -> str:
        """SMILES of the components with their mole fractions in percent, in the order they are given."""
        return " + ".join(
            f"{100 * c.mole_fraction:.3g} % {c.molecule.smiles}" for c in self.components
        )

    @property
    def formula(self) -> str:
        """Formulas of the components with their mole fractions, in order of their SMILES."""
        ordered = sorted(self.components, key=lambda c: c.molecule.smiles)
        return " ".join(f"{c.molecule.formula}:{c.mole_fraction:.3g}" for c in ordered)
