"""Kind `molecule`: redox potentials, binding of lithium, dipole, polarizability and solvation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from discover.calculations.base import Outcome, Value, check_elements
from discover.calculations.molecules.base import MolecularEngine, SinglePoint, Solvent
from discover.calculations.molecules.geometry import check_packages
from discover.calculations.molecules.states import (
    COMPLEX,
    NEUTRAL,
    OXIDIZED,
    REDUCED,
    Method,
    Procedure,
    States,
    Thermal,
)
from discover.errors import CalculationError, DiscoverError
from discover.structures.molecule import Molecule

ABSOLUTE_LITHIUM_V = 1.40
"""Li/Li⁺ against an electron at rest in vacuum: -3.04 V against the standard hydrogen electrode, whose
absolute potential is 4.44 V (S. Trasatti, Pure Appl. Chem. 58, 955 (1986)). Published calculations take
1.37 to 1.46 V."""

IMAGINARY_CM = 50.0
"""Wavenumbers more imaginary than this, in 1/cm, are no noise: the geometry is a saddle point."""

KJ_PER_MOL = 96.48533212
"""1 eV in kJ/mol: the Faraday constant in kC/mol."""


@dataclass(frozen=True)
class Preset:
    """Defaults of the kind's settings."""

    conformers: int
    geometry: Method
    thermal: Thermal


PRESETS = {"cheap": Preset(4, "xtb", "xtb"), "tight": Preset(10, "dft", "dft")}


class MolecularProperties:
    """Six properties of a closed-shell molecule or molecular ion, and its frontier orbitals.

    Geometries: the lowest of `conformers` by GFN2-xTB; those with one electron less or more, from there,
    in the solvent; the lowest of the complexes with Li⁺ before each donor atom. `geometry: dft` goes on
    with the engine's forces and geomeTRIC in up to `max_steps`.

    A potential is ΔG/e - `absolute_lithium_v`, where ΔG is that of M → M⁺ + e⁻ or of M⁻ → M + e⁻ with
    the electron at rest in vacuum: the difference of electronic energies in `solvent` (its name or its
    dielectric constant; acetone, with 20.5, stands for mixed carbonates as in O. Borodin et al., J.
    Phys. Chem. C 117, 8661 (2013)) and, for the adiabatic one, of `thermal` Gibbs corrections; the
    vertical one is at the geometry of M. Binding of Li⁺ is E(complex) - E(molecule) - E(Li⁺) in vacuum,
    negative where it binds, with the counterpoise correction of S. F. Boys and F. Bernardi, Mol. Phys.
    19, 553 (1970). Dipole, polarizability and orbital energies are those in vacuum. Solvation is at the
    geometry in vacuum, 1 M to 1 M.

    `preset` gives what is None. A saddle point (`thermal: dft`: an imaginary wavenumber) quarantines the
    adiabatic potential; a molecule that breaks up when it is oxidized or reduced is a warning.
    """

    name = "molecule"
    takes = Molecule
    drives = MolecularEngine
    properties = (
        "oxidation_potential",
        "reduction_potential",
        "lithium_binding_energy",
        "dipole_moment",
        "polarizability",
        "solvation_free_energy",
        "vertical_oxidation_potential",
        "vertical_reduction_potential",
        "homo_energy",
        "lumo_energy",
    )

    def __init__(
        self,
        *,
        preset: Literal["cheap", "tight"] = "cheap",
        solvent: Solvent = "acetone",
        conformers: Annotated[int, Field(ge=1, le=100)] | None = None,
        geometry: Method | None = None,
        thermal: Thermal | None = None,
        counterpoise: bool = True,
        absolute_lithium_v: Annotated[float, Field(gt=0, lt=3)] = ABSOLUTE_LITHIUM_V,
        temperature_k: Annotated[float, Field(gt=0)] = 298.15,
        max_steps: Annotated[int, Field(ge=1)] = 100,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        chosen = PRESETS[preset]
        self._procedure = Procedure(
            solvent=solvent,
            conformers=conformers or chosen.conformers,
            geometry=geometry or chosen.geometry,
            thermal=thermal or chosen.thermal,
            temperature_k=temperature_k,
            max_steps=max_steps,
            seed=seed,
        )
        self._counterpoise = counterpoise
        self._absolute_lithium_v = absolute_lithium_v
        if self._procedure.thermal == "dft" and self._procedure.geometry != "dft":
            raise CalculationError(
                "kind 'molecule': thermal dft needs geometry dft, for vibrations are those of a minimum"
            )

    def run(self, molecule: Molecule, engine: MolecularEngine, directory: Path) -> Outcome:
        """Compute, going on from the parts that are in the directory already.

        Raises CalculationError, with the frames computed so far, for an open shell, an element or a
        solvent that the engine lacks, and where a field or a geometry does not converge.
        """
        check_packages()
        if molecule.multiplicity != 1:
            raise CalculationError(
                f"{molecule.smiles} has an open shell (multiplicity {molecule.multiplicity}); the kind "
                "'molecule' starts from closed ones"
            )
        check_elements(engine, (*molecule.to_atoms().get_chemical_symbols(), "Li"))
        states = States(molecule, engine, directory, self._procedure)
        try:
            return self._outcome(molecule, states)
        except DiscoverError as error:
            raise CalculationError(str(error), frames=states.frames()) from error

    def _outcome(self, molecule: Molecule, states: States) -> Outcome:
        atoms = states.atoms(NEUTRAL)
        vacuum = states.energy("vacuum", atoms, polarizability=True)
        solvated = states.energy("solvated", atoms, solvated=True)
        values = [
            Value.of("dipole_moment", vacuum.dipole),
            Value.of("polarizability", vacuum.polarizability_angstrom3 or 0.0),
            Value.of("solvation_free_energy", (solvated.energy_ev - vacuum.energy_ev) * KJ_PER_MOL),
            Value.of("homo_energy", vacuum.homo_ev),
            Value.of("lumo_energy", vacuum.lumo_ev),
        ]
        warnings = [*vacuum.notes, *solvated.notes]
        details: dict[str, Any] = {
            "smiles": molecule.smiles,
            "formula": molecule.formula,
            "charge": molecule.charge,
            "positions_angstrom": atoms.positions.tolist(),
            "absolute_lithium_v": self._absolute_lithium_v,
            "solvent": self._procedure.solvent,
            "geometry": self._procedure.geometry,
            "thermal": self._procedure.thermal,
        }
        for state, sign in ((OXIDIZED, 1), (REDUCED, -1)):
            more, told = self._redox(states, state, sign, solvated)
            values += more
            warnings += told
            details[f"{state}_broken_bonds"] = states.broken_bonds(state)
        binding, more_details, told = self._binding(states, vacuum)
        values.append(Value.of("lithium_binding_energy", binding))
        return Outcome(
            values=tuple(sorted(values, key=lambda v: self.properties.index(v.property))),
            details=details | more_details | {"cpu_seconds": states.parts.cpu_seconds},
            warnings=tuple(dict.fromkeys((*warnings, *told))),
            frames=states.frames(),
        )

    def _redox(
        self, states: States, state: str, sign: int, solvated: SinglePoint
    ) -> tuple[list[Value], list[str]]:
        """Vertical and adiabatic potential in V, and what to tell of them; `sign` is 1 of oxidation."""
        kind = "oxidation" if sign > 0 else "reduction"
        vertical = states.energy(f"{state}-vertical", states.vertical(state), solvated=True)
        relaxed = states.energy(f"{state}-adiabatic", states.atoms(state), solvated=True)
        gibbs, problem = 0.0, None
        if self._procedure.thermal != "none":
            before, after = states.vibrations(NEUTRAL), states.vibrations(state)
            gibbs = after.gibbs_correction_ev - before.gibbs_correction_ev
            lowest = min((*before.wavenumbers_cm, *after.wavenumbers_cm), default=0.0)
            if self._procedure.thermal == "dft" and lowest < -IMAGINARY_CM:
                problem = f"no minimum: an imaginary mode of {-lowest:.0f}i 1/cm"
        notes = [f"{state}: {note}" for note in (*vertical.notes, *relaxed.notes)]
        if states.broken_bonds(state):
            notes.append(f"the {state} molecule breaks up: its adiabatic potential includes that")

        def potential(energy_ev: float) -> float:
            return sign * (energy_ev - solvated.energy_ev) - self._absolute_lithium_v

        return [
            Value.of(f"vertical_{kind}_potential", potential(vertical.energy_ev)),
            Value.of(f"{kind}_potential", potential(relaxed.energy_ev + gibbs), problem),
        ], notes

    def _binding(
        self, states: States, vacuum: SinglePoint
    ) -> tuple[float, dict[str, Any], list[str]]:
        """Binding energy of Li⁺ in kJ/mol, details, and what to tell of it."""
        complexed = states.atoms(COMPLEX)
        ion = len(complexed) - 1
        molecule = complexed[:ion]
        molecule.info |= states.atoms(NEUTRAL).info
        lithium = complexed[ion:]
        lithium.info |= {"charge": 1, "spin": 1}
        bound = states.energy("lithium_complex", complexed)
        free = states.energy("lithium", lithium)
        binding = bound.energy_ev - vacuum.energy_ev - free.energy_ev
        details: dict[str, Any] = {
            "lithium_complex_positions_angstrom": complexed.positions.tolist()
        }
        notes = [f"lithium complex: {note}" for note in bound.notes]
        if not self._counterpoise:
            return (
                binding * KJ_PER_MOL,
                details,
                [*notes, "the binding energy has no counterpoise correction"],
            )
        in_both, alone = complexed.copy(), states.energy("molecule_in_complex", molecule)
        in_both.info |= molecule.info
        molecule_in_both = states.energy("molecule_with_ghost", in_both, ghosts={ion})
        in_both.info |= lithium.info
        lithium_in_both = states.energy("lithium_with_ghosts", in_both, ghosts=set(range(ion)))
        interaction = (
            bound.energy_ev - molecule_in_both.energy_ev - lithium_in_both.energy_ev
        ) * KJ_PER_MOL
        deformation = (alone.energy_ev - vacuum.energy_ev) * KJ_PER_MOL
        details |= {
            "lithium_interaction_kj_per_mol": interaction,
            "lithium_deformation_kj_per_mol": deformation,
        }
        return interaction + deformation, details, notes
