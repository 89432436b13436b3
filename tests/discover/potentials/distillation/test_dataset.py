"""Which configurations are learned from, which are kept out, and how much each counts."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from discover.errors import PotentialError
from discover.potentials.distillation.dataset import (
    MAX_FORCE_EV_PER_ANGSTROM,
    elemental_energies,
    example,
    formula,
    split,
)
from discover.potentials.distillation.distill import SEED


def frame(atoms, force=0.1, stress=0.01, energy=-1.0, kind="rattled"):
    forces = np.zeros((len(atoms), 3))
    forces[0, 0] = force
    calculator = SinglePointCalculator(
        atoms, energy=energy, forces=forces, stress=np.full(6, stress)
    )
    atoms.calc, atoms.info = calculator, {"kind": kind, "family": "any"}
    return atoms


def salt(name, **labels):
    return frame(bulk(name, "rocksalt", a=5.0), **labels)


def test_held_out_formulas_are_in_the_test_set_alone():
    frames = [salt("ZnO") for _ in range(30)] + [salt("MgO") for _ in range(200)]
    dataset = split(frames, SEED)
    assert [formula(atoms) for atoms in dataset.test] == ["ZnO"] * 30
    learned = [formula(item.atoms) for item in (*dataset.train, *dataset.valid)]
    assert learned == ["MgO"] * 200
    assert 3 <= len(dataset.valid) <= 20


def test_wild_configurations_are_discarded():
    wild = [salt("MgO", force=MAX_FORCE_EV_PER_ANGSTROM + 1), salt("MgO", stress=-2.0)]
    dataset = split([*wild, salt("MgO")], SEED)
    assert dataset.left_out == 2
    assert len(dataset.train) + len(dataset.valid) == 1


def test_large_forces_count_less_and_displaced_ones_more():
    small, large = example(salt("MgO", force=0.1)), example(salt("MgO", force=10.0))
    assert large.forces_weight < 0.3 * small.forces_weight
    displaced = example(salt("MgO", force=0.1, kind="displaced"))
    assert displaced.forces_weight == pytest.approx(10 * small.forces_weight)
    assert example(salt("MgO", stress=0.5)).energy_weight < 0.05


def test_elemental_energies_are_the_lowest_an_atom():
    frames = [
        frame(bulk("Cu", cubic=True), energy=-12.0),
        frame(bulk("Cu"), energy=-3.5),
        frame(bulk("Cu"), energy=-1.0),
    ]
    assert elemental_energies(frames) == {29: -3.5}
    with pytest.raises(PotentialError, match=r"\[8, 12\]"):
        elemental_energies([*frames, salt("MgO")])
