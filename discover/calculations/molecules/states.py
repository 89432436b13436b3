"""The states of one molecule: itself, with one electron less or more, and bound to Li⁺."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from discover.calculations.molecules import conformers as shapes
from discover.calculations.molecules import geometry
from discover.calculations.molecules.base import MolecularEngine, SinglePoint, Solvent
from discover.calculations.molecules.gradients import GradientLog
from discover.calculations.molecules.parts import Parts
from discover.calculations.molecules.vibrations import gibbs_correction, hessian, wavenumbers
from discover.errors import CalculationError
from discover.records import Record
from discover.structures.crystal import Vector
from discover.structures.molecule import Molecule

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

Method = Literal["xtb", "dft"]
Thermal = Literal["none", "xtb", "dft"]

NEUTRAL, OXIDIZED, REDUCED, COMPLEX = "molecule", "oxidized", "reduced", "lithium_complex"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Procedure:
    """How geometries and Gibbs corrections are made."""

    solvent: Solvent
    conformers: int
    geometry: Method
    thermal: Thermal
    temperature_k: float
    max_steps: int
    seed: int


class Geometry(Record):
    """Positions in Å, and the energy in eV of the method that found them."""

    positions_angstrom: tuple[Vector, ...]
    energy_ev: float


class Vibrations(Record):
    """Wavenumbers in 1/cm, imaginary ones negative, and G - E in eV."""

    wavenumbers_cm: tuple[float, ...]
    gibbs_correction_ev: float


class States:
    """The states of one molecule by one engine, each part on disk as soon as it is there."""

    def __init__(
        self, molecule: Molecule, engine: MolecularEngine, directory: Path, procedure: Procedure
    ) -> None:
        self._molecule = molecule
        self._engine = engine
        self._directory = directory
        self._procedure = procedure
        self._dielectric_constant = engine.dielectric_constant(procedure.solvent)
        self.parts = Parts(directory / "parts")
        self._logs: dict[str, GradientLog] = {}

    def atoms(self, state: str) -> Atoms:
        """The geometry of a state, with its charge and spin; CalculationError where none is found."""
        found = self.parts.get(f"{state}-geometry", Geometry, partial(self._geometry_of, state))
        atoms = self._start(state)
        atoms.positions = found.positions_angstrom
        return atoms

    def vertical(self, state: str) -> Atoms:
        """The molecule as it is, with the charge and spin of this state."""
        atoms = self.atoms(NEUTRAL)
        atoms.info |= _electrons(self._molecule, state)
        return atoms

    def energy(
        self,
        name: str,
        atoms: Atoms,
        *,
        solvated: bool = False,
        ghosts: Collection[int] = (),
        polarizability: bool = False,
    ) -> SinglePoint:
        """A single point, kept under its name."""
        return self.parts.get(
            name,
            SinglePoint,
            lambda: self._engine.single_point(
                atoms,
                solvent=self._procedure.solvent if solvated else None,
                ghosts=ghosts,
                polarizability=polarizability,
            ),
        )

    def vibrations(self, state: str) -> Vibrations:
        """At the state's own geometry, where it was found: in the solvent, or in vacuum."""
        return self.parts.get(
            f"{state}-vibrations", Vibrations, partial(self._vibrations_of, state)
        )

    def broken_bonds(self, state: str) -> list[list[int]]:
        """Bonds of the molecule, as pairs of atoms, that this state lacks."""
        count = len(self._molecule.numbers)
        before = shapes.bonds(self.atoms(NEUTRAL))
        return sorted(map(list, before - shapes.bonds(self.atoms(state), count)))

    def frames(self) -> tuple[Atoms, ...]:
        """What the engine computed forces of in vacuum, labelled."""
        return tuple(
            frame
            for state in (NEUTRAL, COMPLEX)
            if state in self._logs
            for frame in self._logs[state].frames(self._start(state), state)
        )

    def _geometry_of(self, state: str) -> Geometry:
        if state == NEUTRAL:
            starts = shapes.conformers(
                self._molecule, self._procedure.conformers, self._procedure.seed
            )
        elif state == COMPLEX:
            starts = shapes.with_lithium(self.atoms(NEUTRAL))
        else:
            starts = [self.vertical(state)]
        atoms, energy = self._lowest(starts, self._dielectric(state))
        if self._procedure.geometry == "dft":
            atoms, energy = geometry.minimum(
                atoms, self._calculator(state, atoms), self._procedure.max_steps
            )
        return Geometry(positions_angstrom=atoms.positions.tolist(), energy_ev=energy)

    def _lowest(self, starts: list[Atoms], dielectric: float | None) -> tuple[Atoms, float]:
        """The lowest minimum by xTB; CalculationError where none of the starts leads to one."""
        found, problems = [], []
        for start in starts:
            try:
                found.append(geometry.xtb_minimum(start, dielectric))
            except CalculationError as error:
                problems.append(str(error))
        if not found:
            raise CalculationError(
                problems[0] if problems else "there is no room for Li⁺ at this molecule"
            )
        return min(found, key=lambda pair: pair[1])

    def _vibrations_of(self, state: str) -> Vibrations:
        atoms = self.atoms(state)
        waves = np.empty(0)
        if len(atoms) > 1:
            calculator = (
                self._calculator(state, atoms)
                if self._procedure.thermal == "dft"
                else geometry.xtb(atoms, self._dielectric(state))
            )
            waves = wavenumbers(atoms, hessian(atoms, calculator))
        return Vibrations(
            wavenumbers_cm=tuple(waves.tolist()),
            gibbs_correction_ev=gibbs_correction(atoms, waves, self._procedure.temperature_k),
        )

    def _calculator(self, state: str, atoms: Atoms) -> Calculator:
        """The engine's, in the solvent for ions of the redox pair; every force is kept."""
        if state not in self._logs:
            self._logs[state] = GradientLog(self._directory / "parts" / f"{state}-forces.jsonl")
        solvent = self._procedure.solvent if self._dielectric(state) else None
        return self._logs[state].calculator(
            lambda: self._engine.calculator(atoms, self._directory, solvent)
        )

    def _dielectric(self, state: str) -> float | None:
        """The dielectric constant around a state's geometry; None in vacuum."""
        return self._dielectric_constant if state in {OXIDIZED, REDUCED} else None

    def _start(self, state: str) -> Atoms:
        """Elements, charge and spin of a state; its positions are those the molecule came with."""
        atoms = self._molecule.to_atoms()
        if state == COMPLEX:
            atoms.append("Li")
        atoms.info |= _electrons(self._molecule, state)
        return atoms


def _electrons(molecule: Molecule, state: str) -> dict[str, int]:
    """Charge and 2S + 1 of a state of a closed-shell molecule."""
    change = {NEUTRAL: 0, OXIDIZED: 1, REDUCED: -1, COMPLEX: 1}[state]
    return {
        "charge": molecule.charge + change,
        "spin": 2 if state in {OXIDIZED, REDUCED} else 1,
    }
