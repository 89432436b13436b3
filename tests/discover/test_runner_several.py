"""A campaign of several objectives, end to end: real jobs, store, models and dispatcher.

Two objectives and a constraint from one equation of state with the embedded-atom potential; and the same
with a cheap guess of one of the objectives, which is asked for before the equation of state.
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
from discover.outcomes import outcomes
from discover.preflight import check_file
from discover.records import Calculation
from discover.results import ranking, status
from discover.runner import CampaignRunner, run_campaign

GUESS = '''
"""A cheap kind of calculation: light crystals are said to be stiff."""

from discover.calculations.base import Outcome, Value


class Guess:
    name = "guess"
    properties = ("gruneisen_parameter",)

    def run(self, crystal, engine, directory):
        from ase.data import atomic_masses

        mass = sum(atomic_masses[n] for n in crystal.numbers) / len(crystal.numbers)
        return Outcome((Value(property="gruneisen_parameter", value=mass / 40.0, unit="1"),))
'''
EMT = {"engine": "potential", "engine_settings": {"potential": "emt"}}
OBJECTIVES = [
    {"property": "bulk_modulus", "goal": "max", "reference": 50},
    {"property": "gruneisen_parameter", "goal": "min", "reference": 3.5},
]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def change(folder: Path, **sections: Any) -> None:
    file = folder / "campaign.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | sections))


def problems_of(folder: Path) -> str:
    return "\n".join(check_file(folder / "campaign.yaml")[1])


@pytest.fixture
def several(quick_campaign: Path) -> Path:
    change(
        quick_campaign,
        objectives=OBJECTIVES,
        constraints=[{"property": "debye_temperature", "above": 480}],
        acquisition={"name": "qlognehvi", "options": {"samples": 16}},
        budget={"calculations": 5, "failures_in_a_row": 50},
    )
    return quick_campaign


def picks(folder: Path) -> list[Calculation]:
    campaign = CampaignFolder.at(folder)
    with closing(campaign.open_store(campaign.load())) as store:
        return store.calculations()


def test_a_front_is_found_and_a_killed_campaign_picks_the_same(
    several: Path, tmp_path: Path
) -> None:
    import shutil

    twin = shutil.copytree(several, tmp_path / "twin")
    run_campaign(CampaignFolder.at(several), lambda _: None)
    undisturbed = picks(several)
    assert [c.picked_by for c in undisturbed] == ["initial"] * 3 + ["qlognehvi"] * 2
    last = undisturbed[-1].prediction
    assert last is not None
    assert set(last.others) == {"gruneisen_parameter", "debye_temperature"}

    class KilledRunner(CampaignRunner):
        def _submit(self, chosen: Any) -> Any:
            if len(self.store.calculations()) == 4:
                raise Killed
            return super()._submit(chosen)

    with pytest.raises(Killed):
        run_campaign(CampaignFolder.at(twin), lambda _: None, KilledRunner)
    run_campaign(CampaignFolder.at(twin), lambda _: None)
    assert [c.id for c in picks(twin)] == [c.id for c in undisturbed]

    campaign = CampaignFolder.at(several)
    spec = campaign.load()
    with closing(campaign.open_store(spec)) as store:
        found = outcomes(store, spec)
        standing = status(store, spec, 0.0, steered=False).tradeoff
        best = ranking(store, spec)[0]
        card = store.model_cards()[-1]
    assert standing is not None
    assert len(found) == standing.complete == 5
    assert found[0].standing == "front"
    assert best.candidate == found[0].candidate
    for one in found:
        assert (one.values["debye_temperature"] > 480) is (one.standing != "infeasible")
        assert bool(one.violated) is (one.standing == "infeasible")
    volumes = standing.hypervolume_over_time
    assert list(volumes) == sorted(volumes)
    assert standing.hypervolume == volumes[-1]
    assert {"mae", "bulk_modulus.mae", "debye_temperature.mae"} <= set(card.metrics)
    names = {path.stem for path in (several / "report").glob("*.png")}
    assert {"front", "parallel", "hypervolume"} <= names
    assert "The trade-off" in (several / "report" / "index.html").read_text()


def test_a_cheap_property_is_asked_for_before_a_dear_one(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (several / "guess.py").write_text(GUESS)
    change(
        several,
        initial=2,
        calculations=[
            {"name": "guess", "kind": "guess.py:Guess", "cost_core_seconds": 0.01, **EMT}
        ],
        calculation={"kind": "agl", "cost_core_seconds": 100.0, **EMT},
        budget={"calculations": 7, "failures_in_a_row": 50},
    )
    # as if the measured times were those of the file
    monkeypatch.setattr("discover.picking.rung_costs", lambda *_: [1.0, 100.0])
    run_campaign(CampaignFolder.at(several), lambda _: None)
    done = picks(several)
    assert [c.fidelity for c in done[:4]] == ["guess", "agl/potential"] * 2  # all of the first two
    later = Counter(c.fidelity for c in done[4:])
    assert later["guess"] > later["agl/potential"]
    campaign = CampaignFolder.at(several)
    spec = campaign.load()
    with closing(campaign.open_store(spec)) as store:
        found = outcomes(store, spec)
        rungs = status(store, spec, 0.0, steered=False).rungs
    assert {rung.fidelity for rung in rungs} == {"guess", "agl/potential"}
    assert any(one.standing == "incomplete" for one in found)
    assert all("gruneisen_parameter" in one.values for one in found)


def test_one_objective_under_a_constraint(several: Path) -> None:
    change(
        several,
        objectives=OBJECTIVES[:1],
        acquisition={"name": "logei"},
        budget={"calculations": 4, "failures_in_a_row": 50},
    )
    run_campaign(CampaignFolder.at(several), lambda _: None)
    assert picks(several)[-1].picked_by == "logei"
    campaign = CampaignFolder.at(several)
    spec = campaign.load()
    with closing(campaign.open_store(spec)) as store:
        rows, found = ranking(store, spec), {o.candidate: o for o in outcomes(store, spec)}
    order = [found[row.candidate].standing == "infeasible" for row in rows]
    assert order == sorted(order)  # what misses the constraint is ranked last


def test_what_no_calculation_gives_is_told_early_all_at_once(several: Path) -> None:
    change(
        several,
        objectives=[*OBJECTIVES, {"property": "dipole_moment", "reference": 1}],
        constraints=[{"property": "oxidation_potential", "above": 4.5}],
        learn=["density"],
        surrogate={"name": "multitask"},
        acquisition={"name": "logei", "options": {"property": "density"}},
    )
    told = problems_of(several)
    assert "surrogate.options.outputs: set it to all: there are 5 properties" in told
    assert "options.property: 'density' is not an objective" in told
    change(several, surrogate={"name": "gp"}, acquisition={"name": "qlognehvi"})
    told = problems_of(several)
    assert "objectives.2.property: no calculation of this campaign gives 'dipole_moment'" in told
    assert "constraints.0.property: no calculation of this campaign gives" in told
    assert "learn.0: no calculation of this campaign gives 'density'" in told
    with pytest.raises(CampaignError, match="dipole_moment"):
        run_campaign(CampaignFolder.at(several), lambda _: None)


def test_what_cannot_be_traded_off_is_told(several: Path) -> None:
    change(several, objectives=OBJECTIVES[:1])
    assert "trades off several objectives, and here there is one" in problems_of(several)
    change(several, objectives=OBJECTIVES, ladder=[{"kind": "agl", "name": "low", **EMT}])
    change(several, surrogate={"name": "multi-fidelity"})
    assert "ladder: takes one objective and no constraints" in problems_of(several)
    change(several, calculations=[{"kind": "agl", "name": "low", **EMT}])
    assert "calculations: a campaign has a ladder or several calculations" in problems_of(several)
