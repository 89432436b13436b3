from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from discover import plugins
from discover.calculations.base import Outcome
from discover.calculations.engines.potential import PotentialEngine
from discover.calculations.transport import CURVES, Curves, Transport
from discover.errors import CalculationError
from discover.properties import property_named
from discover.structures.crystal import Crystal
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

SHORT: dict[str, Any] = {
    "temperatures_k": (1500.0, 900.0),
    "production_ps": 8.0,
    "equilibration_ps": 0.4,
    "timestep_fs": 4.0,
    "chunk_ps": 2.0,
    "min_length_angstrom": 14.0,
    "friction_per_ps": 3.0,
}
QUICK = SHORT | {"production_ps": 1.6, "equilibration_ps": 0.2, "min_length_angstrom": 9.0}


@pytest.fixture(scope="module")
def crystal(hopping_lattice: Callable[..., Atoms]) -> Crystal:
    return Crystal.from_atoms(hopping_lattice(1))


@pytest.fixture(scope="module")
def outcome(
    crystal: Crystal, hopping_engine: Any, tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    return Transport(**SHORT).run(crystal, hopping_engine(), tmp_path_factory.mktemp("whole"))


def values(outcome: Outcome) -> dict[str, float]:
    return {value.property: value.value for value in outcome.values}


def test_the_barrier_of_hopping_ions_is_found_within_its_error(outcome: Outcome) -> None:
    assert tuple(value.property for value in outcome.values) == Transport.properties
    by_name = {value.property: value for value in outcome.values}
    for value in outcome.values:
        assert value.unit == property_named(value.property).unit
        assert value.bound is None
        assert value.uncertainty is not None
    barrier = by_name["activation_energy"]
    assert barrier.uncertainty is not None
    assert barrier.uncertainty < 0.1
    # at kT of half the barrier hops are not rare: the slope is a little less than 0.2 eV
    assert barrier.value == pytest.approx(0.17, abs=3 * barrier.uncertainty)
    assert json.loads(json.dumps(outcome.details, allow_nan=False)) == outcome.details


def test_conductivity_is_that_of_nernst_and_einstein(outcome: Outcome) -> None:
    found = values(outcome)
    ions_per_cm3 = 1 / (125 * 1e-24)
    charge, boltzmann = 1.602176634e-19, 1.380649e-23
    expected = ions_per_cm3 * charge**2 * found["diffusion_coefficient"] / (boltzmann * 300)
    assert found["ionic_conductivity"] == pytest.approx(expected, rel=1e-6)
    assert found["density"] == pytest.approx((6.94 + 35.45) / 125 * 1.66054, rel=1e-4)
    points: Any = outcome.details["points"]
    for point in points:
        assert point["resolved"]
        assert point["framework_angstrom"] < 0.5


def test_a_killed_job_has_the_same_answer(
    outcome: Outcome, crystal: Crystal, hopping_engine: Any, tmp_path: Path
) -> None:
    for chunks in (0, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            Transport(**SHORT).run(crystal, hopping_engine(die_after=chunks), tmp_path)
    again = Transport(**SHORT).run(crystal, hopping_engine(), tmp_path)
    assert again == outcome
    curves = Curves.model_validate_json((tmp_path / CURVES).read_bytes())
    assert [curve.temperature_k for curve in curves.curves] == [1500, 900]
    assert curves.curves[0].msd_angstrom2[-1] > curves.curves[1].msd_angstrom2[-1]


def test_no_diffusion_is_an_upper_bound_and_no_activation_energy(
    crystal: Crystal, hopping_engine: Any, tmp_path: Path
) -> None:
    settings = QUICK | {"temperatures_k": (600.0,)}
    found = Transport(**settings).run(crystal, hopping_engine(barrier_ev=3.0), tmp_path)
    by_name = {value.property: value for value in found.values}
    assert "activation_energy" not in by_name
    assert by_name["ionic_conductivity"].bound == "below"
    assert by_name["diffusion_coefficient"].bound == "below"
    assert by_name["diffusion_coefficient"].value > 0
    assert by_name["density"].bound is None
    assert any("chance" in warning for warning in found.warnings)


def test_a_temperature_that_was_run_needs_no_law(
    crystal: Crystal, hopping_engine: Any, tmp_path: Path
) -> None:
    settings = QUICK | {"temperatures_k": (2000.0,), "temperature_k": 2000.0}
    found = Transport(**settings).run(crystal, hopping_engine(), tmp_path)
    points: Any = found.details["points"]
    diffusion = {value.property: value.value for value in found.values}["diffusion_coefficient"]
    assert diffusion == points[0]["carriers"]["Li"]["coefficient"]


def test_what_did_not_move_when_cold_says_nothing_of_hotter(
    crystal: Crystal, hopping_engine: Any, tmp_path: Path
) -> None:
    settings = QUICK | {"temperatures_k": (200.0,)}
    with pytest.raises(CalculationError, match="add higher temperatures_k"):
        Transport(**settings).run(crystal, hopping_engine(barrier_ev=3.0), tmp_path)


def test_what_cannot_be_run_is_refused_early(
    crystal: Crystal, hopping_engine: Any, tmp_path: Path
) -> None:
    with pytest.raises(CalculationError, match="holds no Na"):
        Transport(mobile="Na").run(crystal, hopping_engine(), tmp_path)
    with pytest.raises(CalculationError, match="does not know Cl"):
        Transport(**SHORT).run(crystal, PotentialEngine(potential="emt"), tmp_path)
    with pytest.raises(CalculationError, match="fewer than ten"):
        plugins.create("calculations", "transport", {"production_ps": 0.5})
    assert not list(tmp_path.iterdir())


def test_a_liquid_runs_and_all_its_ions_conduct(hopping_engine: Any, tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    melt = Formulation(
        components=tuple(
            Component(role=role, molecule=Molecule.from_smiles(smiles), mole_fraction=0.5)
            for smiles, role in (("[Li+]", Role.CATION), ("[Cl-]", Role.ANION))
        )
    )
    settings = QUICK | {"temperatures_k": None, "max_atoms": 20, "relax_cell": True}
    found = Transport(**settings).run(melt, hopping_engine(), tmp_path)
    assert found.details["carriers"] == {"[Li+]": 10, "[Cl-]": 10}
    assert np.isfinite(values(found)["density"])


def test_a_liquid_wants_a_potential_for_liquids(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    pytest.importorskip("mace")
    salt = Formulation(
        components=tuple(
            Component(role=role, molecule=Molecule.from_smiles(smiles), mole_fraction=0.5)
            for smiles, role in (("[Li+]", Role.CATION), ("[F-]", Role.ANION))
        )
    )
    with pytest.raises(CalculationError, match="MACE-OFF"):
        Transport(**SHORT).run(salt, PotentialEngine(potential="mace:bundled"), tmp_path)
