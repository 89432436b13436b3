"""Several objectives and constraints on the page."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from discover.folder import CampaignFolder
from discover.page.app import make_app
from discover.page.catalogue import Catalogue, OpenCampaign
from discover.page.tradeoffs import tradeoff_answer


def test_axes_outcomes_and_growth(several: CampaignFolder) -> None:
    catalogue = Catalogue([several.root])
    told = tradeoff_answer(catalogue.open("several").findings)
    catalogue.close()
    assert [(one.property, one.goal, one.reference, one.below) for one in told.axes] == [
        ("thermal_conductivity", "max", 1.0, None),
        ("bulk_modulus", "min", 1000.0, None),
        ("debye_temperature", None, None, 900.0),
    ]
    assert [one.standing for one in told.outcomes] == ["front", "front", "feasible", "infeasible"]
    assert [point.feasible_share for point in told.growth] == [1.0, 1.0, 1.0, 0.75]
    last = told.growth[-1]
    assert [last.expected_low, last.expected, last.expected_high] == pytest.approx(
        [last.hypervolume] * 3
    )


def test_one_objective_has_no_tradeoff(campaign: OpenCampaign) -> None:
    told = tradeoff_answer(campaign.findings)
    assert (told.axes, told.outcomes, told.growth) == ((), (), ())


def test_the_overview_shows_it(several: CampaignFolder) -> None:
    client = TestClient(make_app([several.root]), base_url="http://127.0.0.1")
    text = client.get("/campaigns/several").text
    assert "misses debye temperature below 900 K" in text
    assert "lowest bulk modulus" in text
    assert 'data-chart="parallel"' in text
    told = client.get("/api/campaigns/several/tradeoff").json()
    assert len(told["outcomes"]) == 4
    assert client.get("/api/campaigns/several").json()["tradeoff"]["front"] == 2
