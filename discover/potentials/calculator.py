"""An ASE calculator around a potential that evaluates batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import Calculator, all_changes

from discover.errors import PotentialError

if TYPE_CHECKING:
    from ase import Atoms

    from discover.potentials.base import BatchedPotential


class EvaluatingCalculator(Calculator):  # type: ignore[misc]
    """Energy (eV), forces (eV/Å) and stress (eV/Å³) of one structure, whatever its composition."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, potential: BatchedPotential) -> None:
        super().__init__()
        self._potential = potential

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = None,
        system_changes: Any = all_changes,
    ) -> None:
        """Ask the potential; PotentialError where it has no answer for this structure."""
        super().calculate(atoms, properties, system_changes)
        answer = self._potential.evaluate([self.atoms])[0]
        if isinstance(answer, str):
            raise PotentialError(f"{self._potential.name}: {answer}")
        self.results = {
            "energy": answer.energy_ev,
            "free_energy": answer.energy_ev,
            "forces": answer.forces_ev_per_angstrom,
            "stress": answer.stress_ev_per_angstrom3,
        }
