"""The job contract: one directory, one command, one atomic result, whatever happens on the way."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import read
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

from discover import plugins
from discover.calculations.base import JobInput, JobResult, job_id
from discover.calculations.job import read_input, read_result, run_job, write_input
from discover.errors import CalculationError
from discover.records import content_hash
from discover.structures.crystal import Crystal
from discover.structures.molecule import Molecule
from discover.structures.structure import Structure

COPPER = Crystal.from_atoms(bulk("Cu", "fcc", a=3.6, cubic=True))

ENGINES = """
import os, time, warnings
from discover.calculations.engines import CalculationWarning, EMTEngine
from discover.errors import CalculationError, PotentialError


class Wrapped:
    def __init__(self, calculator, directory, seconds):
        self.calculator, self.directory, self.seconds = calculator, directory, seconds

    def get_potential_energy(self, atoms=None, **ignored):
        with (self.directory / "calls.txt").open("a") as file:
            file.write("single point\\n")
        time.sleep(self.seconds)
        return self.calculator.get_potential_energy(atoms)

    def get_forces(self, atoms=None):
        return self.calculator.get_forces(atoms)

    def get_stress(self, atoms=None):
        return self.calculator.get_stress(atoms)


class Counting(EMTEngine):
    def __init__(self, *, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def calculator(self, atoms, directory):
        return Wrapped(super().calculator(atoms, directory), directory, self.seconds)


class Warning(EMTEngine):
    def calculator(self, atoms, directory):
        warnings.warn("mind the spin", CalculationWarning)
        return super().calculator(atoms, directory)


class Crashing(EMTEngine):
    def calculator(self, atoms, directory):
        raise ZeroDivisionError("a bug")


class Unconverged(EMTEngine):
    def calculator(self, atoms, directory):
        raise CalculationError("the field did not converge: raise smearing_ev")


class Faltering(Counting):
    def calculator(self, atoms, directory):
        return FailsAtTheThird(EMTEngine().calculator(atoms, directory), directory, 0.0)


class FailsAtTheThird(Wrapped):
    def get_potential_energy(self, atoms=None, **ignored):
        energy = super().get_potential_energy(atoms)
        if (self.directory / "calls.txt").read_text().count("\\n") == 3:
            raise PotentialError("too far from what it was trained on")
        return energy
"""


def make_job(
    directory: Path, engine: str = "emt", structure: Structure = COPPER, **engine_settings: object
) -> Path:
    """A job directory with its question in it."""
    settings = plugins.options_model(plugins.load("calculations", "agl"))()
    options = plugins.options_model(plugins.load("engines", engine))(**engine_settings)
    write_input(
        directory,
        JobInput(
            id=job_id(structure, "agl", settings, engine, options),
            kind="agl",
            engine=engine,
            settings=settings.model_dump(mode="json"),
            engine_settings=options.model_dump(mode="json"),
            structure=structure,
        ),
    )
    return directory


@pytest.fixture
def engines(tmp_path: Path) -> Path:
    """A file of engines, to be chosen as `<path>:Name`."""
    path = tmp_path / "engines.py"
    path.write_text(ENGINES)
    return path


def command(directory: Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "discover.calculations", str(directory)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )


def events(directory: Path) -> list[str]:
    lines = (directory / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


def values(result: JobResult | None) -> dict[str, float]:
    assert result is not None
    return {value.property: value.value for value in result.values}


def test_job_from_the_command_line(tmp_path):
    directory = make_job(tmp_path / "job")
    done = command(directory)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Å³") == 5
    result = read_result(directory)
    assert result is not None
    assert (result.status, result.fidelity, result.byproducts) == (
        "done",
        "agl/emt",
        ("frames.extxyz",),
    )
    assert result.id == read_input(directory).id
    assert {v.property: v.unit for v in result.values} == {
        "thermal_conductivity": "W/m/K",
        "bulk_modulus": "GPa",
        "debye_temperature": "K",
        "gruneisen_parameter": "1",
    }
    assert values(result)["bulk_modulus"] == pytest.approx(134, abs=3)  # ASE's EMT for copper
    frames = read(directory / "frames.extxyz", index=":")
    assert len(frames) == 5
    assert all(len(frame) == 1 for frame in frames)  # of the primitive cell
    assert all(set(frame.calc.results) >= {"energy", "forces", "stress"} for frame in frames)
    assert sorted(file.name for file in directory.iterdir()) == [
        "frames.extxyz",
        "history.jsonl",
        "input.json",
        "lock",
        "points.jsonl",
        "result.json",
    ]


def test_a_finished_job_is_not_computed_again(tmp_path, engines):
    directory = make_job(tmp_path / "job", f"{engines}:Counting")
    first = run_job(directory)
    assert run_job(directory) == first
    assert command(directory).returncode == 0
    assert events(directory) == ["start", "end"]
    assert len((directory / "calls.txt").read_text().splitlines()) == 5


def test_a_killed_job_goes_on_where_it_was(tmp_path, engines):
    undisturbed = run_job(make_job(tmp_path / "a", f"{engines}:Counting"))
    directory = make_job(tmp_path / "b", f"{engines}:Counting", seconds=0.5)
    points = directory / "points.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "discover.calculations", str(directory)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not points.exists() or points.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = points.read_bytes().count(b"\n")
    assert read_result(directory) is None
    result = run_job(directory)
    calls = len((directory / "calls.txt").read_text().splitlines())
    assert 2 <= before < 5
    assert calls in {5, 6}  # only the single point under way at the kill may be done twice
    assert values(result) == values(undisturbed)
    assert events(directory) == ["start", "start", "end"]


def test_two_processes_on_one_job_take_turns(tmp_path, engines):
    directory = make_job(tmp_path / "job", f"{engines}:Counting", seconds=0.1)
    arguments = [sys.executable, "-m", "discover.calculations", str(directory)]
    both = [subprocess.Popen(arguments, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert events(directory) == ["start", "end"]
    assert len((directory / "calls.txt").read_text().splitlines()) == 5


def test_what_an_engine_warns_of_is_in_the_result(tmp_path, engines):
    assert run_job(make_job(tmp_path / "job", f"{engines}:Warning")).warnings == ("mind the spin",)


@pytest.mark.parametrize("file", ["points.jsonl", "frames.extxyz", "result.json"])
def test_nothing_half_written_is_read_after_a_full_disk(tmp_path, file):
    """A file-size limit makes the writes fail for real, as a full disk would."""
    undisturbed = make_job(tmp_path / "a")
    run_job(undisturbed)
    limit = (undisturbed / file).stat().st_size - 1
    directory = make_job(tmp_path / "b")
    crashed = command(
        directory,
        preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        ),
    )
    assert crashed.returncode == 1
    assert "File too large" in crashed.stderr
    assert read_result(directory) is None
    assert not list(directory.glob(".*"))
    again = command(directory)
    assert again.returncode == 0, again.stderr
    assert values(read_result(directory)) == values(read_result(undisturbed))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A finished job, and what its result was."""
    directory = make_job(tmp_path_factory.mktemp("finished"))
    run_job(directory)
    return directory, (directory / "result.json").read_bytes()


@given(cut=st.integers(1, 4000), garbage=st.binary(max_size=3))
def test_a_damaged_result_is_refused(finished, cut, garbage):
    directory, whole = finished
    path = directory / "result.json"
    path.write_bytes(whole[: -min(cut, len(whole))] + b"\xff" + garbage)
    with pytest.raises(CalculationError, match=r"result\.json is damaged"):
        read_result(directory)
    with pytest.raises(CalculationError, match=r"result\.json is damaged"):
        run_job(directory)


def test_a_result_of_another_job_is_refused(tmp_path):
    directory = make_job(tmp_path / "job")
    result = run_job(directory)
    other = result.model_copy(update={"id": "0" * 16})
    (directory / "result.json").write_text(other.model_dump_json())
    with pytest.raises(CalculationError, match="answers job 0000"):
        run_job(directory)


def test_a_result_of_a_newer_version_is_refused(tmp_path):
    directory = make_job(tmp_path / "job")
    newer = run_job(directory).model_dump(mode="json") | {"format": 2}
    (directory / "result.json").write_text(json.dumps(newer))
    with pytest.raises(CalculationError, match="format 2"):
        read_result(directory)


def test_a_physical_failure_is_a_result_with_its_reason(tmp_path, engines):
    directory = make_job(tmp_path / "job", f"{engines}:Unconverged")
    assert command(directory).returncode == 0
    result = read_result(directory)
    assert result is not None
    assert (result.status, result.values) == ("failed", ())
    assert result.reason == "the field did not converge: raise smearing_ev"
    assert events(directory) == ["start", "end"]


def test_what_was_computed_before_a_failure_is_kept(tmp_path, engines):
    result = run_job(make_job(tmp_path / "job", f"{engines}:Faltering"))
    assert (result.status, result.values) == ("failed", ())
    assert result.reason == "too far from what it was trained on"
    assert result.byproducts == ("frames.extxyz",)
    content = (tmp_path / "job" / "frames.extxyz").read_bytes()
    assert result.hashes == {"frames.extxyz": hashlib.sha256(content).hexdigest()}
    frames = read(tmp_path / "job" / "frames.extxyz", index=":")
    assert len(frames) == 2
    assert all(set(frame.calc.results) >= {"energy", "forces", "stress"} for frame in frames)


def test_an_element_the_engine_lacks_is_a_failure(tmp_path):
    directory = make_job(tmp_path / "job", structure=Crystal.from_atoms(bulk("Si")))
    result = run_job(directory)
    assert result.status == "failed"
    assert result.reason == "the engine 'emt' does not know Si"


def test_another_sort_of_structure_is_a_failure(tmp_path):
    hydrogen = Molecule(
        smiles="[H][H]", numbers=(1, 1), positions_angstrom=((0, 0, 0), (0, 0, 0.74))
    )
    result = run_job(make_job(tmp_path / "job", structure=hydrogen))
    assert (result.status, result.reason) == ("failed", "'agl' takes a crystal, not a molecule")


def test_a_question_from_before_there_were_molecules_is_read(tmp_path):
    directory = make_job(tmp_path / "job")
    now = read_input(directory)
    text = (directory / "input.json").read_text()
    (directory / "input.json").write_text(text.replace('"structure"', '"crystal"'))
    assert read_input(directory) == now


def test_a_bug_is_a_crash_and_leaves_no_result(tmp_path, engines):
    directory = make_job(tmp_path / "job", f"{engines}:Crashing")
    crashed = command(directory)
    assert crashed.returncode == 1
    assert "ZeroDivisionError: a bug" in crashed.stderr
    assert read_result(directory) is None
    assert events(directory) == ["start"]


def test_a_directory_that_is_no_job_is_an_error(tmp_path):
    assert "does not exist" in command(tmp_path / "nowhere").stderr
    with pytest.raises(CalculationError, match=r"there is no input\.json"):
        run_job(tmp_path)


def test_a_directory_belongs_to_one_job(tmp_path):
    directory = make_job(tmp_path / "job")
    make_job(directory)
    with pytest.raises(CalculationError, match="belongs to job"):
        make_job(directory, structure=Crystal.from_atoms(bulk("Al")))


@given(st.permutations(["cutoff", "mesh", "xc"]))
def test_id_does_not_depend_on_the_order_of_settings(order):
    given_values = {"cutoff": 400.0, "mesh": 2, "xc": "PBE"}
    fields = {name: (type(given_values[name]), given_values[name]) for name in order}
    plain = create_model("Plain", cutoff=(float, 400.0), mesh=(int, 2), xc=(str, "PBE"))()
    shuffled = create_model("Shuffled", **fields)()
    nothing = create_model("Nothing")()
    assert job_id(COPPER, "agl", nothing, "gpaw", shuffled) == job_id(
        COPPER, "agl", nothing, "gpaw", plain
    )


def test_the_id_of_a_crystal_is_the_one_it_always_had():
    nothing = create_model("Nothing")()
    content = {"kind": "agl", "settings": {}, "engine": "emt", "engine_settings": {}}
    content |= {"numbers": [29] * 4, "positions": [[0.0, 0.0, 0.0]]}
    content["cell"] = [[3.6, 0.0, 0.0], [0.0, 3.6, 0.0], [0.0, 0.0, 3.6]]
    content["positions"] += [[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    assert job_id(COPPER, "agl", nothing, "emt", nothing) == content_hash(content)


@given(noise=st.floats(-4e-8, 4e-8))
def test_id_does_not_see_noise_but_sees_the_structure(noise):
    nothing = create_model("Nothing")()

    def identity(crystal: Crystal) -> str:
        return job_id(crystal, "agl", nothing, "emt", nothing)

    cell = tuple(tuple(x + noise for x in row) for row in COPPER.cell_angstrom)
    assert identity(COPPER.model_copy(update={"cell_angstrom": cell})) == identity(COPPER)
    larger = tuple(tuple(x * 1.001 for x in row) for row in COPPER.cell_angstrom)
    assert identity(COPPER.model_copy(update={"cell_angstrom": larger})) != identity(COPPER)
