"""Potentials by name."""

import pytest

from discover.errors import MissingDependencyError, PluginError, PotentialError
from discover.potentials import load_potential, unknown_elements

PLUGIN = """
from ase.calculators.emt import EMT


class Metals:
    name = "metals"

    def elements(self):
        return frozenset({"Cu", "Au"})

    def calculator(self):
        return EMT()
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [("emt", "emt"), ("chgnet", "chgnet:0.3.0"), ("chgnet:r2scan", "chgnet:r2scan")],
)
def test_by_name(name, expected):
    assert load_potential(name).name == expected


def test_a_name_can_be_loaded_again():
    assert load_potential(load_potential("chgnet").name).name == "chgnet:0.3.0"


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("chgnt", PluginError, "did you mean 'chgnet'"),
        ("chgnet:0.4", PluginError, "'0.3.0', '0.2.0' or 'r2scan'"),
        ("emt:large", PotentialError, "write 'emt'"),
        ("mace", PotentialError, "needs a model: 'mace:<path or name>'"),
        ("mace:models/none.model", PotentialError, "there is no such file"),
        ("none.py:Metals", PluginError, "there is no file"),
    ],
)
def test_what_cannot_be_loaded_says_why(name, error, said, tmp_path):
    with pytest.raises(error, match=said):
        load_potential(name, tmp_path)


def test_a_path_starts_at_the_campaign(tmp_path):
    with pytest.raises(PotentialError, match=str(tmp_path)):
        load_potential("mace:models/none.model", tmp_path)


def test_a_plugin_from_a_file(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    potential = load_potential("own.py:Metals", tmp_path)
    assert unknown_elements(potential, ["Cu", "Na", "Cl", "Na"]) == ["Cl", "Na"]


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"discover-materials\[mace\]"):
        load_potential("mace:small")
