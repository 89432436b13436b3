"""A campaign of several objectives: what its calculations cannot give is told before they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.errors import CampaignError
from discover.folder import CampaignFolder
from discover.preflight import check_file
from discover.runner import run_campaign

EMT = {"engine": "potential", "engine_settings": {"potential": "emt"}}
OBJECTIVES = [
    {"property": "bulk_modulus", "goal": "max", "reference": 50},
    {"property": "gruneisen_parameter", "goal": "min", "reference": 3.5},
]


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
