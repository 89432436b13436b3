"""The convex hull of competing phases, and the voltages between which a phase stays on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discover.errors import CalculationError

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry

_BELOW_HULL_EV = 1e-6
"""A phase above the hull is put so far below it, per atom, to ask at which voltages it would last."""


@dataclass(frozen=True)
class Phase:
    """A phase with its energy in eV/atom, by any one method; `origin` says where it is from."""

    formula: str
    energy_ev_per_atom: float
    origin: str = ""

    @property
    def elements(self) -> frozenset[str]:
        """Its chemical symbols."""
        from pymatgen.core import Composition

        return frozenset(element.symbol for element in Composition(self.formula).elements)


@dataclass(frozen=True)
class Stability:
    """How a phase stands among its competitors.

    `hull_distance_ev_per_atom` is 0 on the hull; `decomposition` are the phases it falls apart into,
    with their share of the atoms. `reduction_limit_v` and `oxidation_limit_v` bound the window against
    the metal of the working ion; both are None for a phase without that ion.
    """

    formation_energy_ev_per_atom: float
    hull_distance_ev_per_atom: float
    decomposition: dict[str, float]
    reduction_limit_v: float | None
    oxidation_limit_v: float | None


def stability(
    phase: Phase, competing: Sequence[Phase], ion: str = "Li", charge: int = 1
) -> Stability:
    """Hull distance, formation energy and electrochemical window of `phase` among `competing` ones.

    The hull is that of Ong, Wang, Kang, Ceder, Chem. Mater. 20, 1798 (2008). The window is the range of
    the ion's chemical potential μ in which the phase, put onto the hull where it is above it, does not
    react with its reservoir: V = -(μ - μ⁰)/(z e), μ⁰ of the metal (Zhu, He, Mo, ACS Appl. Mater.
    Interfaces 7, 23685 (2015); Richards et al., Chem. Mater. 28, 266 (2016)). CalculationError where an
    element of the phase has no reference among the competing ones.
    """
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition, Element

    composition = Composition(phase.formula).reduced_composition
    space = set(composition.elements)
    others = [_entry(one) for one in competing if set(Composition(one.formula).elements) <= space]
    elements = {entry.composition.elements[0] for entry in others if entry.is_element}
    if missing := space - elements:
        raise CalculationError(
            "no energy of the elements "
            f"{', '.join(sorted(element.symbol for element in missing))}: a hull begins with them"
        )
    own = _entry(phase)
    diagram = PhaseDiagram([*others, own])
    distance = float(diagram.get_e_above_hull(own))
    parts, _ = diagram.get_decomp_and_e_above_hull(own)
    reduction = oxidation = None
    if Element(ion) in space and len(space) > 1:
        lowered = own.energy - (distance + _BELOW_HULL_EV) * own.composition.num_atoms
        held = PhaseDiagram([*others, PDEntry(own.composition, lowered)])
        metal = held.el_refs[Element(ion)].energy_per_atom
        corners = held.get_all_chempots(own.composition).values()
        voltages = [(metal - corner[Element(ion)]) / charge for corner in corners]
        reduction, oxidation = min(voltages), max(voltages)
    return Stability(
        formation_energy_ev_per_atom=float(diagram.get_form_energy_per_atom(own)),
        hull_distance_ev_per_atom=max(distance, 0.0),
        decomposition={part.composition.reduced_formula: float(n) for part, n in parts.items()},
        reduction_limit_v=reduction,
        oxidation_limit_v=oxidation,
    )


def _entry(phase: Phase) -> PDEntry:
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    composition = Composition(phase.formula).reduced_composition
    return PDEntry(composition, phase.energy_ev_per_atom * composition.num_atoms)
