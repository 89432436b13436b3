"""Energies and forces of structures, each on disk as soon as it is computed, so none is done twice."""

from __future__ import annotations

import logging
import time
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

KIND_OF_FRAME = "config_type"
"""Key in `atoms.info` that says what a frame is for; potentials are weighted by it when trained."""

_log = logging.getLogger(__name__)


class ForceLog:
    """Every structure that was computed, in a file of JSON lines, and calculators that use it.

    Two structures are the same when their elements, and their cell and positions within 1e-6 Å, are.
    """

    def __init__(self, path: Path) -> None:
        self._kept = JsonLines(path)
        self._records = {_digest(_atoms(record)): record for record in self._kept.read()}

    def calculator(self, make: Callable[[], Calculator]) -> Calculator:
        """A calculator that answers from the log, and otherwise asks the one that `make` gives.

        `make` is called at the first structure that is not in the log. A structure is logged with its
        `atoms.info["config_type"]`.
        """
        return _Logged(self, make)

    def frames(self) -> tuple[Atoms, ...]:
        """All structures in the order computed, labelled with energy, forces and stress."""
        return tuple(_labelled(record) for record in self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    @property
    def seconds(self) -> float:
        """Time spent on all of them, those of earlier processes included."""
        return float(sum(record["seconds"] for record in self._records.values()))

    def recall(self, atoms: Atoms) -> dict[str, Any] | None:
        """The record of this structure, or None."""
        return self._records.get(_digest(atoms))

    def compute(self, atoms: Atoms, calculator: Calculator) -> dict[str, Any]:
        """Compute and keep; CalculationError where the energy or a force is not a finite number."""
        started = time.perf_counter()
        fresh = Atoms(
            numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=atoms.pbc
        )
        fresh.calc = calculator
        what = str(atoms.info.get(KIND_OF_FRAME, "structure"))
        with_stress = "stress" in getattr(calculator, "implemented_properties", ())
        record = {
            KIND_OF_FRAME: what,
            "numbers": fresh.numbers.tolist(),
            "cell": fresh.cell.tolist(),
            "positions": fresh.positions.tolist(),
            "energy_ev": float(fresh.get_potential_energy()),
            "forces_ev_per_angstrom": _finite(fresh.get_forces(), fresh, what).tolist(),
            "stress_ev_per_angstrom3": fresh.get_stress().tolist() if with_stress else None,
            "seconds": time.perf_counter() - started,
        }
        if not np.isfinite(record["energy_ev"]):
            raise CalculationError(f"the energy of a {what} is not a finite number")
        self._kept.append(record)
        self._records[_digest(atoms)] = record
        return record


class _Logged(Calculator):  # type: ignore[misc]
    """ASE's interface to a `ForceLog`."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, log: ForceLog, make: Callable[[], Calculator]) -> None:
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
        """Recall or compute all there is about these atoms."""
        super().calculate(atoms, list(properties), list(system_changes))
        record = self._log.recall(self.atoms)
        if record is None:
            if self._made is None:
                self._made = self._make()
            record = self._log.compute(self.atoms, self._made)
        self.results = _results(record)


def single_points(
    structures: Sequence[Atoms], calculator: Calculator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energies in eV, shape (structures,), and forces in eV/Å, shape (structures, atoms, 3).

    A line of progress for each. Raises CalculationError, naming structure and atom, where a force is
    not a finite number.
    """
    energies, forces = [], []
    for number, structure in enumerate(structures, start=1):
        started = time.perf_counter()
        atoms = structure.copy()
        atoms.calc = calculator
        what = f"{atoms.info.get(KIND_OF_FRAME, 'structure')} {number} of {len(structures)}"
        forces.append(_finite(atoms.get_forces(), atoms, what))
        energies.append(float(atoms.get_potential_energy()))
        _log.info(
            "%s  largest force %.4f eV/Å  %.1f s",
            what,
            np.linalg.norm(forces[-1], axis=1).max(),
            time.perf_counter() - started,
        )
    return np.asarray(energies), np.asarray(forces)


def _finite(forces: NDArray[np.float64], atoms: Atoms, what: str) -> NDArray[np.float64]:
    bad = np.flatnonzero(~np.isfinite(forces).all(axis=1))
    if bad.size:
        raise CalculationError(
            f"{what} of {atoms.get_chemical_formula()}: the force on atom {bad[0]} "
            f"({atoms.symbols[bad[0]]}) is not a finite number; this structure is beyond what the "
            "engine can compute"
        )
    return forces


def _digest(atoms: Atoms) -> str:
    return content_hash(
        {
            "numbers": atoms.numbers.tolist(),
            "cell": (np.round(atoms.cell.array, 6) + 0.0).tolist(),
            "positions": (np.round(atoms.positions, 6) + 0.0).tolist(),
        }
    )


def _atoms(record: dict[str, Any]) -> Atoms:
    return Atoms(
        numbers=record["numbers"],
        cell=record["cell"],
        positions=record["positions"],
        pbc=True,
        info={KIND_OF_FRAME: record[KIND_OF_FRAME]},
    )


def _labelled(record: dict[str, Any]) -> Atoms:
    atoms = _atoms(record)
    atoms.calc = SinglePointCalculator(atoms, **_results(record))
    return atoms


def _results(record: dict[str, Any]) -> dict[str, Any]:
    results = {
        "energy": record["energy_ev"],
        "forces": np.asarray(record["forces_ev_per_angstrom"]),
    }
    if record["stress_ev_per_angstrom3"] is not None:
        results["stress"] = np.asarray(record["stress_ev_per_angstrom3"])
    return results
