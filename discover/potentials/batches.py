"""Batched evaluation: as many structures at once as memory holds, each with its own answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.errors import PotentialError
from discover.potentials.base import BatchedPotential, Evaluation, Potential

if TYPE_CHECKING:
    from ase import Atoms

Evaluate = Callable[["Sequence[Atoms]"], "list[Evaluation | str]"]

_SMALLEST_VOLUME_ANGSTROM3 = 0.5
"""An atom: hydrogen has 1.5 at 300 GPa. A denser cell has neighbours without number."""


def evaluator(potential: Potential) -> Evaluate:
    """What evaluates structures: the potential's own batches, or its calculator, one by one.

    PotentialError where the potential cannot be loaded.
    """
    if isinstance(potential, BatchedPotential):
        return potential.evaluate
    calculator = potential.calculator()

    def evaluate(structures: Sequence[Atoms]) -> list[Evaluation | str]:
        answers: list[Evaluation | str] = []
        for structure in structures:
            atoms = structure.copy()
            atoms.calc = calculator
            try:
                answers.append(
                    Evaluation(
                        energy_ev=float(atoms.get_potential_energy()),
                        forces_ev_per_angstrom=atoms.get_forces(),
                        stress_ev_per_angstrom3=atoms.get_stress(),
                    )
                )
            except Exception as error:  # noqa: BLE001 - a calculator may raise anything
                answers.append(f"{potential.name} failed: {error!r}")
        return answers

    return evaluate


class MemoryBatches:
    """Calls a model on as many structures at once as memory holds.

    A call that fails is repeated in halves. Where it ran out of memory, the number of atoms that were
    too many is remembered, and later calls stay at half of it; another error is so traced to the
    structure that has it, and becomes that structure's answer. It starts at `largest` atoms a call.
    """

    def __init__(
        self, name: str, model: Callable[[Sequence[Atoms]], Sequence[Evaluation]], largest: int
    ) -> None:
        self._name, self._model, self._largest = name, model, largest

    @property
    def largest(self) -> int:
        """Atoms in one call, as far as is known to fit (a larger structure is tried alone)."""
        return self._largest

    def evaluate(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        """One answer for each structure, in order; a string says what is wrong with it."""
        answers: list[Evaluation | str] = [_problem(structure) or "" for structure in structures]
        sound = [i for i, problem in enumerate(answers) if not problem]
        for batch in self._batches(sound, structures):
            for i, answer in zip(batch, self._try([structures[i] for i in batch]), strict=True):
                answers[i] = answer
        return answers

    def _batches(self, indices: Sequence[int], structures: Sequence[Atoms]) -> Iterator[list[int]]:
        """Runs of `indices`, as long as the limit of the moment allows."""
        batch: list[int] = []
        for i in indices:
            if batch and sum(len(structures[j]) for j in (*batch, i)) > self._largest:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    def _try(self, structures: Sequence[Atoms]) -> list[Evaluation | str]:
        try:
            return list(self._model(structures))
        except PotentialError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything on a bad structure
            full = _out_of_memory(error)
            problem = f"{self._name} failed: {error!r}"
        atoms = sum(map(len, structures))
        if full:  # only here, where the error no longer keeps the model's tensors alive
            _release_memory()
            self._largest = max(1, min(self._largest, atoms // 2))
            problem = f"{self._name} has not enough memory for a cell of {atoms} atoms"
        if len(structures) == 1:
            return [problem]
        half = len(structures) // 2
        return self._try(structures[:half]) + self._try(structures[half:])


def _problem(structure: Atoms) -> str | None:
    """Why no model should be given this structure."""
    if not (np.isfinite(structure.positions).all() and np.isfinite(structure.cell.array).all()):
        return "positions or cell are not finite"
    volume = abs(np.linalg.det(structure.cell.array)) / len(structure)
    if volume < _SMALLEST_VOLUME_ANGSTROM3:
        return f"its atoms have {volume:.2g} Å³ each: too dense for a potential"
    return None


def _out_of_memory(error: Exception) -> bool:
    """Whether memory ran out; PyTorch's CPU allocator raises a plain RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error)
        for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def _release_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
