"""Kind `static`: energy, forces and stress of a crystal, displaced at random, to teach a potential."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover.calculations.base import ForceEngine, Outcome, check_elements
from discover.calculations.lattice.forces import KIND_OF_FRAME, ForceLog, single_points
from discover.errors import CalculationError
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms

FORCES = "forces.jsonl"


class Static:
    """Single points: of the crystal itself, or `frames` of it with atoms displaced at random.

    Each coordinate of each atom is displaced by a normal deviate times `rattle_angstrom`; the same
    `seed`, the same displacements. A smaller cell is repeated, always along its shortest vector, until
    it has `min_atoms`. It has no property to
    search for: its frames are what potentials learn from.
    """

    name = "static"
    properties: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        rattle_angstrom: Annotated[float, Field(ge=0, le=0.5)] = 0.0,
        frames: Annotated[int, Field(ge=1, le=100)] = 1,
        min_atoms: Annotated[int, Field(ge=1, le=1000)] = 1,
        seed: Annotated[int, Field(ge=0)] = 0,
    ) -> None:
        self._rattle_angstrom = rattle_angstrom
        self._frames = frames
        self._min_atoms = min_atoms
        self._seed = seed

    def structures(self, crystal: Crystal) -> list[Atoms]:
        """What is computed of this crystal; `info["config_type"]` is `rattled` or `static`."""
        atoms = crystal.to_atoms()
        while len(atoms) < self._min_atoms:
            repeat = [1, 1, 1]
            repeat[int(np.argmin(atoms.cell.lengths()))] = 2
            atoms = atoms.repeat(repeat)
        if not self._rattle_angstrom:
            atoms.info[KIND_OF_FRAME] = "static"
            return [atoms]
        atoms.info[KIND_OF_FRAME] = "rattled"
        random = np.random.default_rng(self._seed)
        rattled = [atoms.copy() for _ in range(self._frames)]
        for one in rattled:
            one.positions += random.normal(0, self._rattle_angstrom, one.positions.shape)
        return rattled

    def run(self, crystal: Crystal, engine: ForceEngine, directory: Path) -> Outcome:
        """Compute what is not in the directory already.

        Raises CalculationError, with the frames computed so far, where the engine lacks an element,
        does not converge, or gives an energy or a force that is not a finite number.
        """
        structures = self.structures(crystal)
        check_elements(engine, structures[0].get_chemical_symbols())
        log = ForceLog(directory / FORCES)
        calculator = log.calculator(lambda: engine.calculator(structures[0].copy(), directory))
        try:
            energies, forces = single_points(structures, calculator)
        except CalculationError as error:
            raise CalculationError(str(error), frames=log.frames()) from error
        return Outcome(
            values=(),
            details={
                "formula": structures[0].get_chemical_formula(),
                "atoms": len(structures[0]),
                "energies_ev": energies.tolist(),
                "max_force_ev_per_angstrom": float(np.linalg.norm(forces, axis=2).max()),
                "seconds": log.seconds,
            },
            frames=log.frames(),
        )
