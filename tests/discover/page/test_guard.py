"""Who is let in, and what a request that changes something needs."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

TOKEN = "a token for tests alone"
BEARER = {"authorization": f"Bearer {TOKEN}"}
STOP = "/api/campaigns/made-up/stop"
PAGES = ["/", "/docs", "/campaigns/made-up", "/campaigns/made-up/jobs/failed-job"]
CALLS = ["/api/campaigns", "/api/openapi.json", "/api/session", "/api/no-such-thing"]


@pytest.mark.parametrize("address", PAGES)
def test_pages_lead_to_the_login(address: str, with_token: TestClient) -> None:
    answer = with_token.get(address, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={address}"


@pytest.mark.parametrize("address", CALLS)
def test_calls_without_the_token_are_refused(address: str, with_token: TestClient) -> None:
    client = with_token
    assert client.get(address).status_code == 401
    wrong = client.get(address, headers={"authorization": "Bearer no token of ours"})
    assert wrong.status_code == 401
    assert wrong.headers["www-authenticate"] == "Bearer"
    assert client.post(STOP, json={}, headers={"x-discover-csrf": "x"}).status_code == 401


def test_the_token_opens_the_api_without_csrf(with_token: TestClient) -> None:
    client = with_token
    assert client.get("/api/campaigns", headers=BEARER).status_code == 200
    assert client.post(STOP, json={}, headers=BEARER).status_code == 409  # it does not run


def test_signing_in_gives_a_cookie_that_needs_the_csrf_token_to_change_something(
    with_token: TestClient,
) -> None:
    client = with_token
    wrong = client.post("/login", data={"token": "no token of ours"})
    assert wrong.status_code == 401
    assert "This is not the token" in wrong.text
    right = client.post(
        "/login", data={"token": TOKEN, "next": "/campaigns/made-up"}, follow_redirects=False
    )
    assert (right.status_code, right.headers["location"]) == (303, "/campaigns/made-up")
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/campaigns/made-up").status_code == 200
    assert client.post(STOP, json={}).status_code == 403
    csrf = client.get("/api/session").json()["csrf"]
    assert client.post(STOP, json={}, headers={"x-discover-csrf": csrf}).status_code == 409
    cross = {"x-discover-csrf": csrf, "sec-fetch-site": "cross-site"}
    assert client.post(STOP, json={}, headers=cross).status_code == 403
    assert client.post("/logout", headers={"x-discover-csrf": csrf}).status_code == 204
    assert client.get("/api/campaigns").status_code == 401


@pytest.mark.parametrize(
    "wanted", ["https://evil.org", "//evil.org", "/\\evil.org", "evil", "/a\nb", ""]
)
def test_a_login_leads_nowhere_else(wanted: str, with_token: TestClient) -> None:
    answer = with_token.post(
        "/login", data={"token": TOKEN, "next": wanted}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"


def test_a_long_form_is_not_read(with_token: TestClient) -> None:
    assert with_token.post("/login", data={"token": "x" * 10**6}).status_code == 401


def test_without_a_token_a_foreign_name_is_refused(client: TestClient) -> None:
    answer = client.get("/api/campaigns", headers={"host": "evil.org:4280"})
    assert answer.status_code == 421


def test_without_a_token_buttons_still_need_the_csrf_token(client: TestClient) -> None:
    assert client.post(STOP, json={}, headers={"x-discover-csrf": ""}).status_code == 403
    assert client.post(STOP, json={}).status_code == 409


def test_files_for_the_login_page_need_no_token_and_are_kept(with_token: TestClient) -> None:
    client = with_token
    for address in ("/login", "/static/page.css?v=1", "/health"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "immutable" in client.get("/static/page.css?v=1").headers["cache-control"]
    assert client.get("/static/%2e%2e/access.py").status_code == 404


def test_other_sites_may_not_read_answers(client: TestClient) -> None:
    answer: Any = client.get("/api/session", headers={"origin": "https://evil.org"})
    assert "access-control-allow-origin" not in answer.headers
