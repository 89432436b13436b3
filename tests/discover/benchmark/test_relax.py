"""The relaxation benchmark: every way on the same crystals, and bad input refused."""

import json

import pytest
from ase.build import bulk
from ase.io import write

from discover.benchmark.relax import BASELINE, OURS, run, show
from discover.errors import StructureError


@pytest.fixture
def metals(tmp_path):
    file = tmp_path / "metals.extxyz"
    alloy = bulk("Cu", "fcc", a=3.8, cubic=True)
    alloy.symbols[0] = "Au"
    write(file, [bulk("Cu", a=3.7), bulk("NaCl", "rocksalt", a=5.6), bulk("Al", a=4.2), alloy])
    return file


def test_every_way_on_the_same_crystals(metals, capsys):
    said = []
    result = run("emt", n=4, structures=metals, torchsim=True, told=said.append)
    assert "structures [1]" in said[0]
    assert "TorchSim" in said[-1]
    assert "skipped" in said[-1]  # it is not installed here, or EMT is none of its potentials
    result = json.loads(json.dumps(result))
    assert (result["structures"], result["atoms"]) == (3, [1, 4])
    ours, baseline, fire = result["rows"]
    assert (ours["name"], baseline["name"]) == (OURS, BASELINE)
    assert [row["converged"] for row in result["rows"]] == [3, 3, 3]
    assert all(row["largest_difference_ev_per_atom"] < 1e-3 for row in result["rows"])
    assert ours["force_calls"] < fire["force_calls"]
    assert ours["seconds_over_ours"] == 1.0
    assert baseline["seconds_over_ours"] == pytest.approx(baseline["seconds"] / ours["seconds"])
    show(result)
    assert "ASE FIRE, one by one" in capsys.readouterr().out


def test_energies_that_differ_are_listed(metals, monkeypatch, capsys):
    from discover.benchmark import relax as benchmark

    def wrong(*args):
        first, *others = benchmark.batched(*args)
        return [type(first)(first.energy_ev_per_atom + 0.002, 1, converged=True), *others]

    monkeypatch.setattr(benchmark, "ase_fire", wrong)
    result = run("emt", n=1, structures=metals)
    (other,) = result["rows"][2]["differing"]
    assert (other["index"], other["formula"]) == (0, "Cu")
    assert other["difference_ev_per_atom"] == pytest.approx(0.002)
    show(result)
    assert "structure 0 (Cu) is +2.00 meV/atom from ours" in capsys.readouterr().out


def test_prototypes_of_the_elements_that_the_potential_knows():
    result = run("emt", n=2)
    assert result["structures"] == 2


@pytest.mark.parametrize("content", [None, "no structures"])
def test_a_file_that_is_none(tmp_path, content):
    file = tmp_path / "absent.extxyz"
    if content:
        file.write_text(content)
    with pytest.raises(StructureError, match=r"absent\.extxyz cannot be read as structures"):
        run("emt", n=1, structures=file)


def test_nothing_to_relax(tmp_path):
    file = tmp_path / "salt.extxyz"
    write(file, bulk("NaCl", "rocksalt", a=5.6))
    with pytest.raises(StructureError, match="no structure to relax"):
        run("emt", n=1, structures=file)
