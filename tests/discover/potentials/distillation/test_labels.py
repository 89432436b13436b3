"""Labels by the embedded-atom potential: whole families, and none twice."""

import os
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from discover.errors import PotentialError
from discover.potentials.distillation.families import Family
from discover.potentials.distillation.labels import label, read_labels
from discover.structures.crystal import Crystal

FAMILIES = [
    Family(f"element {symbol}", symbol, "element", Crystal.from_atoms(bulk(symbol)))
    for symbol in ("Cu", "Ag", "Au", "Ni")
]


class CountingEMT(EMT):
    """The embedded-atom potential, counted, which the machine may stop after some calls."""

    def __init__(self, until: int | None = None) -> None:
        super().__init__()
        self.calls, self.until = 0, until

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        if self.calls == self.until:
            raise KeyboardInterrupt
        self.calls += 1
        super().calculate(atoms, properties, system_changes)


class Broken(Calculator):
    """Answers with no number."""

    implemented_properties = ["energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": float("nan"),
            "forces": np.zeros((len(atoms), 3)),
            "stress": np.zeros(6),
        }


def test_labels_are_the_calculator_s(tmp_path):
    label(FAMILIES, EMT(), tmp_path / "labels.extxyz", 0)
    frames = read_labels(tmp_path / "labels.extxyz")
    assert {frame.info["family"] for frame in frames} == {family.name for family in FAMILIES}
    assert {frame.info["kind"] for frame in frames} == {"relaxation", "strained", "rattled"}
    for frame in frames[::7]:
        again = frame.copy()
        again.calc = EMT()
        assert again.get_potential_energy() == pytest.approx(frame.get_potential_energy(), abs=1e-5)
        assert np.allclose(again.get_forces(), frame.get_forces(), atol=1e-5)
        assert np.allclose(again.get_stress(), frame.get_stress(), atol=1e-5)


def test_relaxation_ends_near_zero_pressure(tmp_path):
    label(FAMILIES[:1], EMT(), tmp_path / "labels.extxyz", 0)
    steps = [f for f in read_labels(tmp_path / "labels.extxyz") if f.info["kind"] == "relaxation"]
    assert abs(steps[-1].get_stress()[:3].mean()) < 1e-3


def test_stopped_labels_go_on_and_end_the_same(tmp_path):
    whole, stopped = tmp_path / "whole.extxyz", tmp_path / "stopped.extxyz"
    counted = CountingEMT()
    label(FAMILIES, counted, whole, 0)
    with pytest.raises(KeyboardInterrupt):
        label(FAMILIES, CountingEMT(until=counted.calls // 2), stopped, 0)
    rest = CountingEMT()
    told: list[tuple[int, int]] = []
    label(FAMILIES, rest, stopped, 0, lambda done, total: told.append((done, total)))
    assert stopped.read_bytes() == whole.read_bytes()
    assert rest.calls < 0.75 * counted.calls
    assert told[-1] == (4, 4)
    finished = CountingEMT()
    label(FAMILIES, finished, stopped, 0)
    assert finished.calls == 0


@pytest.mark.parametrize("torn", [1, 10, 100, 700, 1500])
def test_a_torn_end_is_cut_off(tmp_path: Path, torn: int):
    whole, cut = tmp_path / "whole.extxyz", tmp_path / "cut.extxyz"
    label(FAMILIES[:2], EMT(), whole, 0)
    content = whole.read_bytes()
    cut.write_bytes(content)
    os.truncate(cut, len(content) - torn)
    label(FAMILIES[:2], EMT(), cut, 0)
    assert cut.read_bytes() == content


def test_labels_of_other_crystals_are_refused(tmp_path):
    label(FAMILIES[:2], EMT(), tmp_path / "labels.extxyz", 0)
    with pytest.raises(PotentialError, match="'element Cu'"):
        label(FAMILIES[1:], EMT(), tmp_path / "labels.extxyz", 0)


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "labels.extxyz").write_text("not labels\nat all\n")
    with pytest.raises(PotentialError, match="not extxyz"):
        label(FAMILIES, EMT(), tmp_path / "labels.extxyz", 0)


def test_a_teacher_without_an_answer_is_refused(tmp_path):
    with pytest.raises(PotentialError, match="element Cu"):
        label(FAMILIES, Broken(), tmp_path / "labels.extxyz", 0)
