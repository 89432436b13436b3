"""The JSON API: what it answers, and that nothing that is sent to it ends in a 500."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from discover.page.access import CSRF_HEADER, Access
from discover.page.app import make_app

JOB = "0000000000000003"
KNOWN = {"name": "made-up", "candidate": "0000000000000007", "job": JOB}
TOKEN = "a token for tests alone"
BEARER = {"authorization": f"Bearer {TOKEN}"}
HERE = "/api/campaigns/made-up"
EVERYTHING = (
    "",
    "/version",
    "/search",
    "/ranking",
    "/predictions",
    "/models",
    "/map",
    "/candidates",
    "/jobs",
    f"/jobs/{JOB}",
    "/quarantine",
)


def test_the_list(client: TestClient) -> None:
    (one,) = client.get("/api/campaigns").json()
    assert (one["name"], one["title"], one["state"]) == ("made-up", "large", "interrupted")
    assert (one["finished"], one["budget"], one["candidates"]) == (25, 74, 40)
    assert (one["failed"], one["unknown"]) == (1, 0)
    assert "1 failed" in client.get("/").text
    best = client.get(f"{HERE}/ranking").json()["rows"][0]["result"]
    assert one["best"]["value"] == best["value"]
    assert client.get("/api/version").json()["version"]


def test_a_campaign_that_cannot_be_read_is_listed_with_why(tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text("nmae: x")
    client = TestClient(make_app([tmp_path]), base_url="http://127.0.0.1")
    (one,) = client.get("/api/campaigns").json()
    assert "nmae" in one["problem"]
    assert client.get(f"/api/campaigns/{one['name']}").status_code == 409
    assert client.get(f"/campaigns/{one['name']}").status_code == 409
    assert "nmae" in client.get("/").text


@pytest.mark.parametrize("what", EVERYTHING)
def test_everything_is_answered(what: str, client: TestClient) -> None:
    assert client.get(HERE + what).status_code == 200


def test_a_candidate_with_its_way_from_generator_to_observation(client: TestClient) -> None:
    row = client.get(f"{HERE}/ranking").json()["rows"][0]["result"]
    address = f"{HERE}/candidates/{row['candidate']}"
    found = client.get(address).json()
    kinds = [step["kind"] for step in found["chain"]]
    assert kinds == ["generator", "job", "observation"]
    assert found["jobs"][0]["id"] == row["calculation"]
    assert found["labels"][0]["value"] == row["value"]
    assert len(client.get(f"{address}/shape").json()["atoms"]) == 27
    assert client.get(f"{address}/structure.cif").text.startswith("data_")
    assert client.get(f"{address}/structure.pdf").status_code == 422


def test_parts_of_lists(client: TestClient) -> None:
    ranking = client.get(f"{HERE}/ranking", params={"offset": 2, "limit": 3}).json()
    assert ranking["total"] == 23
    assert [row["result"]["rank"] for row in ranking["rows"]] == [3, 4, 5]
    rejected = client.get(f"{HERE}/candidates", params={"state": "rejected", "limit": 2}).json()
    assert rejected["total"] == 8
    assert [row["state"] for row in rejected["rows"]] == ["rejected"] * 2


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/campaigns/absent", 404),
        (f"{HERE}/candidates/absent", 404),
        (f"{HERE}/candidates/absent/shape", 404),
        (f"{HERE}/jobs/absent", 404),
        (f"{HERE}/jobs/{JOB}/files/absent", 404),
        (f"{HERE}/ranking?limit=100000", 422),
        (f"{HERE}/ranking?offset=-1", 422),
        (f"{HERE}/jobs?state=nonsense", 422),
        ("/api/nonsense", 404),
    ],
)
def test_what_is_not_there_is_told(address: str, status: int, client: TestClient) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_the_budget_is_raised_and_seen_at_once(folder: Path) -> None:
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    client.headers[CSRF_HEADER] = client.get("/api/session").json()["csrf"]
    before = client.get(HERE).json()
    answer = client.post(f"{HERE}/budget", json={"calculations": 80})
    assert answer.json() == {"told": "the budget is raised"}
    after = client.get(HERE).json()
    assert (before["budget"], after["budget"]) == (74, 80)
    assert before["version"] != after["version"]
    assert yaml.safe_load((folder / "campaign.yaml").read_text())["budget"]["calculations"] == 80
    assert client.post(f"{HERE}/budget", json={"calculations": 80}).status_code == 409
    for body in (
        '{"hours": NaN}',
        '{"hours": 1e999}',
        '{"calculations": "many"}',
        "nonsense",
        "[]",
    ):
        assert client.post(f"{HERE}/budget", content=body).status_code == 422


def test_an_order_needs_no_body_where_all_of_it_has_a_default(folder: Path) -> None:
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    client.headers[CSRF_HEADER] = client.get("/api/session").json()["csrf"]
    for body in (None, {}, {"now": True}):
        answer = client.post(f"{HERE}/stop", json=body)
        assert (answer.status_code, "is not running" in answer.text) == (409, True)


def test_labels_are_decided_on(folder: Path) -> None:
    client = TestClient(make_app([folder]), base_url="http://127.0.0.1")
    client.headers[CSRF_HEADER] = client.get("/api/session").json()["csrf"]
    (held,) = client.get(f"{HERE}/quarantine").json()
    address = f"{HERE}/labels/{held['id']}"
    assert client.post(address, json={"decision": "release"}).status_code == 200
    assert client.get(f"{HERE}/quarantine").json() == []
    assert client.get(f"{HERE}/ranking").json()["total"] == 24
    assert client.post(f"{HERE}/labels/x", json={"decision": "release"}).status_code == 404
    assert client.post(address, json={"decision": "delete"}).status_code == 422
    odd = '{"decision": "discard", "reason": "\\ud800"}'
    assert client.post(address, content=odd).status_code == 422
    assert client.post(f"{HERE}/labels/%00%ff", json={"decision": "release"}).status_code == 404


def test_nothing_that_is_sent_ends_in_a_500(folder: Path) -> None:
    app = make_app([folder], Access(TOKEN))  # the token lets orders in as well
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=BEARER)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    statuses = Counter(status for one in operations for status in fuzz(one))
    assert {200, 404, 409, 422} <= set(statuses)


def fuzz(operation: Any) -> list[int]:
    """The statuses of the answers to a few requests, some within the schema and some beside it."""
    statuses = []
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.query or operation.path_parameters:
        modes.append(GenerationMode.NEGATIVE)

    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.sampled_from(modes).flatmap(lambda m: operation.as_strategy(generation_mode=m)),
        real=st.booleans(),
    )
    def ask(case: Any, real: bool) -> None:
        if real and not case.path.endswith("/resume"):  # what that starts is tried in the browser
            case.path_parameters |= {k: v for k, v in KNOWN.items() if k in case.path_parameters}
        answer = case.call(headers=BEARER)
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])
        statuses.append(answer.status_code)

    ask()
    return statuses
