"""The engine `vasp`: its inputs, the reading of public output, and what is said when it fails.

VASP needs a licence, so no VASP runs here: in its place runs a script that leaves the output of a
public calculation (from ASE's test data, which are installed with ASE) or fails as VASP does. POTCAR
files are licensed too; those of these tests hold a title and no more.
"""

import re
import sys
from pathlib import Path

import ase.test
import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from pymatgen.io.vasp.inputs import Incar, Kpoints, Poscar

from discover.calculations.base import CalculationWarning
from discover.calculations.engines.vasp import VASPEngine
from discover.calculations.engines.vasp_calculator import read_vasprun
from discover.errors import CalculationError, MissingDependencyError, PluginError
from discover.plugins import create

PUBLIC = Path(ase.test.__file__).parent / "testdata" / "vasp"
DIAMOND = PUBLIC / "vasprun_pstress.xml"
SALT = PUBLIC / "vasprun_dfpt.xml"

FAKE = """
import re, shutil, sys
from pathlib import Path
runs = Path("runs.txt")
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
{body}
"""


@pytest.fixture
def salt():
    """Chlorine first, where pymatgen's sets sort sodium first."""
    return bulk("NaCl", "rocksalt", a=5.6)[[1, 0]]


@pytest.fixture
def potcars(tmp_path, monkeypatch):
    """A folder in pymatgen's layout, and one in VASP's, named by the environment."""
    for variable in ("PMG_VASP_PSP_DIR", "VASP_PP_PATH"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / "potcars"
    for path in ("POT_GGA_PAW_PBE/POTCAR.Na_pv", "potpaw_PBE/Cl/POTCAR", "potpaw_PBE/C/POTCAR"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"  PAW_PBE {Path(path).name} 06Sep2000\n no potential\n")
    return root


@pytest.fixture
def vasp(tmp_path, potcars):
    """An engine whose VASP is a script of this body."""

    def engine(body, **settings):
        script = tmp_path / "fake_vasp.py"
        script.write_text(FAKE.format(body=body))
        command = f"{sys.executable} {script}"
        return VASPEngine(command=command, potcar_dir=str(potcars), **settings)

    return engine


def leaves(path, **edits):
    """The body of a script that leaves this output, edited by regular expressions."""
    lines = [f"text = Path({str(path)!r}).read_text()"]
    lines += [f"text = re.sub({old!r}, {new!r}, text)" for old, new in edits.values()]
    return "\n".join([*lines, "Path('vasprun.xml').write_text(text)"])


@pytest.mark.parametrize("path", [DIAMOND, SALT], ids=["diamond", "salt"])
def test_public_output_is_read_as_ase_reads_it(path):
    """Two parsers that know nothing of each other; ASE takes P V off the energies."""
    ours, theirs = read_vasprun(path), read(path)
    kbar_angstrom3 = 6.2415e-4 * (1 if path == DIAMOND else 0)
    extra = kbar_angstrom3 * theirs.get_volume()
    assert ours.symbols == tuple(theirs.get_chemical_symbols())
    assert ours.energy_ev == pytest.approx(theirs.get_potential_energy() + extra, abs=1e-5)
    assert ours.free_energy_ev == pytest.approx(
        theirs.get_potential_energy(force_consistent=True) + extra, abs=1e-5
    )
    assert ours.forces == pytest.approx(theirs.get_forces())
    assert ours.stress == pytest.approx(theirs.get_stress(), rel=1e-4)
    assert ours.converged
    assert ours.vasp_version.startswith("6.3.")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_output_that_is_cut_is_refused(tmp_path, keep):
    text = DIAMOND.read_text()
    path = tmp_path / "vasprun.xml"
    path.write_text(text[: int(keep * len(text))])
    with pytest.raises(CalculationError, match=r"vasprun\.xml cannot be understood"):
        read_vasprun(path)


def test_output_without_numbers_is_refused(tmp_path):
    text = re.sub(r'(<varray name="stress" >\s*<v>\s*)\S+', r"\1NaN", SALT.read_text())
    path = tmp_path / "vasprun.xml"
    path.write_text(text)
    with pytest.raises(CalculationError, match="no finite numbers"):
        read_vasprun(path)


def test_inputs_are_those_of_the_set_and_forces_in_the_order_of_the_atoms(tmp_path, vasp, salt):
    """The forces are edited into the public output, whose own are zero."""
    rows = r"<v>0.5 0 0</v><v>-0.25 0 0</v>"
    forces = (r'(?s)(<varray name="forces" >).*?(</varray>)', rf"\1{rows}\2")
    engine = vasp(leaves(SALT, forces=forces), user_incar_settings={"EDIFF": 1e-7, "NCORE": 4})
    engine.check()
    salt.calc = engine.calculator(salt, tmp_path)
    assert salt.get_forces()[:, 0] == pytest.approx([-0.25, 0.5])
    assert salt.get_potential_energy() == pytest.approx(-6.74587304)
    assert salt.get_stress()[:3] == pytest.approx([-0.02252503] * 3, rel=1e-4)
    folder = tmp_path / "vasp"
    incar = Incar.from_file(folder / "INCAR")
    assert (incar["NSW"], incar["ENCUT"], incar["EDIFF"], incar["NCORE"]) == (0, 520, 1e-7, 4)
    poscar = Poscar.from_file(folder / "POSCAR", check_for_potcar=False)
    assert poscar.site_symbols == ["Na", "Cl"]
    assert np.prod(Kpoints.from_file(folder / "KPOINTS").kpts[0]) > 100
    assert (folder / "POTCAR").read_text().count("PAW_PBE") == 2
    versions = engine.versions()
    assert versions["vasp"] == "6.3.2"
    assert versions["POTCAR-Na_pv"] == "PAW_PBE POTCAR.Na_pv 06Sep2000"


def test_what_does_not_converge_is_tried_once_more_with_safer_settings(tmp_path, vasp):
    """NELM is edited to the number of steps, as in a run that stopped there, but for safe inputs."""
    edit = leaves(DIAMOND, nelm=(r'(name="NELM">\s*)60', r"\g<1>9"))
    engine = vasp(
        f"if 'AMIX = 0.1' in Path('INCAR').read_text():\n    {one_line(leaves(DIAMOND))}\n"
        f"else:\n    {one_line(edit)}"
    )
    atoms = bulk("C", a=3.6)
    atoms.calc = engine.calculator(atoms, tmp_path)
    with pytest.warns(CalculationWarning, match="in 9 steps; it did with ALGO = Normal, NELM"):
        assert atoms.get_potential_energy() == pytest.approx(-20.24010135)
    assert (tmp_path / "vasp" / "runs.txt").read_text() == "xx"


def test_what_does_not_converge_at_all_fails_with_the_reason(tmp_path, vasp):
    engine = vasp(leaves(DIAMOND, nelm=(r'(name="NELM">\s*)60', r"\g<1>9")))
    atoms = bulk("C", a=3.6)
    atoms.calc = engine.calculator(atoms, tmp_path)
    with pytest.raises(
        CalculationError, match=r"in 9 steps, even with safer .*user_incar_settings"
    ):
        atoms.get_potential_energy()
    assert (tmp_path / "vasp" / "runs.txt").read_text() == "xx"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("sys.exit('forrtl: severe (174): SIGSEGV')", r"code 1 and left no vasprun.*SIGSEGV"),
        ("print('Error EDDDAV: Call to ZHEGV failed')", r"left no vasprun.*EDDDAV"),
        (leaves(DIAMOND), "is of C-C, where Na-Cl was asked for"),
        (leaves(SALT) + "\nsys.exit(9)", "exit code 9: no output"),
        (
            "print('killed'); Path('vasprun.xml').write_text('<modeling><incar>')",
            "cannot be understood.*last words: killed",
        ),
    ],
)
def test_a_crash_or_garbled_output_is_a_clear_error(tmp_path, vasp, salt, body, problem):
    salt.calc = vasp(body).calculator(salt, tmp_path)
    with pytest.raises(CalculationError, match=problem):
        salt.get_potential_energy()


def test_the_output_of_the_structure_before_is_not_taken_for_the_next(tmp_path, vasp, salt):
    once = f"if runs.read_text() == 'x':\n    {one_line(leaves(SALT))}"
    salt.calc = vasp(once).calculator(salt, tmp_path)
    salt.get_potential_energy()
    salt.rattle(0.01)
    with pytest.raises(CalculationError, match="left no vasprun"):
        salt.get_potential_energy()


def test_elements_are_those_with_the_potcar_that_the_set_chooses(potcars, vasp):
    engine = vasp("")
    assert engine.elements() == {"Na", "Cl", "C"}
    assert "engine_settings.potcar_dir: no POTCAR Mg_pv (PBE) for Mg" in engine.why_not("Mg")
    assert str(potcars) in engine.why_not("Mg")
    assert "input_set: MPStaticSet has no POTCAR for Po" in engine.why_not("Po")
    assert vasp("", user_potcar_settings={"Na": "Na"}).elements() == {"Cl", "C"}


def test_folders_named_by_the_environment(potcars, monkeypatch):
    for variable in ("PMG_VASP_PSP_DIR", "VASP_PP_PATH"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(potcars))
            assert VASPEngine().elements() == {"Na", "Cl", "C"}


def test_what_is_not_there(potcars, vasp):
    with pytest.raises(MissingDependencyError, match=r"no program 'vasp_std' here: .*licence"):
        VASPEngine(potcar_dir=str(potcars)).check()
    with pytest.raises(
        MissingDependencyError, match=r"potcar_dir: name .* PMG_VASP_PSP_DIR or VASP"
    ):
        VASPEngine(command=sys.executable).check()
    with pytest.raises(MissingDependencyError, match="potcar_dir: there is no folder /nowhere"):
        VASPEngine(command=sys.executable, potcar_dir="/nowhere").check()
    with pytest.raises(MissingDependencyError, match="potcar_dir: no POTCAR"):
        vasp("", user_potcar_functional="PBE_54").check()
    with pytest.raises(CalculationError, match=r"user_incar_settings\.NELMM: .*did you mean NELM"):
        vasp("", user_incar_settings={"NELMM": 100}).check()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"user_incar_settings": {"NSW": 50}}, "user_incar_settings: the tag NSW must be 0"),
        ({"user_incar_settings": {"ediff": 1e-7}}, "upper case: ediff"),
        ({"input_set": "MPStatic"}, "input_set: .*MPStaticSet"),
        ({"potcar_dir": "potcars"}, "potcar_dir: must be an absolute path"),
    ],
)
def test_wrong_settings_are_refused(settings, problem):
    with pytest.raises(PluginError, match=problem):
        create("engines", "vasp", settings)


def one_line(body):
    """Statements joined, to stand in a branch."""
    return "; ".join(body.splitlines())
