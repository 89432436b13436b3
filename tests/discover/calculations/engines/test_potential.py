"""The engine `potential`: it is the potential, and it refuses what a job could not find."""

import numpy as np
import pytest
from ase.build import bulk

from discover.calculations.engines import EMTEngine, PotentialEngine
from discover.errors import PluginError, PotentialError


def test_a_potential_in_place_of_dft_is_the_potential(tmp_path):
    """The same EMT, as an engine and as a potential."""
    energies = []
    for engine in (EMTEngine(), PotentialEngine(potential="emt")):
        engine.check()
        atoms = bulk("Cu", "fcc", a=3.7)
        assert "Cu" in engine.elements()
        atoms.calc = engine.calculator(atoms, tmp_path)
        energies.append(atoms.get_potential_energy())
        assert np.isfinite(atoms.get_stress()).all()
    assert energies[0] == pytest.approx(energies[1], abs=1e-9)
    assert "potential" in PotentialEngine(potential="emt").versions()


def test_an_unknown_potential_is_refused_before_it_computes():
    with pytest.raises(PluginError, match="chgnett"):
        PotentialEngine(potential="chgnett").check()


@pytest.mark.parametrize(
    "name",
    ["mace:models/mine.model", "mace:mine.model", "mace:there", "./mine.py:Mine", "mine.py:X"],
)
def test_a_model_by_a_relative_path_is_refused_even_where_it_exists(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    with pytest.raises(PotentialError, match="give its absolute path"):
        PotentialEngine(potential=name)


@pytest.mark.parametrize(
    "name", ["mace:/models/mine.model", "mace:~/mine.model", "mace:medium-0b3"]
)
def test_absolute_paths_and_names_of_models_are_taken(name):
    assert PotentialEngine(potential=name).name == "potential"
