from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from discover.benchmark.molecules import APART, SOLVENTS, SOURCES, compared, run, show
from discover.calculations.engines.pyscf import PySCFEngine
from discover.calculations.molecule import ABSOLUTE_LITHIUM_V
from discover.calculations.molecules.states import NEUTRAL, OXIDIZED, Procedure, States
from discover.errors import CalculationError
from discover.properties import property_named
from discover.structures.molecule import Molecule


def row(name: str, ours: float, published: float | None) -> dict[str, Any]:
    told = {} if published is None else {"dipole_moment": published}
    return {
        "name": name,
        "values": {"dipole_moment": ours},
        "published": told,
        "cpu_seconds": 1.0,
        "reason": None,
    }


def test_published_values_are_plausible_and_have_sources() -> None:
    pytest.importorskip("rdkit")
    assert set(APART) == set(SOURCES)
    assert sum("oxidation_potential" in s.published for s in SOLVENTS) >= 6
    assert sum("dipole_moment" in s.published for s in SOLVENTS) >= 6
    for solvent in SOLVENTS:
        assert Molecule.from_smiles(solvent.smiles).charge == 0
        for name, value in solvent.published.items():
            low, high = property_named(name).plausible
            assert low < value < high
            assert name in SOURCES


def test_the_order_counts_where_published_values_are_apart() -> None:
    rows = [row("a", 1.0, 1.0), row("b", 0.9, 1.1), row("c", 3.0, 2.0), row("d", 9.0, None)]
    found = compared(rows, "dipole_moment")
    assert found["solvents"] == 3
    assert (found["ordered"], found["pairs"]) == (2, 2)
    assert found["mae"] == pytest.approx((0 + 0.2 + 1) / 3)
    assert found["spearman"] == pytest.approx(0.5)
    wrong = compared([row("a", 2.0, 1.0), row("b", 1.0, 2.0)], "dipole_moment")
    assert (wrong["ordered"], wrong["pairs"], wrong["spearman"]) == (0, 1, None)


def test_the_table_shows_both(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("EC", 5.6, 4.61)]
    show(
        {
            "preset": "cheap",
            "solvents": rows,
            "properties": {name: compared(rows, name) for name in SOURCES},
            "sources": SOURCES,
        }
    )
    assert "mean absolute error 0.99 D" in " ".join(capsys.readouterr().out.split())


def test_an_unknown_solvent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalculationError, match="did you mean 'DME'"):
        run(["DMD"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_published_orders_of_six_solvents_hold(tmp_path: Path) -> None:
    """Dipoles and oxidation in solution, in a smaller basis; published values: `SOURCES`.

    Glyme (DME) is measured as a mixture of conformers between 0 and 2 D, and has one here.
    """
    pytest.importorskip("pyscf")
    pytest.importorskip("tblite")
    engine = PySCFEngine(functional="pbe0", basis="def2-svp", grid_level=0)
    procedure = Procedure(
        solvent="acetone", conformers=1, geometry="xtb", thermal="none", temperature_k=298.15,
        max_steps=100, seed=0,
    )  # fmt: skip
    rows = []
    for solvent in SOLVENTS:
        if solvent.name == "FEC":
            continue
        place = tmp_path / solvent.name
        place.mkdir()
        states = States(Molecule.from_smiles(solvent.smiles), engine, place, procedure)
        neutral, cation = states.atoms(NEUTRAL), states.atoms(OXIDIZED)
        values: dict[str, float] = {}
        if solvent.name != "DME":
            values["dipole_moment"] = states.energy("vacuum", neutral).dipole
        if solvent.name != "EMC":
            ionized = states.energy("oxidized", cation, solvated=True).energy_ev
            solvated = states.energy("solvated", neutral, solvated=True).energy_ev
            values["oxidation_potential"] = ionized - solvated - ABSOLUTE_LITHIUM_V
        rows.append({"values": values, "published": solvent.published})
    for name in ("dipole_moment", "oxidation_potential"):
        found = compared(rows, name)
        assert found["solvents"] == 6
        assert found["ordered"] == found["pairs"] >= 8, (name, rows)
