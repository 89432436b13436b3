from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from discover import plugins
from discover.calculations.base import JobInput, Outcome
from discover.calculations.engines.pyscf import PySCFEngine
from discover.calculations.job import run_job, write_input
from discover.calculations.molecule import MolecularProperties
from discover.errors import CalculationError
from discover.properties import property_named
from discover.structures.molecule import Molecule

pytest.importorskip("pyscf")
pytest.importorskip("tblite")

QUICK: dict[str, Any] = {"functional": "pbe0", "basis": "def2-svp", "grid_level": 0}


def values(outcome: Outcome) -> dict[str, float]:
    return {value.property: value.value for value in outcome.values}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("molecule")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Outcome]:
    """Water, ammonia and formaldehyde in the cheap preset with a smaller basis."""
    kind, engine = MolecularProperties(), PySCFEngine(**QUICK)
    found = {}
    for smiles in ("O", "N", "C=O"):
        (folder / smiles).mkdir()
        found[smiles] = kind.run(Molecule.from_smiles(smiles), engine, folder / smiles)
    return found


def test_it_computes_all_it_names_in_their_units(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert tuple(value.property for value in outcome.values) == MolecularProperties.properties
        for value in outcome.values:
            assert value.unit == property_named(value.property).unit
            assert value.quarantined is None
        assert json.loads(json.dumps(outcome.details, allow_nan=False)) == outcome.details


def test_published_orders_hold(outcomes: dict[str, Outcome]) -> None:
    found = {smiles: values(outcome) for smiles, outcome in outcomes.items()}

    def ranked(name: str) -> list[str]:
        return sorted(found, key=lambda smiles: found[smiles][name])

    # CRC Handbook: dipoles 1.47, 1.85, 2.33 D; ionization energies 10.07, 10.88, 12.62 eV
    assert ranked("dipole_moment") == ["N", "O", "C=O"]
    assert ranked("vertical_oxidation_potential") == ["N", "C=O", "O"]
    # FreeSolv: water and ammonia are held by water, and so by acetone, more than formaldehyde
    for molecule in found.values():
        assert molecule["oxidation_potential"] < molecule["vertical_oxidation_potential"]
        assert molecule["solvation_free_energy"] < 0
    # M. T. Rodgers and P. B. Armentrout, J. Phys. Chem. A 101, 1238 (1997): Li⁺-water, 0 K
    assert found["O"]["lithium_binding_energy"] == pytest.approx(-137, abs=20)


def test_what_is_computed_is_not_computed_again(
    outcomes: dict[str, Outcome], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(PySCFEngine, "single_point", refuse)
    again = MolecularProperties().run(Molecule.from_smiles("O"), PySCFEngine(**QUICK), folder / "O")
    assert again == outcomes["O"]


def test_a_killed_job_goes_on_after_its_last_part(
    outcomes: dict[str, Outcome], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "parts").mkdir()
    for name in ("molecule-geometry", "vacuum", "oxidized-geometry", "oxidized-adiabatic"):
        source = folder / "O" / "parts" / f"{name}.json"
        (tmp_path / "parts" / source.name).write_bytes(source.read_bytes())
    outcome = MolecularProperties().run(Molecule.from_smiles("O"), PySCFEngine(**QUICK), tmp_path)
    assert values(outcome) == pytest.approx(values(outcomes["O"]), rel=1e-3, abs=1e-3)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "molecule-geometry.json").write_text("{")
    with pytest.raises(CalculationError, match=r"molecule-geometry\.json is damaged"):
        MolecularProperties().run(Molecule.from_smiles("O"), PySCFEngine(**QUICK), tmp_path)


def test_geometries_and_frames_by_dft(tmp_path: Path) -> None:
    kind = MolecularProperties(geometry="dft", thermal="none", counterpoise=False)
    engine = PySCFEngine(functional="pbe0", basis="sto-3g", grid_level=0)
    outcome = kind.run(Molecule.from_smiles("F"), engine, tmp_path)
    assert {frame.info["config_type"] for frame in outcome.frames} == {
        "molecule",
        "lithium_complex",
    }
    for frame in outcome.frames:
        assert frame.get_forces().shape == (len(frame), 3)
        assert not frame.pbc.any()
    assert any("counterpoise" in warning for warning in outcome.warnings)
    again = kind.run(Molecule.from_smiles("F"), engine, tmp_path)
    assert values(again) == values(outcome)


@pytest.mark.parametrize(
    ("molecule", "settings", "engine_settings", "named"),
    [
        ({"multiplicity": 3}, {}, {}, "open shell"),
        ({}, {"solvent": "acetonne"}, {}, "did you mean 'acetone'"),
        ({}, {}, {"basis": "6-31g*", "geometry_basis": "cc-pvdz-pp"}, "does not know"),
    ],
)
def test_what_cannot_be_done_is_refused_before_compute(
    molecule: dict[str, int],
    settings: dict[str, Any],
    engine_settings: dict[str, Any],
    named: str,
    tmp_path: Path,
) -> None:
    water = Molecule.from_smiles("O").model_copy(update=molecule)
    with pytest.raises(CalculationError, match=named):
        MolecularProperties(**settings).run(water, PySCFEngine(**engine_settings), tmp_path)
    assert not list(tmp_path.iterdir())


def test_vibrations_by_dft_want_a_geometry_by_dft() -> None:
    with pytest.raises(CalculationError, match="needs geometry dft"):
        plugins.create("calculations", "molecule", {"thermal": "dft"})


def test_a_field_that_does_not_converge_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    write_input(
        tmp_path,
        JobInput(
            id="one",
            kind="molecule",
            engine="pyscf",
            settings={"conformers": 1},
            engine_settings=QUICK | {"max_cycles": 1},
            structure=Molecule.from_smiles("O"),
        ),
    )
    result = run_job(tmp_path)
    assert result.status == "failed"
    assert result.reason is not None
    assert "did not converge" in result.reason
