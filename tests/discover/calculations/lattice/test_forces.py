"""Forces: computed once, on disk at once, and never a number that is none."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import given
from hypothesis import strategies as st

from discover.calculations.lattice.forces import KIND_OF_FRAME, ForceLog, single_points
from discover.errors import CalculationError


class Counted(EMT):
    """Counts what it computes, and what was made."""

    calls = 0
    made = 0

    def __init__(self):
        super().__init__()
        type(self).made += 1

    def calculate(self, *arguments, **keywords):
        type(self).calls += 1
        super().calculate(*arguments, **keywords)


class Broken(EMT):
    """Gives a force that is not a number to the last atom."""

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.results["forces"][-1, 0] = np.nan


@pytest.fixture(autouse=True)
def _fresh_counts():
    Counted.calls = Counted.made = 0


def rattled(*seeds):
    structures = []
    for seed in seeds:
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        atoms.info[KIND_OF_FRAME] = "rattled"
        structures.append(atoms)
    return structures


def test_a_log_that_is_opened_again_answers_without_the_engine(tmp_path):
    structures = rattled(1, 2, 3)
    first = single_points(structures, ForceLog(tmp_path / "log").calculator(Counted))
    assert (Counted.calls, Counted.made) == (3, 1)
    again = single_points(structures, ForceLog(tmp_path / "log").calculator(Counted))
    assert (Counted.calls, Counted.made) == (3, 1)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_a_kill_tore_off_is_computed_anew(tmp_path):
    log = tmp_path / "log"
    single_points(rattled(1, 2), ForceLog(log).calculator(Counted))
    log.write_bytes(log.read_bytes()[:-40])
    single_points(rattled(1, 2), ForceLog(log).calculator(Counted))
    assert Counted.calls == 3
    assert len(ForceLog(log)) == 2


def test_frames_are_labelled_and_say_what_they_are_for(tmp_path):
    structures = rattled(1, 2)
    log = ForceLog(tmp_path / "log")
    energies, forces = single_points(structures, log.calculator(EMT))
    for frame, structure, energy, force in zip(
        log.frames(), structures, energies, forces, strict=True
    ):
        assert frame.info[KIND_OF_FRAME] == "rattled"
        np.testing.assert_allclose(frame.positions, structure.positions)
        assert frame.get_potential_energy() == energy
        np.testing.assert_array_equal(frame.get_forces(), force)
        structure.calc = EMT()
        np.testing.assert_allclose(frame.get_stress(), structure.get_stress())


@given(shift=st.floats(-0.4, 0.4).filter(lambda x: abs(x) > 2e-6), atom=st.integers(0, 3))
def test_structures_that_differ_are_different(shift, atom, tmp_path_factory):
    log = ForceLog(tmp_path_factory.mktemp("log") / "log")
    one = bulk("Cu", cubic=True)
    other = one.copy()
    other.positions[atom, 1] += shift
    single_points([one, other], log.calculator(EMT))
    assert len(log) == 2


def test_a_force_that_is_no_number_is_named_and_not_kept(tmp_path):
    log = ForceLog(tmp_path / "log")
    with pytest.raises(CalculationError, match=r"rattled of Cu4: the force on atom 3 \(Cu\)"):
        single_points(rattled(1), log.calculator(Broken))
    assert len(log) == 0
    with pytest.raises(CalculationError, match="rattled 1 of 1 of Cu4: the force on atom 3"):
        single_points(rattled(1), Broken())
