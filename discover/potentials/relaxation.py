"""Relaxation of cell and positions with a potential, many crystals at once, symmetry kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from discover.campaign import RelaxationSettings
from discover.errors import StructureError
from discover.potentials.base import Evaluation, Potential
from discover.potentials.batches import evaluator
from discover.potentials.quasi_newton import BFGS
from discover.potentials.symmetric_coordinates import SymmetricCoordinates
from discover.records import Relaxation
from discover.structures.crystal import Crystal

if TYPE_CHECKING:
    from ase import Atoms

_AT_ONCE = 256
"""Crystals under way at a time; how many of them a model gets in one call is the potential's affair."""

_STRAIN_CURVATURE = 20.0
"""First guess of the energy's second derivative in a unit strain, in eV an atom. For the isotropic one it
is three times bulk modulus times volume (Pfrommer et al., J. Comput. Phys. 131, 233 (1997)), which lie
between 3 (KCl) and 15 eV an atom (SiC)."""

_DISPLACEMENT_CURVATURE = 20.0
"""First guess of the energy's second derivative in a displacement, in eV/Å²."""

_LONGEST_STEP_ANGSTROM = 0.2
_LARGEST_STRAIN_STEP = 0.06

_NOT_FINITE = "energy, forces or stress are not finite"


@dataclass(frozen=True)
class RelaxedCrystal:
    """What became of a crystal: its last sound structure, how it got there, and what is wrong with it.

    `record` is None where the potential gave no finite energy; `problem` is None where it converged.
    """

    crystal: Crystal
    record: Relaxation | None
    problem: str | None


def relax(crystal: Crystal, potential: Potential, settings: RelaxationSettings) -> RelaxedCrystal:
    """One crystal, as `relax_many` does it."""
    return relax_many([crystal], potential, settings)[0]


def relax_many(
    crystals: Sequence[Crystal], potential: Potential, settings: RelaxationSettings
) -> list[RelaxedCrystal]:
    """Minimize the energy of each over cell and positions inside its own space group; same order.

    BFGS in symmetric coordinates, one step of every crystal for each batched call of the potential; a
    crystal that has ended makes room for the next. It ends when each force, and the virial an atom, is
    below `fmax_ev_per_angstrom`; it is given up as soon as the volume leaves its bounds or after
    `max_steps`. Where `settings` switch relaxation off, structures are only evaluated. Whatever is
    wrong with a structure becomes its `problem` and costs no other; PotentialError only where the
    potential itself cannot be used.

    The same crystals in the same order give the same numbers. In another company they may differ by
    the rounding of the potential's precision.
    """
    evaluate = evaluator(potential)
    known = potential.elements()
    done: dict[int, RelaxedCrystal] = {}
    active: dict[int, _Descent] = {}
    waiting = iter(enumerate(crystals))
    while len(done) < len(crystals):
        while len(active) < _AT_ONCE and (following := next(waiting, None)) is not None:
            index, crystal = following
            try:
                active[index] = _Descent(crystal, potential.name, known, settings)
            except StructureError as error:
                done[index] = RelaxedCrystal(crystal, None, str(error))
        started = time.perf_counter()
        answers = evaluate([descent.atoms for descent in active.values()])
        seconds = (time.perf_counter() - started) / max(1, len(active))
        for (index, descent), answer in zip(list(active.items()), answers, strict=True):
            outcome = descent.proceed(answer, seconds)
            if outcome is not None:
                done[index] = outcome
                del active[index]
    return [done[index] for index in range(len(crystals))]


class _Descent:
    """One crystal on its way to the minimum; StructureError where it cannot set out."""

    def __init__(
        self, crystal: Crystal, potential: str, known: frozenset[str], settings: RelaxationSettings
    ) -> None:
        self._crystal, self._potential, self._settings = crystal, potential, settings
        self._steps, self._seconds = 0, 0.0
        self.atoms: Atoms = crystal.to_atoms()
        if unknown := sorted(set(self.atoms.get_chemical_symbols()) - known):
            raise StructureError(f"{potential} does not know {', '.join(unknown)}")
        if settings.enabled:
            self._coordinates = SymmetricCoordinates(crystal)
            strains = [_STRAIN_CURVATURE * len(self.atoms)] * self._coordinates.n_strains
            moves = [_DISPLACEMENT_CURVATURE] * self._coordinates.n_displacements
            self._optimizer = BFGS(np.array(strains + moves, dtype=float))
            self._move_to(np.zeros(len(strains + moves)))

    def proceed(self, answer: Evaluation | str, seconds: float) -> RelaxedCrystal | None:
        """Take a step with the answer on `atoms`, or say how it ended; `seconds` is what it cost."""
        self._seconds += seconds
        if isinstance(answer, str):
            return RelaxedCrystal(self._crystal, None, answer)
        if not _is_finite(answer):
            return RelaxedCrystal(self._crystal, None, _NOT_FINITE)
        if not self._settings.enabled:
            return self._ended(answer, converged=False, problem=None)
        gradient = self._coordinates.gradient(self._x, answer)
        residual = self._coordinates.largest_gradient(self._x, answer)
        converged = residual < self._settings.fmax_ev_per_angstrom
        problem = _volume_problem(self._volume_ratio, self._settings.max_volume_change)
        if problem and not converged and gradient[0] * (self._volume_ratio - 1.0) > 0.0:
            problem = None  # a step too far: the isotropic strain is on its way back
        if problem is None and not converged and self._steps == self._settings.max_steps:
            problem = (
                f"not converged after {self._steps} steps (largest force"
                f" {_largest_force(answer):.3f} eV/Å, stress {_largest_stress_gpa(answer):.2f} GPa)"
            )
        if converged or problem:
            return self._ended(answer, converged=problem is None, problem=problem)
        step = self._optimizer.step(self._x, gradient)
        step = self._coordinates.limited(
            self._x, step, _LONGEST_STEP_ANGSTROM, _LARGEST_STRAIN_STEP
        )
        self._move_to(self._x + step)
        self._steps += 1
        return None

    def _move_to(self, x: np.ndarray) -> None:
        geometry = self._coordinates.geometry(x)
        self._x = x
        self.atoms.set_cell(geometry.cell_angstrom)
        self.atoms.set_positions(geometry.positions_angstrom)

    @property
    def _volume_ratio(self) -> float:
        return float(self.atoms.get_volume()) / self._crystal.volume_angstrom3

    def _ended(self, last: Evaluation, *, converged: bool, problem: str | None) -> RelaxedCrystal:
        record = Relaxation(
            potential=self._potential,
            energy_ev_per_atom=last.energy_ev / len(self.atoms),
            max_force_ev_per_angstrom=_largest_force(last),
            max_stress_gpa=_largest_stress_gpa(last),
            volume_ratio=self._volume_ratio,
            steps=self._steps,
            converged=converged,
            seconds=self._seconds,
        )
        crystal = Crystal.from_atoms(self.atoms) if self._settings.enabled else self._crystal
        return RelaxedCrystal(crystal, record, problem)


def _volume_problem(ratio: float, limit: float) -> str | None:
    if ratio > 1.0 + limit:
        return f"volume grew to {100 * ratio:.0f} % of the start (limit {100 * (1 + limit):.0f} %)"
    if ratio < 1.0 - limit:
        return f"volume fell to {100 * ratio:.0f} % of the start (limit {100 * (1 - limit):.0f} %)"
    return None


def _is_finite(evaluation: Evaluation) -> bool:
    return bool(
        np.isfinite(evaluation.energy_ev)
        and np.isfinite(evaluation.forces_ev_per_angstrom).all()
        and np.isfinite(evaluation.stress_ev_per_angstrom3).all()
    )


def _largest_force(evaluation: Evaluation) -> float:
    return float(np.linalg.norm(evaluation.forces_ev_per_angstrom, axis=1).max())


def _largest_stress_gpa(evaluation: Evaluation) -> float:
    from ase.units import GPa

    return float(np.abs(evaluation.stress_ev_per_angstrom3).max()) / float(GPa)
