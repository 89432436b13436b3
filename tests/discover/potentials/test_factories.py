"""Potentials that any importable function or class makes."""

import pytest
from ase.build import bulk

from discover.errors import MissingDependencyError, PluginError, PotentialError
from discover.potentials import load_potential
from discover.potentials.conformance import check_potential
from discover.structures.crystal import Crystal

MODULE = """
from ase.calculators.emt import EMT

THREE = 3


class Metals:
    name = "metals"

    def elements(self):
        return frozenset({"Cu", "Au"})

    def calculator(self):
        return EMT()


def made():
    return Metals()


def stated():
    return EMT()


stated.elements = ["Cu", "Au"]


class Calculator(EMT):
    elements = {"Cu"}


def unstated():
    return EMT()


def misspelt():
    return EMT()


misspelt.elements = {"Cu", "Xy"}


def needy(file):
    return EMT()


def number():
    return 3


def broken():
    raise OSError("no weights")
"""


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    (tmp_path / "mine_a").mkdir()
    (tmp_path / "mine_a" / "models.py").write_text(MODULE)
    (tmp_path / "mine_b.py").write_text(MODULE)
    (tmp_path / "mine_c.py").write_text("import not_installed_anywhere")
    (tmp_path / "mine_d.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("module", ["mine_a.models", "mine_b"])
@pytest.mark.parametrize(
    ("factory", "elements"),
    [
        ("Metals", {"Cu", "Au"}),
        ("made", {"Cu", "Au"}),
        ("stated", {"Cu", "Au"}),
        ("Calculator", {"Cu"}),
    ],
)
def test_what_a_factory_gives_is_a_potential(module, factory, elements):
    potential = load_potential(f"{module}:{factory}")
    assert potential.elements() == elements
    check_potential(potential, Crystal.from_atoms(bulk("Cu", cubic=True)))


def test_the_name_says_where_a_calculator_comes_from():
    assert load_potential("mine_b:stated").name == "mine_b:stated"
    assert load_potential("mine_b:made").name == "metals"


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("mine_b:unstated", PotentialError, r"state them as unstated.elements = \{'Na', 'Cl'\}"),
        ("ase.calculators.emt:EMT", PotentialError, "does not say for which elements"),
        ("mine_b:misspelt", PotentialError, "no elements are called Xy"),
        ("mine_b:needy", PluginError, "must need no arguments"),
        ("mine_b:number", PluginError, "gives a int, neither a potential nor an ASE calculator"),
        ("mine_b:broken", PotentialError, "cannot be made: OSError"),
        ("mine_b:statd", PluginError, "mine_b has no 'statd'; did you mean 'stated'"),
        ("mine_b:THREE", PluginError, "no Python function or class"),
        ("os:abort", PluginError, "no Python function or class"),
        ("mine_c:stated", MissingDependencyError, "'not_installed_anywhere', which is not"),
        ("no_such.module:stated", MissingDependencyError, "'no_such', which is not installed"),
        ("mine_d:stated", PluginError, "fails on import: ZeroDivisionError"),
        ("sevenet:7net", PluginError, "did you mean 'sevennet'"),
        ("no_such_module:stated", PluginError, "no potential is called 'no_such_module'"),
    ],
)
def test_what_cannot_be_used_says_why(name, error, said):
    with pytest.raises(error, match=said):
        load_potential(name)
