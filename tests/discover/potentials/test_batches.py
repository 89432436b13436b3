"""Batches: memory that runs out, structures that are bad, and what is remembered."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.errors import PotentialError
from discover.potentials.base import Evaluation
from discover.potentials.batches import MemoryBatches, evaluator
from discover.potentials.emt import EMTPotential


class Machine:
    """A model that answers with the first cell length, on a machine that holds some atoms at once."""

    def __init__(self, memory_atoms, error):
        self.memory_atoms, self.error, self.calls = memory_atoms, error, []

    def __call__(self, structures):
        atoms = sum(map(len, structures))
        self.calls.append(atoms)
        if atoms > self.memory_atoms:
            raise self.error
        if any("Xe" in s.symbols for s in structures):
            raise ValueError("no xenon")
        return [Evaluation(s.cell[0, 0], np.zeros((len(s), 3)), np.zeros(6)) for s in structures]


def crystals(*sizes, symbol="Cu"):
    """Chains of so many atoms; the first cell length tells them apart."""
    return [
        Atoms([symbol] * n, [(0, 0, 2.0 * i) for i in range(n)], cell=[10 + k, 9, 2 * n], pbc=True)
        for k, n in enumerate(sizes)
    ]


OUT_OF_MEMORY = [
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["python", "torch-cpu", "torch-cuda"])
def test_what_does_not_fit_is_halved_and_the_size_remembered(error):
    machine = Machine(10, error)
    batches = MemoryBatches("model", machine, largest=64)
    answers = batches.evaluate(crystals(*[4] * 16))
    assert [a.energy_ev for a in answers] == [10.0 + k for k in range(16)]
    assert batches.largest == 8
    machine.calls.clear()
    batches.evaluate(crystals(*[4] * 5))
    assert machine.calls == [8, 8, 4]


def test_torch_s_own_error_is_known():
    torch = pytest.importorskip("torch")
    batches = MemoryBatches("model", Machine(4, torch.cuda.OutOfMemoryError("full")), largest=8)
    assert [a.energy_ev for a in batches.evaluate(crystals(4, 4))] == [10.0, 11.0]


def test_one_structure_too_large_is_its_own_error():
    batches = MemoryBatches("model", Machine(10, MemoryError()), largest=64)
    small, large, last = batches.evaluate(crystals(3, 12, 3))
    assert large == "model has not enough memory for a cell of 12 atoms"
    assert (small.energy_ev, last.energy_ev) == (10.0, 12.0)


def test_a_structure_that_breaks_the_model_costs_no_other():
    structures = crystals(*[2] * 9)
    structures[5].symbols[0] = "Xe"
    answers = MemoryBatches("model", Machine(100, MemoryError()), largest=64).evaluate(structures)
    assert answers.pop(5) == "model failed: ValueError('no xenon')"
    assert all(isinstance(a, Evaluation) for a in answers)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda a: a.set_positions(a.positions * np.nan), "not finite"),
        (lambda a: a.set_cell([np.inf, 9.0, 9.0]), "not finite"),
        (lambda a: a.set_cell([0.5, 0.5, 0.5]), "too dense"),
    ],
)
def test_what_no_model_should_see(spoil, problem):
    structures = crystals(2, 2, 2)
    spoil(structures[1])
    machine = Machine(100, MemoryError())
    answers = MemoryBatches("model", machine, largest=64).evaluate(structures)
    assert problem in answers[1]
    assert [answers[0].energy_ev, answers[2].energy_ev] == [10.0, 12.0]
    assert machine.calls == [4]


def test_a_potential_that_cannot_be_used_is_no_fault_of_a_structure():
    batches = MemoryBatches("model", Machine(1, PotentialError("no weights")), largest=64)
    with pytest.raises(PotentialError, match="no weights"):
        batches.evaluate(crystals(2, 2))


def test_nothing_to_do():
    assert MemoryBatches("model", Machine(1, MemoryError()), largest=1).evaluate([]) == []


def test_a_potential_without_batches_is_asked_one_by_one():
    copper, salt, gold = bulk("Cu"), bulk("NaCl", "rocksalt", a=5.6), bulk("Au")
    first, bad, last = evaluator(EMTPotential())([copper, salt, gold])
    for atoms, answer in ((copper, first), (gold, last)):
        atoms.calc = EMT()
        assert answer.energy_ev == atoms.get_potential_energy()
        assert np.array_equal(answer.stress_ev_per_angstrom3, atoms.get_stress())
    assert bad.startswith("emt failed: ")
