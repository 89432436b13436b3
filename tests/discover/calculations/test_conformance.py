"""The built-in kind and engines satisfy the suites that others run, and the suites find faults."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from discover.calculations.agl import AGL
from discover.calculations.conformance import CalculationKindConformance, EngineConformance
from discover.calculations.engines import EMTEngine, PotentialEngine
from discover.structures.crystal import Crystal


@pytest.fixture
def crystal():
    return Crystal.from_atoms(bulk("Cu", "fcc", a=3.6))


class TestEngines(EngineConformance):
    @pytest.fixture(params=[EMTEngine(), PotentialEngine(potential="emt")], ids=lambda e: e.name)
    def engine(self, request):
        return request.param


class TestAGL(CalculationKindConformance):
    @pytest.fixture
    def kind(self):
        return AGL()

    @pytest.fixture
    def engine(self):
        return EMTEngine()


class PressureForStress(EMT):
    """Wrong by its sign, the commonest fault."""

    def get_stress(self, atoms=None):
        return -np.asarray(super().get_stress(atoms))


def test_a_wrong_sign_is_found(crystal, tmp_path):
    class Wrong(EMTEngine):
        def calculator(self, atoms, directory):
            return PressureForStress()

    with pytest.raises(AssertionError):
        EngineConformance().test_stress_is_the_derivative_of_the_energy(Wrong(), crystal, tmp_path)


def test_a_file_left_behind_is_found(crystal, tmp_path, monkeypatch):
    class Untidy(EMTEngine):
        def calculator(self, atoms, directory):
            Path("log.txt").touch()
            return EMT()

    with pytest.raises(AssertionError):
        EngineConformance().test_it_writes_below_its_directory_only(
            Untidy(), crystal, tmp_path, monkeypatch
        )
