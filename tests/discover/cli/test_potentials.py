"""`discover potentials ...`, for real."""

import json

import pytest

from discover.potentials.environments import Environment

WRONG = """
from ase.calculators.emt import EMT


class Doubled(EMT):
    def calculate(self, *arguments):
        super().calculate(*arguments)
        self.results["forces"] = 2 * self.results["forces"]


class Wrong:
    name = "wrong"

    def elements(self):
        return frozenset({"Cu"})

    def calculator(self):
        return Doubled()


class Noble(Wrong):
    def elements(self):
        return frozenset({"Xe"})
"""


def test_list(discover):
    shown = discover("potentials", "list")
    assert shown.code == 0
    assert "sevennet:7net-l3i5" in shown.out
    rows = {row["name"]: row for row in json.loads(discover("potentials", "list", "--json").out)}
    assert rows["emt"]["status"] == "built in"
    assert rows["chgnet:0.3.0"]["elements"] == 89
    assert rows["sevennet:7net-l3i5"]["licence"] == "MIT"


def test_a_potential_is_tried_out(discover):
    assert "Cu" in discover("potentials", "test", "emt").out
    answer = discover("potentials", "test", "emt", "--json")
    assert answer.code == 0
    tried = json.loads(answer.out)
    assert tried["passed"]
    assert tried["potential"] == "emt"
    assert tried["versions"].keys() == {"ase"}
    copper = next(crystal for crystal in tried["crystals"] if crystal["name"] == "Cu")
    # EMT was fitted to copper at 3.61 Å; its zero is the crystal there
    assert copper["energy_ev_per_atom"] == pytest.approx(0.0, abs=0.01)
    assert copper["milliseconds_per_call"] > 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wrong.py:Wrong", "forces"),
        ("wrong.py:Noble", "knows no crystal to try it on"),
        ("sevennet:7net-l3i6", "did you mean '7net-l3i5'"),
        ("chgnt", "did you mean 'chgnet'"),
    ],
)
def test_one_that_fails_says_why(discover, name, said, tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text(WRONG)
    monkeypatch.chdir(tmp_path)
    answer = discover("potentials", "test", name)
    assert answer.code == 1
    assert said in answer.err
    answer = discover("potentials", "test", name, "--json")
    assert answer.code == 1
    assert said in json.loads(answer.out)["reason"]


def test_install_knows_what_is_there(discover, tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))
    monkeypatch.setattr(Environment, "is_current", lambda _: True)
    answer = discover("potentials", "install", "sevennet")
    assert answer.code == 0
    assert "already installed" in answer.out


def test_install_of_what_needs_none(discover):
    answer = discover("potentials", "install", "chgnet")
    assert answer.code == 2
    assert "runs in ours" in answer.err
