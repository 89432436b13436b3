"""One single point: what it leaves for potentials to learn from."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from discover.calculations.base import JobInput, is_first_principles
from discover.calculations.conformance import CalculationKindConformance
from discover.calculations.engines.emt import EMTEngine
from discover.calculations.job import FRAMES, run_job, write_input
from discover.calculations.static import Static
from discover.errors import PluginError
from discover.plugins import create, load
from discover.structures.crystal import Crystal


@pytest.fixture
def crystal() -> Crystal:
    return Crystal.from_atoms(bulk("Cu", "fcc", a=3.6))


class TestStatic(CalculationKindConformance):
    @pytest.fixture
    def kind(self) -> Static:
        return Static(rattle_angstrom=0.05, min_atoms=2, frames=2)

    @pytest.fixture
    def engine(self) -> EMTEngine:
        return EMTEngine()


def test_a_rattled_structure_is_the_same_for_the_same_seed(crystal: Crystal) -> None:
    atoms = Static(rattle_angstrom=0.05, min_atoms=8, seed=3).structures(crystal)[0]
    again = Static(rattle_angstrom=0.05, min_atoms=8, seed=3).structures(crystal)[0]
    other = Static(rattle_angstrom=0.05, min_atoms=8, seed=4).structures(crystal)[0]
    moved = atoms.positions - Static(min_atoms=8).structures(crystal)[0].positions
    assert len(atoms) == 8
    assert np.array_equal(atoms.positions, again.positions)
    assert not np.allclose(atoms.positions, other.positions)
    assert moved.std() == pytest.approx(0.05, rel=0.4)
    assert atoms.info["config_type"] == "rattled"


def test_a_cell_is_repeated_along_its_shortest_vector() -> None:
    flat = Crystal.from_atoms(bulk("Zn", "hcp", a=2.66, c=4.95))
    lengths = Static(min_atoms=8).structures(flat)[0].cell.lengths()
    assert lengths == pytest.approx([5.32, 5.32, 4.95])


def test_a_job_leaves_labelled_frames(crystal: Crystal, tmp_path: Path) -> None:
    settings = {"rattle_angstrom": 0.1, "min_atoms": 4, "frames": 2, "seed": 1}
    job = JobInput(
        id="a",
        kind="static",
        engine="emt",
        settings=settings,
        engine_settings={},
        structure=crystal,
    )
    write_input(tmp_path, job)
    result = run_job(tmp_path)
    frame = read(tmp_path / FRAMES, index=":")
    assert (result.status, result.values, len(frame)) == ("done", (), 2)
    assert frame[0].info["config_type"] == "rattled"
    atoms = Static(**settings).structures(crystal)[0]
    atoms.calc = EMTEngine().calculator(atoms, tmp_path)
    assert np.allclose(frame[0].get_forces(), atoms.get_forces(), atol=1e-6)
    largest = max(np.linalg.norm(one.get_forces(), axis=1).max() for one in frame)
    assert result.details["max_force_ev_per_angstrom"] == pytest.approx(largest, rel=1e-5)
    assert not np.allclose(frame[0].positions, frame[1].positions)


def test_settings_are_checked() -> None:
    with pytest.raises(PluginError, match="min_atoms"):
        create("calculations", "static", {"min_atoms": 0})
    with pytest.raises(PluginError, match="rattle_angstrom"):
        create("calculations", "static", {"rattle_angstrom": -0.1})


def test_engines_say_whether_their_forces_are_labels() -> None:
    labels = {
        name: is_first_principles(load("engines", name)) for name in ("gpaw", "espresso", "vasp")
    }
    assert labels == {"gpaw": True, "espresso": True, "vasp": True}
    assert not is_first_principles(load("engines", "potential"))
    assert not is_first_principles(load("engines", "emt"))
