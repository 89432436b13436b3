"""Which potentials there are."""

import pytest

from discover.errors import PotentialError
from discover.potentials.catalogue import catalogue, environment
from discover.potentials.sevennet import SevenNetPotential


def test_what_can_be_named_is_listed_once():
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names))
    assert {"emt", "chgnet:0.3.0", "mace:<file>", "sevennet:7net-l3i5", "mattersim:1m"} < set(names)


def test_what_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))
    monkeypatch.setattr(SevenNetPotential, "runs_here", lambda *_: False)
    entries = {entry.name: entry for entry in catalogue()}
    assert entries["sevennet:7net-0"].status == "not installed"
    assert entries["sevennet:7net-omat"].status == "not installed, needs network"
    assert entries["sevennet:7net-0"].where == "sevennet: discover potentials install sevennet"
    assert entries["sevennet:7net-0"].elements == 89


def test_environments_are_chosen_by_family_or_model():
    assert environment("sevennet").name == "sevennet"
    assert environment("sevennet:7net-0").name == "sevennet"
    with pytest.raises(PotentialError, match="chgnet needs no environment of its own"):
        environment("chgnet")
    with pytest.raises(PotentialError, match="did you mean 'sevennet'"):
        environment("sevenet")
