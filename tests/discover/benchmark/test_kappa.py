"""The whole benchmark with the embedded-atom potential: real forces, small meshes."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read, write

from discover.benchmark import kappa
from discover.benchmark.kappa_compound import Settings, folder_name
from discover.benchmark.kappa_data import read_compounds
from discover.errors import PluginError, StructureError

COUNTED = '''
"""EMT that counts its calls, and is killed at the one that the file `kill` names."""

import os
import signal
from pathlib import Path

from ase.calculators.emt import EMT

from discover.potentials.emt import EMTPotential

FOLDER = Path(__file__).parent


class CountedEMT(EMT):
    def calculate(self, *arguments, **options):
        calls = FOLDER / "calls"
        number = len(calls.read_text()) if calls.exists() else 0
        kill = FOLDER / "kill"
        if kill.exists() and number == int(kill.read_text()):
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        super().calculate(*arguments, **options)
        with calls.open("a") as file:
            file.write(".")


class Counted(EMTPotential):
    def calculator(self):
        return CountedEMT()
'''


@pytest.fixture(scope="module")
def metals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copper, which EMT describes; simple cubic nickel, which no potential holds; iron, unknown."""
    file = tmp_path_factory.mktemp("metals") / "metals.extxyz"
    frames = [bulk("Cu", a=3.6, cubic=True), bulk("Ni", "sc", a=2.4), bulk("Fe", a=2.9, cubic=True)]
    for atoms, kappa_w_mk, prototype in zip(
        frames, (15.0, 30.0, 20.0), ("fcc", "sc", "bcc"), strict=True
    ):
        atoms.info.update(mp_id=f"m-{atoms.symbols[0]}", known=kappa_w_mk, prototype=prototype)
        atoms.info.update(fc3_supercell="2x2x2" if prototype == "fcc" else "3x3x3", q_mesh="5x5x5")
    write(file, frames)
    return file


@pytest.fixture(scope="module")
def result(metals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, list[str]]:
    """The benchmark of all three, copper by finite displacements too."""
    out, lines = tmp_path_factory.mktemp("benchmark"), list[str]()
    found = kappa.run(
        metals, "emt", out, reference="known", against_finite_displacements=1, told=lines.append
    )
    return found, out, lines


def test_a_stable_an_unstable_and_an_unknown_compound(result: Any) -> None:
    copper, nickel, iron = result[0].rows
    assert copper.reason is None
    assert copper.kappa_w_mk == pytest.approx(
        copper.kappa_particle_w_mk + copper.kappa_coherence_w_mk
    )
    assert copper.sre == pytest.approx(2 * abs(copper.kappa_w_mk - 15) / (copper.kappa_w_mk + 15))
    assert (copper.srme, copper.unstable, copper.supercell_atoms) == (None, False, 32)
    assert copper.mesh == (5, 5, 5)
    assert copper.minimum_frequency_thz > 0
    assert copper.force_calls > 1
    assert 0.9 < copper.volume_ratio < 1.1
    np.testing.assert_allclose(np.trace(copper.kappa_tensor_w_mk) / 3, copper.kappa_w_mk, rtol=1e-9)
    assert (nickel.unstable, nickel.kappa_w_mk, nickel.sre) == (True, None, 2.0)
    assert nickel.minimum_frequency_thz < -0.1
    assert "imaginary" in nickel.reason
    assert (iron.unstable, iron.kappa_w_mk, iron.sre, iron.force_calls) == (False, None, 2.0, 0)
    assert iron.reason == "emt does not know Fe"


def test_summary(result: Any) -> None:
    found = result[0]
    assert (found.summary.compounds, found.summary.unstable, found.summary.failed) == (3, 1, 1)
    assert found.summary.mean_sre == pytest.approx((found.rows[0].sre + 4) / 3)
    assert found.summary.mean_srme is None
    assert found.summary.log10_mae == pytest.approx(abs(np.log10(found.rows[0].kappa_w_mk / 15.0)))


def test_symfc_is_near_full_finite_displacements(result: Any) -> None:
    compared = [row.finite_displacements for row in result[0].rows if row.finite_displacements]
    assert len(compared) == 1
    exact = compared[0]
    assert exact.kappa_ratio == pytest.approx(1, abs=0.1)
    assert exact.force_call_ratio == exact.force_calls / result[0].rows[0].force_calls


def test_files_and_lines(result: Any) -> None:
    found, out, lines = result
    kept = json.loads((out / "results.json").read_text())
    assert kept["summary"]["compounds"] == 3
    assert kept["settings"]["potential"] == "emt"
    with (out / "results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["m-Cu", "m-Ni", "m-Fe"]
    assert float(rows[0]["kappa_w_mk"]) == found.rows[0].kappa_w_mk
    assert float(rows[0]["finite_displacements_kappa_ratio"]) == pytest.approx(1, abs=0.1)
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert any("m-Fe: left out: emt does not know Fe" in line for line in lines)
    assert any("[1/3] Cu fcc: κ" in line and "left" in line for line in lines)
    assert any("Ni sc: no κ: dynamically unstable" in line for line in lines)


def test_modes_of_the_same_calculation_have_no_error(metals: Path, result: Any) -> None:
    """What the benchmark keeps, written as a reference, and read again."""
    found, out, _ = result
    copper = read_compounds(metals, reference="known")[0]
    folder = out / "compounds" / folder_name(copper, found.settings)
    kept = json.loads((folder / "conductivity.json").read_text())
    ph3_points = _qpoints(copper, found.settings)
    modes = out / "modes.json"
    table = {
        "mp_id": "m-Cu",
        "temperatures": [300.0],
        "mode_kappa_TOT_ave": [kept["modes"]],
        "qpoints": ph3_points,
        "weights": kept["weights"],
        "q_mesh": [5, 5, 5],
    }
    modes.write_text(json.dumps({key: {"0": value} for key, value in table.items()}))
    again = kappa.run(
        metals, "emt", out, reference="known", reference_modes=modes, limit=3, told=lambda _: None
    )
    copper_row, nickel, _ = again.rows
    assert copper_row.srme == pytest.approx(0.0, abs=1e-6)
    assert copper_row.seconds == found.rows[0].seconds  # recalled, not computed
    assert nickel.srme is None
    table["q_mesh"] = [7, 7, 7]
    modes.write_text(json.dumps({key: {"0": value} for key, value in table.items()}))
    with pytest.raises(StructureError, match=r"m-Cu.*mesh 7 x 7 x 7"):
        kappa.run(metals, "emt", out, reference_modes=modes)


def test_bad_words_are_refused(metals: Path, tmp_path: Path, discover: Callable[..., Any]) -> None:
    words = ("benchmark", "kappa", "--structures", metals, "--out", tmp_path / "out")
    answer = discover(*words, "--potential", "emt", "--reference", "kapa")
    assert answer.code != 0
    assert "structure 1: there is no reference value 'kapa'" in answer.err
    assert "known" in answer.err
    with pytest.raises(PluginError):
        kappa.run(metals, "emd", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_killed_benchmark_goes_on_where_it_was(metals: Path, tmp_path: Path) -> None:
    plugin, copper = tmp_path / "counted.py", tmp_path / "copper.extxyz"
    plugin.write_text(COUNTED)
    write(copper, read(metals, 0))
    words = [sys.executable, "-m", "discover", "benchmark", "kappa", "--structures", str(copper)]
    words += ["--potential", f"{plugin}:Counted", "--reference", "known", "--json"]
    (tmp_path / "kill").write_text("6")
    killed = subprocess.run([*words, "--out", str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len((tmp_path / "calls").read_text()) == 6
    went_on = subprocess.run(
        [*words, "--out", str(tmp_path / "out")], check=True, capture_output=True, text=True
    )
    row = json.loads(went_on.stdout)["rows"][0]
    assert len((tmp_path / "calls").read_text()) == row["force_calls"] + row["relaxation_calls"]
    assert row["relaxation_calls"] < 6 < row["force_calls"] + row["relaxation_calls"]


def _qpoints(compound: Any, settings: Settings) -> list[list[float]]:
    from discover.benchmark import kappa_compound
    from discover.calculations.cells import primitive_cell
    from discover.calculations.lattice.conductivity import irreducible_qpoints

    ph3 = kappa_compound._phonons(compound, primitive_cell(compound.crystal), settings)
    points: list[list[float]] = irreducible_qpoints(ph3, (5, 5, 5))[0].tolist()
    return points
