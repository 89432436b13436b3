"""Physical properties a campaign can search: unit, transform and plausible range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from discover.errors import CampaignError

Transform = Literal["log10", "none"]


@dataclass(frozen=True)
class Property:
    """A measurable quantity.

    `transform` is the scale on which surrogates learn it (`log10` for quantities that span decades);
    `plausible` is the closed range, in `unit`, outside of which a computed value is quarantined.
    """

    name: str
    label: str
    unit: str
    transform: Transform
    plausible: tuple[float, float]

    def doubt(self, value: float, bound: Literal["below", "above"] | None = None) -> str | None:
        """Why a value is not plausible, None where it, or what a bound leaves room for, is."""
        low, high = self.plausible
        if (value >= low or bound == "above") and (value <= high or bound == "below"):
            return None
        return f"{value:.4g} {self.unit} is outside the plausible {low:g} to {high:g}"

    def to_model(self, value: float) -> float:
        """Physical value -> the scale of the surrogate; ValueError where log10 is undefined."""
        if self.transform == "none":
            return value
        if not value > 0:
            raise ValueError(f"{self.name} = {value} {self.unit} has no logarithm")
        return math.log10(value)

    def from_model(self, value: float) -> float:
        """Inverse of `to_model`."""
        return value if self.transform == "none" else 10.0**value


PROPERTIES: dict[str, Property] = {
    p.name: p
    for p in (
        Property(
            "thermal_conductivity", "lattice thermal conductivity", "W/m/K", "log10", (1e-3, 1e4)
        ),
        Property("bulk_modulus", "bulk modulus", "GPa", "log10", (0.1, 1e3)),
        Property("debye_temperature", "Debye temperature", "K", "log10", (1.0, 4e3)),
        Property("gruneisen_parameter", "Grüneisen parameter", "1", "none", (0.0, 6.0)),
        Property("minimum_frequency", "lowest phonon frequency", "THz", "none", (-60.0, 60.0)),
        Property("oxidation_potential", "oxidation potential vs Li/Li⁺", "V", "none", (-3.0, 15.0)),
        Property("reduction_potential", "reduction potential vs Li/Li⁺", "V", "none", (-8.0, 8.0)),
        Property(
            "vertical_oxidation_potential",
            "vertical oxidation potential vs Li/Li⁺",
            "V",
            "none",
            (-3.0, 15.0),
        ),
        Property(
            "vertical_reduction_potential",
            "vertical reduction potential vs Li/Li⁺",
            "V",
            "none",
            (-8.0, 8.0),
        ),
        Property(
            "lithium_binding_energy", "binding energy of Li⁺", "kJ/mol", "none", (-1000.0, 50.0)
        ),
        Property("dipole_moment", "dipole moment", "D", "none", (0.0, 40.0)),
        Property("polarizability", "isotropic polarizability", "Å³", "none", (0.1, 500.0)),
        Property(
            "solvation_free_energy", "solvation free energy", "kJ/mol", "none", (-800.0, 100.0)
        ),
        Property("homo_energy", "energy of the HOMO", "eV", "none", (-30.0, 5.0)),
        Property("lumo_energy", "energy of the LUMO", "eV", "none", (-15.0, 15.0)),
        Property("ionic_conductivity", "ionic conductivity", "S/cm", "log10", (1e-20, 10.0)),
        Property("diffusion_coefficient", "diffusion coefficient", "cm²/s", "log10", (1e-18, 1e-2)),
        Property("activation_energy", "activation energy", "eV", "none", (0.0, 5.0)),
        Property("hull_distance", "energy above the convex hull", "eV/atom", "none", (0.0, 5.0)),
        Property("formation_energy", "formation energy", "eV/atom", "none", (-10.0, 5.0)),
        Property("reduction_limit", "cathodic limit vs the metal", "V", "none", (-5.0, 10.0)),
        Property("oxidation_limit", "anodic limit vs the metal", "V", "none", (-5.0, 12.0)),
        Property("density", "density", "g/cm³", "none", (0.05, 25.0)),
    )
}


def property_named(name: str) -> Property:
    """The property called `name`; CampaignError naming the known ones otherwise."""
    try:
        return PROPERTIES[name]
    except KeyError:
        raise CampaignError(
            f"unknown property {name!r}; known: {', '.join(sorted(PROPERTIES))}"
        ) from None
