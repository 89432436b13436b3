"""The pages are made without scripts: what they say, and that they ask nothing of other machines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from discover.folder import CampaignFolder
from discover.page.app import make_app

HERE = "/campaigns/made-up"
PAGES = (
    "/",
    "/docs",
    HERE,
    f"{HERE}/ranking",
    f"{HERE}/models",
    f"{HERE}/candidates",
    f"{HERE}/candidates?state=rejected",
    f"{HERE}/candidates/0000000000000007",
    f"{HERE}/jobs",
    f"{HERE}/jobs?state=failed",
    f"{HERE}/jobs/failed-job",
    f"{HERE}/labels",
    f"{HERE}/settings",
    "/campaigns/absent",
)


def test_every_page_is_made_and_everything_it_asks_for_is_here(client: TestClient) -> None:
    asked: set[str] = set()
    for address in PAGES:
        answer = client.get(address)
        assert answer.status_code == (404 if "absent" in address else 200), address
        assert answer.headers["content-type"].startswith("text/html")
        found = re.findall(r'(?:src|href)="([^"#?][^"#]*)"', answer.text)
        assert all(one.startswith("/") and not one.startswith("//") for one in found), address
        asked |= {one for one in found if "/files/" not in one}
    missing = [
        one for one in sorted(asked) if client.get(one.replace("&amp;", "&")).status_code != 200
    ]
    assert missing == []


def test_what_a_campaign_says_is_never_markup(client: TestClient) -> None:
    text = client.get(f"{HERE}/jobs").text
    assert "&lt;out of&gt; memory" in text
    assert "<out of>" not in text


def test_no_script_stands_in_a_page(client: TestClient) -> None:
    for address in PAGES:
        text = client.get(address).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=", text), address


def test_credentials_of_a_store_are_not_shown(folder: Path) -> None:
    spec = folder / "campaign.yaml"
    spec.write_text(spec.read_text() + "\n# mongodb://me:secret@host/database\n")
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    text = client.get(f"{HERE}/settings").text
    assert "mongodb://***@host/database" in text
    assert "secret" not in text


def test_a_campaign_without_results_has_every_page(tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text("name: new\nobjective: {goal: extremes}\n")
    client = TestClient(make_app([tmp_path]), base_url="http://127.0.0.1")
    (name,) = (one["name"] for one in client.get("/api/campaigns").json())
    for tab in ("", "/ranking", "/models", "/candidates", "/jobs", "/labels", "/settings"):
        assert client.get(f"/campaigns/{name}{tab}").status_code == 200, tab
    for what in ("search", "predictions", "map", "models", "ranking"):
        assert client.get(f"/api/campaigns/{name}/{what}").status_code == 200, what


@pytest.mark.parametrize("goal", ["min", "extremes"])
def test_other_goals(goal: str, folder: Path) -> None:
    spec = folder / "campaign.yaml"
    spec.write_text(spec.read_text().replace("goal: max", f"goal: {goal}"))
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    text = client.get(HERE).text
    assert ("Lowest" in text) is (goal == "extremes")


def test_whom_auto_believes_stands_among_the_models(folder: Path) -> None:
    place = CampaignFolder.at(folder)
    store = place.open_existing_store(place.load())
    splits = ("group", "property-top", "property-bottom", "cluster")
    judged = {
        "crps": {"gp": dict.fromkeys(splits, 0.2), "ilr": dict.fromkeys(splits, 0.1)},
        "weights": {key: {"gp": 0.25, "ilr": 0.75} for key in ("inside", "edge", "novel")},
        "decided_on": 20,
    }
    before = TestClient(make_app([folder]), base_url="http://127.0.0.1").get(f"{HERE}/models").text
    assert (
        'id="believed" data-live hidden' in before
    )  # a page that is open gets it when it is there
    last = store.model_cards()[-1]
    update = {"id": "by-auto", "created_at": 1e10, "details": {"judged": judged}}
    store.add_model_card(last.model_copy(update=update))
    store.close()
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    text = client.get(f"{HERE}/models").text
    assert "75 %</text>" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert sorted(ids) == sorted(set(ids))
