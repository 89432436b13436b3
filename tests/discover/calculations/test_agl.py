"""The AGL calculation and its guards, on energies that are known exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

from discover import plugins
from discover.calculations import debye
from discover.calculations.agl import AGL
from discover.calculations.base import Outcome
from discover.calculations.engines import EMTEngine
from discover.calculations.equation_of_state import BirchMurnaghan
from discover.errors import CalculationError, PluginError
from discover.structures.crystal import Crystal

MGO = bulk("MgO", "rocksalt", a=4.25)


class CurveCalculator(Calculator):
    """Energy from an equation of state, with noise that depends on the volume alone."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, curve: BirchMurnaghan, noise_ev: float) -> None:
        super().__init__()
        self._curve, self._noise_ev = curve, noise_ev

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        volume = self.atoms.get_volume()
        noise = self._noise_ev * np.random.default_rng(int(1e6 * volume)).normal()
        self.results = {
            "energy": float(self._curve.energy(volume)) + noise,
            "forces": np.zeros((len(self.atoms), 3)),
            "stress": np.zeros(6),
        }


class CurveEngine:
    """An engine whose answer is known."""

    name = "curve"

    def __init__(self, noise_ev: float = 0.0, **parameters: float) -> None:
        self.curve = BirchMurnaghan(
            **{
                "volume_angstrom3": 19.2,
                "energy_ev": -12.0,
                "bulk_modulus_gpa": 150.0,
                "bulk_modulus_derivative": 4.2,
            }
            | parameters
        )
        self.noise_ev = noise_ev

    def check(self) -> None: ...

    def elements(self) -> frozenset[str]:
        return frozenset({"Mg", "O"})

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:
        return CurveCalculator(self.curve, self.noise_ev)

    def versions(self) -> dict[str, str]:
        return {}


def run(engine: Any, directory: Path, atoms: Atoms = MGO, **settings: Any) -> Outcome:
    return AGL(**settings).run(Crystal.from_atoms(atoms), engine, directory)


def value(outcome: Outcome, name: str) -> float:
    return {v.property: v.value for v in outcome.values}[name]


def quarantined(outcome: Outcome) -> dict[str, str]:
    return {v.property: v.quarantined for v in outcome.values if v.quarantined}


def test_values_follow_from_the_equation_of_state(tmp_path):
    outcome = run(CurveEngine(), tmp_path)
    gamma = 4.2 / 2 - 1 / 6
    theta = debye.debye_temperature(19.2, 150.0, MGO.get_masses().sum(), 2, 0.25)
    kappa = debye.slack_thermal_conductivity(
        theta * 2 ** (-1 / 3), gamma, MGO.get_masses().mean(), 19.2, 300.0
    )
    assert value(outcome, "bulk_modulus") == pytest.approx(150.0, rel=1e-4)
    assert value(outcome, "gruneisen_parameter") == pytest.approx(gamma, rel=1e-3)
    assert value(outcome, "debye_temperature") == pytest.approx(theta, rel=1e-4)
    assert value(outcome, "thermal_conductivity") == pytest.approx(kappa, rel=1e-2)
    assert quarantined(outcome) == {}
    assert outcome.details["volume_angstrom3"] == pytest.approx(19.2, rel=1e-5)


def test_a_conventional_cell_gives_the_same_as_the_primitive(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = run(EMTEngine(), tmp_path / "a", bulk("Cu", "fcc", a=3.6))
    four = run(EMTEngine(), tmp_path / "b", bulk("Cu", "fcc", a=3.6, cubic=True))
    assert four.details["atoms"] == 1
    for name in AGL.properties:
        assert value(four, name) == pytest.approx(value(one, name), rel=1e-6)


@pytest.mark.parametrize("volume", [16.8, 21.9])
def test_the_range_follows_a_minimum_outside_it(tmp_path, volume):
    """4 % off in length: the points already there are kept, and few are added."""
    outcome = run(CurveEngine(volume_angstrom3=volume), tmp_path)
    assert value(outcome, "bulk_modulus") == pytest.approx(150.0, rel=1e-3)
    assert 5 < outcome.details["single_points"] <= 9
    assert len(outcome.frames) == outcome.details["single_points"]
    volumes = outcome.details["volumes_angstrom3"]
    assert volumes[1] < volume < volumes[-2]


@pytest.mark.parametrize("volume", [9.0, 40.0])
def test_no_minimum_within_reach_fails_with_the_range_searched(tmp_path, volume):
    with pytest.raises(CalculationError, match="no minimum of the energy between") as failed:
        run(CurveEngine(volume_angstrom3=volume), tmp_path)
    volumes = [frame.get_volume() for frame in failed.value.frames]
    assert len(volumes) > 5
    assert volumes == sorted(volumes)


def test_a_rough_curve_is_quarantined(tmp_path):
    outcome = run(CurveEngine(noise_ev=4e-3), tmp_path)
    assert set(quarantined(outcome)) == set(AGL.properties)
    assert "meV/atom off" in quarantined(outcome)["bulk_modulus"]


@pytest.mark.parametrize("derivative", [1.2, 9.5])
def test_an_odd_gruneisen_parameter_is_quarantined_with_what_rests_on_it(tmp_path, derivative):
    outcome = run(CurveEngine(bulk_modulus_derivative=derivative), tmp_path)
    assert set(quarantined(outcome)) == {"thermal_conductivity", "gruneisen_parameter"}


def test_a_negative_gruneisen_parameter_fails(tmp_path):
    with pytest.raises(CalculationError, match="Grüneisen parameter is -0"):
        run(CurveEngine(bulk_modulus_derivative=-1.0), tmp_path)


def test_an_energy_that_is_no_number_fails(tmp_path):
    with pytest.raises(CalculationError, match="not a finite number"):
        run(CurveEngine(energy_ev=float("nan")), tmp_path)


def test_a_value_out_of_its_plausible_range_is_quarantined(tmp_path):
    outcome = run(CurveEngine(bulk_modulus_gpa=2000.0), tmp_path)
    assert "outside the plausible" in quarantined(outcome)["bulk_modulus"]


def test_conductivity_falls_as_one_over_temperature(tmp_path):
    cold = run(CurveEngine(), tmp_path, temperature_k=300.0)
    hot = run(CurveEngine(), tmp_path, temperature_k=900.0)
    ratio = value(cold, "thermal_conductivity") / value(hot, "thermal_conductivity")
    assert ratio == pytest.approx(3.0)


@pytest.mark.parametrize("options", [{"volumes": 6}, {"volumes": 3}, {"poisson_ratio": 0.5}])
def test_bad_settings_are_refused(options):
    with pytest.raises(PluginError, match=next(iter(options))):
        plugins.create("calculations", "agl", options)
