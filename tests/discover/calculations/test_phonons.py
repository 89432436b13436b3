"""The kind `phonons`: what a job of it computes, keeps, refuses, and survives."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read

from discover import plugins
from discover.calculations.base import JobInput
from discover.calculations.conformance import CalculationKindConformance
from discover.calculations.engines import EMTEngine, PotentialEngine
from discover.calculations.job import read_result, run_job, write_input
from discover.calculations.lattice.spectra import PhononSpectra
from discover.calculations.phonons import FORCES, SPECTRA, Phonons
from discover.errors import CalculationError, MissingDependencyError, PluginError
from discover.structures.crystal import Crystal

COPPER = Crystal.from_atoms(bulk("Cu", "fcc", a=3.6))
UNSTABLE = Crystal.from_atoms(
    Atoms("NiAl", cell=[3.0] * 3, scaled_positions=[[0] * 3, [0.5] * 3], pbc=True)
)
QUICK = {"supercell": (3, 3, 3), "mesh_length_angstrom": 10.0}

COUNTING = """
import time
from ase.calculators.emt import EMT
from discover.calculations.engines import EMTEngine


class Counted(EMT):
    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def calculate(self, *arguments, **keywords):
        time.sleep(0.25)
        super().calculate(*arguments, **keywords)
        with (self.folder / "calls.txt").open("a") as file:
            file.write("one\\n")


class Counting(EMTEngine):
    def calculator(self, atoms, directory):
        return Counted(directory)
"""


def values(outcome):
    return {value.property: value.value for value in outcome.values}


def quarantined(outcome):
    return {value.property: value.quarantined for value in outcome.values if value.quarantined}


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """A job of copper at two temperatures, and its directory."""
    directory = tmp_path_factory.mktemp("copper")
    kind = Phonons(**QUICK, temperatures_k=(300.0, 600.0))
    return kind.run(COPPER, EMTEngine(), directory), directory


class TestConformance(CalculationKindConformance):
    @pytest.fixture
    def kind(self):
        return Phonons(**QUICK)

    @pytest.fixture
    def crystal(self):
        return COPPER

    @pytest.fixture
    def engine(self):
        return EMTEngine()


class TestConformanceWithAPotential(CalculationKindConformance):
    """The cheap half of the suite."""

    test_the_same_question_has_the_same_answer = None
    test_it_writes_below_its_directory_only = None

    @pytest.fixture
    def kind(self):
        return Phonons(**QUICK)

    @pytest.fixture
    def crystal(self):
        return COPPER

    @pytest.fixture
    def engine(self):
        return PotentialEngine(potential="emt")


def test_the_first_temperature_is_that_of_the_value(copper):
    outcome, _ = copper
    cold, hot = outcome.details["kappa_w_mk"]
    assert values(outcome)["thermal_conductivity"] == cold > hot
    assert quarantined(outcome) == {}


def test_settings_that_were_chosen_are_in_the_details(copper):
    details = copper[0].details
    assert details["supercell"] == [[3, 0, 0], [0, 3, 0], [0, 0, 3]]
    assert details["snapshots"] == details["recommended_snapshots"] == 4
    assert details["mesh"] == [5, 5, 5]
    assert details["distance_angstrom"] == 0.03
    assert details["spacegroup"] == 225
    assert details["residual_stress_gpa"] < 0.02
    assert details["kappa_particle_w_mk"][0] + details["kappa_coherence_w_mk"][0] == pytest.approx(
        details["kappa_w_mk"][0]
    )
    assert {"phono3py", "symfc"} <= details["versions"].keys()


def test_half_of_the_snapshots_give_an_error_bar(copper):
    details = copper[0].details
    assert details["kappa_error_w_mk"] == pytest.approx(
        abs(details["kappa_half_w_mk"] - details["kappa_w_mk"][0])
    )
    assert 0 < details["kappa_error_w_mk"] < 0.3 * details["kappa_w_mk"][0]


def test_every_structure_is_a_labelled_frame_that_says_what_it_is_for(copper):
    outcome, _ = copper
    kinds = [frame.info["config_type"] for frame in outcome.frames]
    assert kinds.count("phonon_displaced") == 4
    assert kinds.count("perfect_supercell") == 1
    assert kinds.count("relaxation") == len(kinds) - 5 >= 2
    for frame in outcome.frames:
        again = Atoms(frame.symbols, cell=frame.cell, positions=frame.positions, pbc=True)
        again.calc = EMT()
        assert frame.get_potential_energy() == pytest.approx(again.get_potential_energy())
        np.testing.assert_allclose(frame.get_forces(), again.get_forces(), atol=1e-9)


def test_the_spectra_are_left_for_the_report(copper):
    outcome, directory = copper
    assert outcome.files == (SPECTRA,)
    spectra = PhononSpectra.model_validate_json((directory / SPECTRA).read_bytes())
    assert [t.temperature_k for t in spectra.transport] == [300.0, 600.0]
    assert spectra.transport[0].kappa_w_mk == pytest.approx(outcome.details["kappa_w_mk"][0])
    assert len(spectra.gruneisen.values) == len(spectra.gruneisen.weights)
    assert spectra.formula == "Cu"


def test_a_dynamically_unstable_crystal_has_no_conductivity(tmp_path):
    kind = Phonons(supercell=(2, 2, 2), mesh_length_angstrom=10.0)
    outcome = kind.run(UNSTABLE, EMTEngine(), tmp_path)
    assert values(outcome).keys() == {"minimum_frequency"}
    assert values(outcome)["minimum_frequency"] < -1.0
    assert outcome.details["unstable"] is True
    assert "dynamically unstable: an imaginary mode of" in outcome.warnings[0]
    spectra = PhononSpectra.model_validate_json((tmp_path / SPECTRA).read_bytes())
    assert spectra.gruneisen is None
    assert spectra.transport == ()
    assert min(spectra.density_of_states.x) < -1.0


def test_too_few_snapshots_are_quarantined(tmp_path):
    outcome = Phonons(**QUICK, snapshots=2).run(COPPER, EMTEngine(), tmp_path)
    assert "too few snapshots: 2, where" in quarantined(outcome)["thermal_conductivity"]


def test_a_half_that_is_far_off_is_quarantined(tmp_path):
    outcome = Phonons(**QUICK, max_half_difference=1e-4).run(COPPER, EMTEngine(), tmp_path)
    assert "half of them give" in quarantined(outcome)["thermal_conductivity"]


def test_residual_stress_is_quarantined(tmp_path):
    outcome = Phonons(**QUICK, relax=False).run(
        Crystal.from_atoms(bulk("Cu", "fcc", a=3.55)), EMTEngine(), tmp_path
    )
    assert "GPa is left in the cell" in quarantined(outcome)["thermal_conductivity"]
    assert quarantined(outcome).keys() == {"thermal_conductivity", "minimum_frequency"}


def test_finite_displacements_need_no_error_bar(tmp_path):
    outcome = Phonons(
        **QUICK | {"supercell": (2, 2, 2)}, force_constants="finite-displacements"
    ).run(COPPER, EMTEngine(), tmp_path)
    assert outcome.details["snapshots"] is None
    assert outcome.details["displaced_supercells"] > 10
    assert "kappa_half_w_mk" not in outcome.details


class BreaksOff(EMT):
    """Its third displaced supercell is beyond it."""

    large = 0

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.large += len(self.atoms) == 27
        if self.large == 4:
            self.results["forces"][5, 1] = np.nan


def test_a_force_that_is_no_number_fails_with_what_was_computed(tmp_path):
    class Engine(EMTEngine):
        def calculator(self, atoms, directory):
            return BreaksOff()

    with pytest.raises(CalculationError, match=r"the force on atom 5 \(Cu\) is not") as failed:
        Phonons(**QUICK).run(COPPER, Engine(), tmp_path)
    kinds = [frame.info["config_type"] for frame in failed.value.frames]
    assert kinds.count("phonon_displaced") == 2


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"supercell": (14, 14, 14)}, "2744 atoms needs about"),
        ({"supercell": (2, 2, 2), "mesh_length_angstrom": 3000.0}, "q-points needs about"),
        ({"min_length_angstrom": 20.0}, "more than max_atoms = 256"),
    ],
)
def test_what_is_too_large_is_refused_before_any_force(tmp_path, settings, complaint):
    with pytest.raises(CalculationError, match=complaint):
        Phonons(**settings).run(COPPER, EMTEngine(), tmp_path)
    assert not (tmp_path / FORCES).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"temperatures_k": []},
        {"force_constants": "guess"},
        {"supercell": [0, 1, 1]},
        {"snapshots": 1},
        {"nac": {"born": [[1, 2], [3]], "dielectric": []}},
    ],
)
def test_bad_settings_are_refused(options):
    with pytest.raises(PluginError, match=next(iter(options))):
        plugins.create("calculations", "phonons", options)


@pytest.mark.slow
def test_silicon_by_gpaw_has_its_raman_frequency(tmp_path):
    """Its optical mode at Γ is exact even in the smallest supercell, where κ means nothing.

    15.53 THz were measured (P. Temple and C. Hathaway, Phys. Rev. B 7, 3685 (1973)); so few k-points
    give 3 % more.
    """
    engine = plugins.create("engines", "gpaw", {"cutoff_ev": 250, "k_density": 1.0})
    try:
        engine.check()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    silicon = Crystal.from_atoms(bulk("Si", "diamond", a=5.47))
    kind = Phonons(supercell=(1, 1, 1), mesh_length_angstrom=12.0, relax=False)
    outcome = kind.run(silicon, engine, tmp_path)
    spectra = PhononSpectra.model_validate_json((tmp_path / SPECTRA).read_bytes())
    at_gamma = [band[0] for band in spectra.bands[0].frequencies_thz]
    assert at_gamma[3:] == pytest.approx([15.53] * 3, rel=0.06)
    assert np.abs(at_gamma[:3]).max() < 1e-2
    assert len(outcome.frames) == outcome.details["force_calls"] == 6


def job(engine="emt", **settings):
    return JobInput(
        id="phonons",
        kind="phonons",
        engine=engine,
        settings={"supercell": [3, 3, 3], "mesh_length_angstrom": 10.0} | settings,
        engine_settings={},
        structure=COPPER,
    )


def test_a_job_lists_its_by_products(tmp_path):
    write_input(tmp_path, job())
    result = run_job(tmp_path)
    assert result.status == "done", result.reason
    assert result.byproducts == ("frames.extxyz", SPECTRA)
    assert all((tmp_path / name).is_file() for name in result.byproducts)
    frames = read(tmp_path / "frames.extxyz", ":")
    assert {frame.info["config_type"] for frame in frames} == {
        "relaxation",
        "perfect_supercell",
        "phonon_displaced",
    }
    assert json.loads((tmp_path / "result.json").read_text())["fidelity"] == "phonons/emt"


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was_and_computes_no_force_twice(tmp_path):
    """SIGKILL in the middle of the force sets, more than once."""
    (tmp_path / "counting.py").write_text(COUNTING)
    directory = tmp_path / "job"
    write_input(directory, job(engine=f"{tmp_path / 'counting.py'}:Counting", snapshots=8))
    command = [sys.executable, "-m", "discover.calculations", str(directory)]
    for computed in (6, 9):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while lines(directory / FORCES) < computed:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert read_result(directory) is None
    before = lines(directory / FORCES)
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0
    result = read_result(directory)
    assert result.status == "done", result.reason
    calls = sum(lines(path) for path in directory.rglob("calls.txt"))
    assert before < calls == result.details["force_calls"] == lines(directory / FORCES)
    straight = tmp_path / "straight"
    write_input(straight, job(snapshots=8))
    undisturbed = run_job(straight)
    assert [v.value for v in result.values] == pytest.approx(
        [v.value for v in undisturbed.values], rel=5e-3
    )


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
