"""Kind `static`: energy, forces and stress of one structure, to teach a potential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover.calculations.base import Engine, Outcome, check_elements
from discover.calculations.lattice.forces import ForceLog
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms

FORCES = "forces.jsonl"


class Static:
    """One single point, of the crystal itself or with its atoms displaced at random.

    Each coordinate of each atom is displaced by a normal deviate times `rattle_angstrom`; the same
    `seed`, the same displacements. A smaller cell is repeated, always along its shortest vector, until
    it has `min_atoms`. It has no property to
    search for: its frame is what potentials learn from.
    """

    name = "static"
    properties: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        rattle_angstrom: Annotated[float, Field(ge=0, le=0.5)] = 0.0,
        min_atoms: Annotated[int, Field(ge=1, le=1000)] = 1,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self._rattle_angstrom = rattle_angstrom
        self._min_atoms = min_atoms
        self._seed = seed

    def structure(self, crystal: Crystal) -> Atoms:
        """What is computed of this crystal; `info["config_type"]` is `rattled` or `static`."""
        atoms = crystal.to_atoms()
        while len(atoms) < self._min_atoms:
            repeat = [1, 1, 1]
            repeat[int(np.argmin(atoms.cell.lengths()))] = 2
            atoms = atoms.repeat(repeat)
        if self._rattle_angstrom:
            random = np.random.default_rng(self._seed)
            atoms.positions += random.normal(0, self._rattle_angstrom, atoms.positions.shape)
        atoms.info["config_type"] = "rattled" if self._rattle_angstrom else "static"
        return atoms

    def run(self, crystal: Crystal, engine: Engine, directory: Path) -> Outcome:
        """Compute, unless it is in the directory already.

        Raises CalculationError where the engine lacks an element, does not converge, or gives an
        energy or a force that is not a finite number.
        """
        atoms = self.structure(crystal)
        check_elements(engine, atoms.get_chemical_symbols())
        log = ForceLog(directory / FORCES)
        atoms.calc = log.calculator(lambda: engine.calculator(atoms.copy(), directory))
        forces = atoms.get_forces()
        return Outcome(
            values=(),
            details={
                "formula": atoms.get_chemical_formula(),
                "atoms": len(atoms),
                "energy_ev": float(atoms.get_potential_energy()),
                "max_force_ev_per_angstrom": float(np.linalg.norm(forces, axis=1).max()),
                "seconds": log.seconds,
            },
            frames=log.frames(),
        )
