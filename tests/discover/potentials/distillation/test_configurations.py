"""Configurations of a crystal, and the search for its volume."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

from discover.potentials.distillation.configurations import (
    DISPLACEMENT_ANGSTROM,
    deformed,
    generator,
    next_volume_step,
)
from discover.potentials.distillation.families import Family, families
from discover.structures.crystal import Crystal

ROCKSALT = next(f for f in families(0, ("Mg", "O")) if f.name == "rocksalt Mg O")
MAGNESIUM = next(f for f in families(0, ("Mg",)))


def configurations(family: Family, seed: int):
    return list(deformed(family, family.crystal.to_atoms(), generator(seed, family)))


def test_the_same_seed_gives_the_same_configurations():
    first, again, other = (configurations(ROCKSALT, seed) for seed in (1, 1, 2))
    for (kind, a), (kind_again, b) in zip(first, again, strict=True):
        assert kind == kind_again
        assert np.array_equal(a.positions, b.positions)
    assert not np.allclose(first[0][1].cell.array, other[0][1].cell.array)


def test_kinds():
    assert [kind for kind, _ in configurations(ROCKSALT, 0)] == [
        "strained",
        "strained",
        "rattled",
        "displaced",
    ]
    assert [kind for kind, _ in configurations(MAGNESIUM, 0)].count("strained") == 6


def test_every_atom_of_a_displaced_supercell_is_moved_by_the_same_length():
    supercell = configurations(ROCKSALT, 0)[-1][1]
    perfect = ROCKSALT.crystal.to_atoms().repeat((2, 2, 2))
    assert len(supercell) in {16, 54}
    if len(supercell) == 16:
        moved = np.linalg.norm(supercell.positions - perfect.positions, axis=1)
        assert moved == pytest.approx(np.full(16, DISPLACEMENT_ANGSTROM))


def test_some_supercells_are_large():
    sizes = {len(configurations(ROCKSALT, seed)[-1][1]) for seed in range(60)}
    assert sizes == {16, 54}


def test_strained_cells_span_the_range():
    ratios = [
        (configurations(ROCKSALT, seed)[0][1].get_volume() / ROCKSALT.crystal.volume_angstrom3)
        ** (1 / 3)
        for seed in range(40)
    ]
    assert 0.91 < min(ratios) < 0.95
    assert 1.05 < max(ratios) < 1.11


@given(
    pressure=st.floats(-2, 2),
    before=st.none() | st.tuples(st.floats(-0.3, 0.3), st.floats(-2, 2)),
)
def test_a_step_is_bounded_and_runs_down_the_pressure(pressure, before):
    volumes, pressures = [0.0], [pressure]
    if before is not None:
        volumes, pressures = [before[0], 0.0], [before[1], pressure]
    step = next_volume_step(volumes, pressures)
    assert abs(step) <= 0.2
    assert step * pressure >= 0


def test_newton_steps_find_copper_s_volume():
    atoms = bulk("Cu", a=3.9)
    atoms.calc = EMT()
    volumes, pressures = [], []
    for _ in range(5):
        volumes.append(float(np.log(atoms.get_volume())))
        pressures.append(-float(atoms.get_stress()[:3].mean()))
        scale = np.exp(next_volume_step(volumes, pressures) / 3)
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
    assert np.cbrt(4 * atoms.get_volume()) == pytest.approx(3.59, abs=0.01)  # EMT's own value


def test_generators_of_two_families_differ():
    other = Family("other", "MgO", "rocksalt", Crystal.from_atoms(bulk("MgO", "rocksalt", a=4.2)))
    assert generator(0, ROCKSALT).normal() != generator(0, other).normal()
