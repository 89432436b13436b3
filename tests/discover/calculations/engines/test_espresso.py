"""The engine `espresso`: `pw.x` for real where it is installed, and what is said of what is not."""

import math
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa

from discover.calculations.base import CalculationWarning, JobInput, job_id
from discover.calculations.conformance import EngineConformance
from discover.calculations.engines.espresso import EspressoEngine
from discover.calculations.job import run_job, write_input
from discover.errors import CalculationError, MissingDependencyError, PluginError
from discover.plugins import create, load, options_model
from discover.structures.crystal import Crystal

PSEUDO_DIR = Path("/usr/share/espresso/pseudo")
"""Where Debian's quantum-espresso-data puts its examples; the LDA ones of Si, Al, As are unique."""

QUICK = {"pseudo_dir": str(PSEUDO_DIR), "xc": "LDA", "ecutwfc_ry": 16.0, "k_density": 0.7}

runs_pw = pytest.mark.skipif(
    shutil.which("pw.x") is None or not PSEUDO_DIR.is_dir(),
    reason="pw.x or Debian's pseudopotentials are not here: "
    "apt install quantum-espresso quantum-espresso-data",
)


@pytest.fixture
def silicon():
    return bulk("Si", a=5.40)


@runs_pw
class TestConformance(EngineConformance):
    @pytest.fixture
    def engine(self):
        return EspressoEngine(**QUICK)

    @pytest.fixture
    def crystal(self):
        return Crystal.from_atoms(bulk("Si", a=5.40))


@runs_pw
def test_static_of_silicon(tmp_path, silicon):
    """Its pressure at 3 % less in length, by Birch and Murnaghan with 96 GPa and B' 4.2 (LDA: Haas,
    Tran and Blaha, Phys. Rev. B 79, 085104 (2009)): 10.6 GPa."""
    engine = EspressoEngine(**QUICK)
    silicon.set_cell(silicon.cell * 0.97, scale_atoms=True)
    silicon.calc = engine.calculator(silicon, tmp_path)
    pressure = -silicon.get_stress()[:3].mean() / GPa
    assert np.abs(silicon.get_forces()).max() < 1e-6
    assert pressure == pytest.approx(10.6, abs=2.5)
    versions = engine.versions()
    assert versions["quantum-espresso"][0].isdigit()
    assert versions["pseudopotential-Si"].startswith("Si.pz-vbc.UPF sha256:")


@runs_pw
def test_relaxation_keeps_the_symmetry_and_finds_the_lattice_constant(tmp_path):
    """Si in LDA: 5.40 Å (Haas, Tran, Blaha, Phys. Rev. B 79, 085104 (2009): 5.407)."""
    atoms = bulk("Si", a=5.30)
    atoms.calc = EspressoEngine(**QUICK).calculator(atoms, tmp_path)
    atoms.set_constraint(FixSymmetry(atoms))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.02, steps=10)
    assert math.cbrt(4 * atoms.get_volume()) == pytest.approx(5.407, abs=0.03)
    assert atoms.cell.angles() == pytest.approx([60, 60, 60], abs=1e-6)


@runs_pw
def test_forces_of_a_displaced_supercell(tmp_path):
    """They are the derivative of the energy, sum to zero, and cost no single point of the basis."""
    perfect = bulk("Si", a=5.40).repeat((2, 1, 1))
    engine = EspressoEngine(**QUICK | {"ecutwfc_ry": 10.0, "k_density": 0.4})
    calculator = engine.calculator(perfect, tmp_path)
    displaced = perfect.copy()
    displaced.positions[0] += (0.05, 0.02, 0.0)
    displaced.calc = calculator
    forces = displaced.get_forces()
    assert not (tmp_path / "basis.jsonl").exists()
    assert np.abs(forces.sum(axis=0)).max() < 1e-4
    energies = []
    for step in (-0.01, 0.01):
        moved = displaced.copy()
        moved.positions[0, 0] += step
        moved.calc = calculator
        energies.append(moved.get_potential_energy())
    assert forces[0, 0] == pytest.approx(-(energies[1] - energies[0]) / 0.02, rel=2e-3)
    assert forces[0, 0] < -0.5


@runs_pw
def test_agl_job(tmp_path):
    """A job from its input to its result, with the coarse settings of these tests.

    At 30 Ry and a k-point density of 2 the bulk modulus is 94 GPa; the reference is that of
    `test_static_of_silicon`.
    """
    result = run_job(make_job(tmp_path / "job", Crystal.from_atoms(bulk("Si", a=5.40))))
    assert (result.status, result.reason, result.fidelity) == ("done", None, "agl/espresso")
    values = {value.property: value.value for value in result.values}
    assert values["bulk_modulus"] == pytest.approx(96, abs=14)
    assert {"quantum-espresso", "pseudopotential-Si"} <= set(result.versions)
    assert result.details["residual_mev_per_atom"] < 0.2


@runs_pw
def test_an_element_without_pseudopotential_fails_the_job_before_it_runs(tmp_path):
    directory = make_job(tmp_path / "job", Crystal.from_atoms(bulk("NaCl", "rocksalt", a=5.6)))
    result = run_job(directory)
    assert result.status == "failed"
    assert "no LDA pseudopotential for Na" in str(result.reason)
    assert not (directory / "espresso").exists()


@runs_pw
def test_validation_names_the_key_and_the_element(discover, quick_campaign):
    path = quick_campaign / "campaign.yaml"
    text = path.read_text()
    for old, new in {
        "[Ni, Cu, Pd, Ag, O, N, C]": "[Al, As, Na, Cl]",
        "engine: potential": "engine: espresso",
        "{potential: emt}": f"{{pseudo_dir: {PSEUDO_DIR}, xc: LDA}}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    answer = discover("validate", quick_campaign)
    assert answer.code != 0
    told = answer.out + answer.err
    assert "calculation.engine_settings.pseudo_dir: no LDA pseudopotential for Na in" in told
    assert "calculation.engine_settings.pseudo_dir: no LDA pseudopotential for Cl in" in told
    assert "for Al" not in told


@runs_pw
def test_what_does_not_converge_is_tried_once_more_with_safer_settings(tmp_path, silicon):
    engine = EspressoEngine(**QUICK, max_iterations=5)
    silicon.calc = engine.calculator(silicon, tmp_path)
    with pytest.warns(CalculationWarning, match=r"in 5 iterations; it did with .* 15 it"):
        energy = silicon.get_potential_energy()
    silicon.calc = EspressoEngine(**QUICK).calculator(silicon, tmp_path)
    assert energy == pytest.approx(silicon.get_potential_energy(), abs=1e-5)


@runs_pw
def test_what_does_not_converge_at_all_fails_with_the_reason(tmp_path, silicon):
    engine = EspressoEngine(**QUICK, max_iterations=2)
    silicon.calc = engine.calculator(silicon, tmp_path)
    with pytest.raises(CalculationError, match=r"in 6 iterations, even with safer .*smearing_ev"):
        silicon.get_potential_energy()


@runs_pw
def test_what_pw_says_of_its_failure_is_in_the_error(tmp_path, silicon):
    """Here: a pseudopotential file that is cut off behind its header."""
    whole = (PSEUDO_DIR / "Si.pz-vbc.UPF").read_text()
    folder = tmp_path / "pseudo"
    folder.mkdir()
    (folder / "Si.UPF").write_text(whole[: whole.index("<PP_R>") + 200])
    engine = EspressoEngine(**QUICK | {"pseudo_dir": str(folder)})
    engine.check()
    silicon.calc = engine.calculator(silicon, tmp_path)
    with pytest.raises(CalculationError, match=r"pw\.x failed with exit code [1-9].*espresso\.pwo"):
        silicon.get_potential_energy()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("print('Segmentation fault'); sys.exit(139)", r"exit code 139: Segmentation fault"),
        ("sys.exit('libmpi.so: not found')", r"exit code 1: libmpi\.so: not found"),
        ("pass", "exit code 0: no output"),
        ("print('gibberish\\nJOB DONE.')", r"cannot be understood .*gibberish \| JOB DONE"),
    ],
)
def test_a_crash_or_garbled_output_is_a_clear_error(tmp_path, silicon, body, problem):
    """With a script in place of `pw.x` that fails as it does when killed, or prints nonsense."""
    fake = tmp_path / "fake.py"
    fake.write_text(f"import sys\n{body}\n")
    engine = EspressoEngine(
        **folder_of_silicon(tmp_path), ecutwfc_ry=16.0, command=f"{sys.executable} {fake}"
    )
    silicon.calc = engine.calculator(silicon, tmp_path)
    with pytest.raises(CalculationError, match=problem):
        silicon.get_potential_energy()


def test_a_program_or_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("ESPRESSO_PSEUDO", raising=False)
    there = folder_of_silicon(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"'nowhere/pw\.x' here: install Quantum"):
        EspressoEngine(**there, command="nowhere/pw.x").check()
    with pytest.raises(MissingDependencyError, match=r"'none/pw\.x' here"):
        EspressoEngine(**there, command=f"{sys.executable} none/pw.x -nk 2").check()
    python = sys.executable
    with pytest.raises(MissingDependencyError, match=r"pseudo_dir: name the folder"):
        EspressoEngine(command=python).check()
    with pytest.raises(MissingDependencyError, match=r"pseudo_dir: there is no folder /nowhere"):
        EspressoEngine(command=python, pseudo_dir="/nowhere").check()
    with pytest.raises(MissingDependencyError, match=r"pseudo_dir: no element has .* PBE"):
        EspressoEngine(command=python, pseudo_dir=there["pseudo_dir"]).check()
    monkeypatch.setenv("ESPRESSO_PSEUDO", there["pseudo_dir"])
    assert EspressoEngine(xc="LDA").elements() == {"Si"}


def test_a_relative_folder_is_refused():
    with pytest.raises(PluginError, match="pseudo_dir: must be an absolute path"):
        create("engines", "espresso", {"pseudo_dir": "pseudo"})


def test_cutoffs_are_those_the_files_suggest(tmp_path, silicon):
    settings = folder_of_silicon(tmp_path, wfc_cutoff="30.0", rho_cutoff="240.0")
    calculator = EspressoEngine(**settings).calculator(silicon, tmp_path)
    assert calculator._cutoff_ev == pytest.approx(30 * 13.6057, rel=1e-5)
    assert calculator._single_point._dual == pytest.approx(8)
    with pytest.raises(CalculationError, match="ecutrho_ry: 100 Ry is less than four times"):
        EspressoEngine(**settings, ecutrho_ry=100.0).calculator(silicon, tmp_path)


def test_a_file_that_suggests_no_cutoff_is_noted(tmp_path, silicon):
    engine = EspressoEngine(**folder_of_silicon(tmp_path))
    with pytest.warns(CalculationWarning, match="of Si suggest no cutoff"):
        engine.calculator(silicon, tmp_path)


def folder_of_silicon(tmp_path, **attributes):
    """Settings with a folder that holds the header of one LDA pseudopotential of silicon."""
    folder = tmp_path / "pseudo"
    folder.mkdir(exist_ok=True)
    written = {"element": "Si", "functional": "PZ", "pseudo_type": "NC"} | attributes
    listed = " ".join(f'{key}="{value}"' for key, value in written.items())
    (folder / "Si.UPF").write_text(f"<PP_HEADER {listed}/>\n<PP_MESH/>")
    return {"pseudo_dir": str(folder), "xc": "LDA"}


def make_job(directory, crystal):
    """A job directory of kind `agl`."""
    settings = options_model(load("calculations", "agl"))()
    options = options_model(load("engines", "espresso"))(**QUICK)
    write_input(
        directory,
        JobInput(
            id=job_id(crystal, "agl", settings, "espresso", options),
            kind="agl",
            engine="espresso",
            settings=settings.model_dump(mode="json"),
            engine_settings=options.model_dump(mode="json"),
            structure=crystal,
        ),
    )
    return directory
