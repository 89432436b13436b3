"""A campaign with a ladder, end to end: real jobs, store, models and dispatcher.

The cheap rung is a guess from the masses, the dear one the equation of state with the embedded-atom
potential; the guess finds compounds of nickel to be dynamically unstable.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.errors import CampaignError
from discover.folder import CampaignFolder
from discover.records import Calculation, CalculationState
from discover.report.page import markdown_report, write_report
from discover.results import preliminary, ranking, status, unstable_candidates
from discover.runner import CampaignRunner, run_campaign
from discover.steering import Stop
from discover.store.sqlite import SQLiteStore

GUESS = '''
"""A cheap kind of calculation: light crystals conduct well, and nickel makes them unstable."""

from discover.calculations.base import Outcome, Value


class Guess:
    name = "guess"
    properties = ("thermal_conductivity",)

    def run(self, crystal, engine, directory):
        from ase.data import atomic_masses

        if 28 in crystal.numbers:
            return Outcome((Value(property="minimum_frequency", value=-2.5, unit="THz"),))
        mass = sum(atomic_masses[n] for n in crystal.numbers) / len(crystal.numbers)
        value = Value(property="thermal_conductivity", value=1000.0 / mass, unit="W/m/K")
        return Outcome((value,))
'''
LOWER, TARGET = "guess", "agl/potential"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture
def ladder_campaign(quick_campaign: Path) -> Path:
    (quick_campaign / "guess.py").write_text(GUESS)
    change(
        quick_campaign,
        name="ladder",
        initial=2,
        surrogate={"name": "multi-fidelity"},
        generator={
            "name": "prototypes",
            "options": {
                "prototypes": ["rocksalt", "zincblende", "CsCl"],
                "elements": ["Ni", "Cu", "Pd", "Ag", "O", "N"],
            },
        },
        ladder=[
            {
                "name": LOWER,
                "kind": "guess.py:Guess",
                "engine": "potential",
                "engine_settings": {"potential": "emt"},
            }
        ],
        budget={"calculations": 12, "failures_in_a_row": 50},
    )
    return quick_campaign


def change(folder: Path, **sections: Any) -> None:
    file = folder / "campaign.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | sections))


def run(folder: Path) -> tuple[Stop, list[str]]:
    told: list[str] = []
    stop = run_campaign(CampaignFolder.at(folder), told.append, CampaignRunner)
    return stop, told


def calculations(folder: Path) -> list[Calculation]:
    campaign = CampaignFolder.at(folder)
    with closing(campaign.open_store(campaign.load())) as store:
        return store.calculations()


def test_a_ladder_from_end_to_end(ladder_campaign: Path) -> None:
    stop, told = run(ladder_campaign)
    assert stop == Stop("budget: 12 calculations")
    made = calculations(ladder_campaign)
    first = [(c.candidate, c.fidelity) for c in made if c.picked_by == "initial"]
    climbed = [candidate for candidate, fidelity in first if fidelity == TARGET]
    assert len(climbed) >= 2
    for candidate in climbed:
        assert first.index((candidate, LOWER)) == first.index((candidate, TARGET)) - 1
    picked = Counter((c.candidate, c.fidelity) for c in made)
    assert set(picked.values()) == {1}
    fidelities = Counter(c.fidelity for c in made)
    assert fidelities[LOWER] > fidelities[TARGET] > 0  # a guess costs next to nothing
    assert any(f"W/m/K at {LOWER}" in line for line in told)
    assert any("started at agl/potential, expecting" in line for line in told)

    folder = CampaignFolder.at(ladder_campaign)
    spec = folder.load()
    with closing(folder.open_store(spec)) as store:
        rows = ranking(store, spec)
        assert {row.fidelity for row in rows} == {TARGET}
        assert len(rows) == fidelities[TARGET]
        below, soft = preliminary(store, spec), unstable_candidates(store, spec)
        assert len(below) + len(soft) + sum(LOWER in row.lower for row in rows) == fidelities[LOWER]
        assert {row.fidelity for row in soft} <= {LOWER}
        assert not {row.candidate for row in soft} & {row.candidate for row in rows}
        costs = [rung.core_seconds for rung in status(store, spec, 0.0, steered=False).rungs]
        assert costs[0] is not None
        assert costs[1] is not None
        assert costs[0] < costs[1]
        page = write_report(folder, spec, store).read_text(encoding="utf-8")
        short = markdown_report(folder, spec, store, 0.0)
    assert (folder.report / "ladder.png").exists()
    assert "The ladder" in page
    assert f"- {LOWER}: {fidelities[LOWER]} calculations" in short


def test_what_is_unstable_below_is_not_computed_dearly(ladder_campaign: Path) -> None:
    change(
        ladder_campaign,
        generator={
            "name": "prototypes",
            "options": {"prototypes": ["rocksalt", "CsCl"], "elements": ["Ni", "Cu", "O"]},
        },
        budget={"calculations": 8, "failures_in_a_row": 50},
    )
    _, told = run(ladder_campaign)
    assert any(line.endswith(f"dynamically unstable (-2.5 THz) at {LOWER}") for line in told)
    folder = CampaignFolder.at(ladder_campaign)
    with closing(folder.open_store(folder.load())) as store:
        dear = [c for c in store.calculations() if c.fidelity == TARGET]
        assert dear
        assert not any("Ni" in store.candidate(c.candidate).formula for c in dear)
        assert all(c.state is CalculationState.DONE for c in store.calculations())


@pytest.mark.parametrize(
    ("method", "turn"), [("add_calculation", 2), ("finish", 3), ("add_calculation", 6)]
)
def test_a_kill_loses_no_rung_and_doubles_none(
    method: str, turn: int, ladder_campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = getattr(SQLiteStore, method), turn

    def killed(self: SQLiteStore, *args: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        done = real(self, *args, **options)
        if not left:
            raise Killed
        return done

    change(ladder_campaign, budget={"calculations": 7, "failures_in_a_row": 50})
    with monkeypatch.context() as patch:
        patch.setattr(SQLiteStore, method, killed)
        with pytest.raises(Killed):
            run(ladder_campaign)
    before = [(c.candidate, c.fidelity) for c in calculations(ladder_campaign)]
    assert run(ladder_campaign)[0] == Stop("budget: 7 calculations")
    made = calculations(ladder_campaign)
    assert [(c.candidate, c.fidelity) for c in made][: len(before)] == before
    assert [c.order for c in made] == list(range(7))
    assert len({(c.candidate, c.fidelity) for c in made}) == 7
    assert all(c.state is CalculationState.DONE for c in made)


def test_the_ladder_cannot_be_changed_under_its_values(ladder_campaign: Path) -> None:
    change(ladder_campaign, budget={"calculations": 2, "failures_in_a_row": 50})
    run(ladder_campaign)
    rung = yaml.safe_load((ladder_campaign / "campaign.yaml").read_text())["ladder"][0]
    change(ladder_campaign, ladder=[rung | {"cost_core_seconds": 3.0}])
    run(ladder_campaign)  # what a rung is said to cost is no part of the data
    change(ladder_campaign, ladder=[rung | {"name": "hunch"}])
    with pytest.raises(CampaignError, match="ladder: cannot be changed once a campaign has begun"):
        run(ladder_campaign)
    change(ladder_campaign, ladder=[], surrogate={"name": "gp"})
    with pytest.raises(CampaignError, match="ladder: cannot be changed once a campaign has begun"):
        run(ladder_campaign)


def test_core_hours_end_a_campaign(ladder_campaign: Path) -> None:
    change(
        ladder_campaign,
        budget={"calculations": 50, "core_hours": 1e-6, "failures_in_a_row": 50},
    )
    stop, _ = run(ladder_campaign)
    assert stop.reason.endswith("core hours")
    assert len(calculations(ladder_campaign)) == 1
