"""Hull and window with a real potential, from prototypes and from a file of references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from discover.calculations.engines.emt import EMTEngine
from discover.calculations.engines.potential import PotentialEngine
from discover.calculations.stability import FORCES, PhaseStability
from discover.errors import CalculationError, CampaignError
from discover.structures.crystal import Crystal
from generators import GeneratorContext
from generators.prototypes import PrototypeGenerator

ALLOY = bulk("Cu", cubic=True)
ALLOY.symbols = "AgAuCu2"


def prototype(elements: tuple[str, ...], name: str) -> Crystal:
    space = PrototypeGenerator(elements=elements, prototypes=(name,))
    everything = GeneratorContext(seed=0, position=0, known=frozenset())
    return space.propose(space.size(), everything).candidates[0].crystal


def test_lithium_chloride_among_its_prototypes(tmp_path: Path) -> None:
    engine = PotentialEngine(potential="chgnet")
    found = PhaseStability().run(prototype(("Li", "Cl"), "CsCl"), engine, tmp_path)
    values = {value.property: value.value for value in found.values}
    assert 0.1 < values["hull_distance"] < 0.4  # the CsCl structure is far above rock salt
    assert values["formation_energy"] < -1.5
    assert values["reduction_limit"] == pytest.approx(0.0, abs=0.01)
    # 0 to 4.21 V by density functional theory: Zhu, He, Mo, ACS Appl. Mater. Interfaces 7, 23685 (2015)
    assert values["oxidation_limit"] == pytest.approx(4.21, abs=0.15)
    assert set(found.details["decomposition"]) == {"LiCl"}  # type: ignore[arg-type]
    kept = (tmp_path / FORCES).stat().st_size
    again = PhaseStability().run(prototype(("Li", "Cl"), "CsCl"), engine, tmp_path)
    assert again.values == found.values
    assert (tmp_path / FORCES).stat().st_size == kept  # nothing was computed twice


def test_a_window_that_nothing_closes_is_a_bound(tmp_path: Path) -> None:
    crystal, places = Crystal.from_atoms(ALLOY), [tmp_path / "a", tmp_path / "b"]
    for place in places:
        place.mkdir()
    alone = PhaseStability(prototypes=False, working_ion="Ag").run(crystal, EMTEngine(), places[0])
    assert [value.bound for value in alone.values] == [None, None, None, "below"]
    assert any("no compound of Au, Cu without Ag competes" in told for told in alone.warnings)

    gold = bulk("CuAu", "cesiumchloride", a=3.0)
    write(tmp_path / "references.extxyz", [gold, bulk("Ni"), bulk("NiAu", "cesiumchloride", a=3.0)])
    informed = PhaseStability(
        references=(str(tmp_path / "references.extxyz"),), prototypes=False, working_ion="Ag"
    ).run(crystal, EMTEngine(), places[1])
    phases: Any = informed.details["phases"]
    assert [one["formula"] for one in phases if one["origin"] == "references.extxyz"] == ["CuAu"]
    assert informed.values[3].bound is None
    assert informed.values[0].value >= alone.values[0].value
    assert not informed.warnings


def test_references_are_read_before_anything_is_computed(tmp_path: Path) -> None:
    missing = PhaseStability(references=(str(tmp_path / "nowhere.cif"),))
    with pytest.raises(CampaignError, match=r"nowhere\.cif"):
        missing.run(Crystal.from_atoms(ALLOY), EMTEngine(), tmp_path)
    assert not (tmp_path / FORCES).exists()

    folder = tmp_path / "phases"
    folder.mkdir()
    write(folder / "CuAu.cif", bulk("CuAu", "cesiumchloride", a=3.0))
    write(folder / "Au.cif", bulk("Au", a=4.2))
    (folder / "broken.cif").write_text("no crystal")
    told = PhaseStability(references=(str(folder),)).run(
        Crystal.from_atoms(ALLOY), EMTEngine(), tmp_path
    )
    phases: Any = told.details["phases"]
    of_file = [one["formula"] for one in phases if one["origin"] == "phases"]
    assert sorted(of_file) == ["Au", "CuAu"]
    assert any(text.startswith("left out the reference broken.cif") for text in told.warnings)
    assert any(text.startswith("no prototype competes") for text in told.warnings)


def test_what_cannot_be_computed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalculationError, match="does not know Cl, Li"):
        PhaseStability().run(prototype(("Li", "Cl"), "rocksalt"), EMTEngine(), tmp_path)
