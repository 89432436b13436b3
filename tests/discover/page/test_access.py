"""Tokens, sessions and CSRF tokens."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import ServerError
from discover.page.access import (
    SESSION_SECONDS,
    Access,
    ensure_token,
    is_loopback,
    known_token,
    token_file,
)

TOKEN = "a token for tests alone"
NOW = 1.8e9


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.7", False),
        ("localhost.evil.org", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_token_is_made_once_and_is_its_owners_alone(own_home: Path) -> None:
    assert known_token() is None
    token = ensure_token()
    assert len(token) >= 40
    assert ensure_token() == known_token() == token
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600


def test_a_token_that_others_can_read_is_refused(own_home: Path) -> None:
    ensure_token()
    token_file().chmod(0o644)
    with pytest.raises(ServerError, match="chmod 600"):
        known_token()


@pytest.mark.parametrize("token", ["", "short", "ünïcödé is not for headers", "x" * 15])
def test_an_unsafe_token_is_refused(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVER_TOKEN", token)
    with pytest.raises(ServerError, match="DISCOVER_TOKEN"):
        known_token()


def test_the_token_of_the_environment_wins(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_token()
    monkeypatch.setenv("DISCOVER_TOKEN", f" {TOKEN}\n")
    assert known_token() == ensure_token() == TOKEN


def test_a_session_lasts_and_expires_and_dies_with_its_token() -> None:
    access = Access(TOKEN)
    session = access.new_session(NOW)
    assert Access(TOKEN).is_session(session, NOW + SESSION_SECONDS - 2)
    assert not access.is_session(session, NOW + SESSION_SECONDS + 2)
    assert not Access("another token of tests").is_session(session, NOW)


@given(st.text(max_size=100))
def test_what_is_made_up_is_no_session_token_or_csrf(text: str) -> None:
    access = Access(TOKEN)
    assert not access.is_session(text, NOW)
    assert access.is_token(text) == (text == TOKEN)
    assert not access.is_csrf(text)
    assert not Access().is_token(text)


@given(st.integers(0, 10**12), st.integers(0, 200))
def test_a_changed_session_is_none(expiry: int, place: int) -> None:
    access = Access(TOKEN)
    session = access.new_session(NOW)
    _, _, signature = session.partition(".")
    assert not access.is_session(f"{expiry}.{signature}", 0.0) or session.startswith(f"{expiry}.")
    place %= len(session)
    changed = session[:place] + ("0" if session[place] != "0" else "1") + session[place + 1 :]
    assert not access.is_session(changed, NOW)


def test_bearers() -> None:
    access = Access(TOKEN)
    assert access.is_bearer(f"Bearer {TOKEN}")
    assert access.is_bearer(f"bearer  {TOKEN} ")
    for header in (None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
        assert not access.is_bearer(header)
    assert not Access().is_bearer("Bearer ")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:4280", True),
        ("localhost:4280", True),
        ("LOCALHOST", True),
        ("[::1]:4280", True),
        ("[::1]", True),
        ("evil.org", False),
        ("127.0.0.1.evil.org:4280", False),
        ("evil.org:127.0.0.1", False),
        ("", False),
    ],
)
def test_without_a_token_only_names_of_this_machine_are_served(host: str, expected: bool) -> None:
    assert Access().knows_host(host) is expected
    assert Access(TOKEN).knows_host(host)
