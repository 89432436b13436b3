"""Forces of molecules, each on disk as soon as it is computed, so none is computed twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator

from discover.errors import CalculationError
from discover.files import JsonLines
from discover.records import content_hash

if TYPE_CHECKING:
    from numpy.typing import NDArray


class GradientLog:
    """Geometries of one molecule in one charge state, with energies and forces."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = JsonLines(path)
        self._records = {_digest(record["positions"]): record for record in self._kept.read()}

    def calculator(self, make: Callable[[], Calculator]) -> Calculator:
        """Answers from the log, and otherwise asks the calculator that `make` gives."""
        return _Logged(self, make)

    def frames(self, like: Atoms, what: str) -> tuple[Atoms, ...]:
        """What there is, in the order computed, with `config_type` `what` and charge and spin."""
        return tuple(_frame(like, record, what) for record in self._records.values())

    def results(self, atoms: Atoms, make: Callable[[], Calculator]) -> dict[str, Any]:
        """Energy (eV) and forces (eV/Å); CalculationError where one is not a finite number."""
        key = _digest(atoms.positions)
        if key not in self._records:
            fresh = atoms.copy()
            fresh.calc = make()
            forces, energy = fresh.get_forces(), float(fresh.get_potential_energy())
            if not (np.isfinite(forces).all() and np.isfinite(energy)):
                raise CalculationError(
                    f"a force on {atoms.get_chemical_formula()} is not a finite number"
                )
            record = {
                "positions": atoms.positions.tolist(),
                "energy_ev": energy,
                "forces_ev_per_angstrom": forces.tolist(),
            }
            self._path.parent.mkdir(exist_ok=True)
            self._kept.append(record)
            self._records[key] = record
        found = self._records[key]
        return {
            "energy": found["energy_ev"],
            "forces": np.asarray(found["forces_ev_per_angstrom"]),
        }


class _Logged(Calculator):  # type: ignore[misc]
    """ASE's interface to a `GradientLog`."""

    implemented_properties = ("energy", "forces")

    def __init__(self, log: GradientLog, make: Callable[[], Calculator]) -> None:
        super().__init__()
        self._log = log
        self._make = make
        self._made: Calculator | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Recall or compute energy and forces of these atoms."""
        super().calculate(atoms, list(properties), list(system_changes))
        self.results = self._log.results(self.atoms, self._calculator)

    def _calculator(self) -> Calculator:
        if self._made is None:
            self._made = self._make()
        return self._made


def _digest(positions: NDArray[np.float64] | Sequence[Sequence[float]]) -> str:
    return content_hash({"positions": (np.round(np.asarray(positions), 7) + 0.0).tolist()})


def _frame(like: Atoms, record: dict[str, Any], what: str) -> Atoms:
    atoms = Atoms(
        numbers=like.numbers,
        positions=record["positions"],
        info={key: like.info[key] for key in ("charge", "spin")} | {"config_type": what},
    )
    atoms.calc = SinglePointCalculator(
        atoms,
        energy=record["energy_ev"],
        forces=np.asarray(record["forces_ev_per_angstrom"]),
    )
    return atoms
