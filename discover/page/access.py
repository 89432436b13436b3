"""Who may see the page and press its buttons: a token, a session cookie made from it, a CSRF token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from discover.errors import ServerError
from discover.home import home

TOKEN = "DISCOVER_TOKEN"  # noqa: S105 - the name of a variable
MIN_CHARACTERS = 16
COOKIE = "discover_session"
CSRF_HEADER = "x-discover-csrf"
SESSION_SECONDS = 30 * 24 * 3600.0
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine can reach what listens on this address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def token_file() -> Path:
    """Where a generated token is kept, readable by its owner alone."""
    return home() / "token"


def known_token() -> str | None:
    """The token of `DISCOVER_TOKEN`, or the one that was generated before; None where there is none.

    ServerError where it is too short to be safe, or others may read its file.
    """
    token = os.environ.get(TOKEN)
    if token is not None:
        return _checked(token.strip(), TOKEN)
    path = token_file()
    try:
        with path.open(encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ServerError(
                    f"{path} can be read by others: delete it (a new token is made), or chmod 600 it"
                )
            return _checked(file.read().strip(), str(path))
    except FileNotFoundError:
        return None


def ensure_token() -> str:
    """The token that there is, or a new one, kept in `token_file` with mode 600."""
    token = known_token()
    if token is not None:
        return token
    home().mkdir(parents=True, exist_ok=True)
    new = secrets.token_urlsafe(32)
    try:
        descriptor = os.open(token_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # somebody else made one just now
        return ensure_token()
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{new}\n")
    return new


def prefect_auth(token: str) -> str:
    """User and password of Prefect's own basic authentication."""
    return f"discover:{token}"


@dataclass(frozen=True)
class Access:
    """What is asked of a request. Without a token everybody who reaches the page is let in.

    Sessions are `expiry.signature` with HMAC-SHA256 keyed by the token, so that they outlive a restart
    and end when the token is changed; everything is compared in constant time.
    """

    token: str | None = None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return self.token is not None and _equal(given, self.token)

    def is_bearer(self, authorization: str | None) -> bool:
        """Whether an `Authorization` header carries the token."""
        kind, _, given = (authorization or "").partition(" ")
        return kind.lower() == "bearer" and self.is_token(given.strip())

    def new_session(self, now: float) -> str:
        """Value of the cookie that a login sets."""
        expiry = f"{now + SESSION_SECONDS:.0f}"
        return f"{expiry}.{self._sign('session', expiry)}"

    def is_session(self, cookie: str | None, now: float) -> bool:
        """Whether a cookie is a session that has not expired."""
        expiry, _, signature = (cookie or "").partition(".")
        signed = _equal(signature, self._sign("session", expiry))
        return signed and expiry.isdecimal() and now < int(expiry)

    @property
    def csrf(self) -> str:
        """What a button sends along, which another site cannot read."""
        return self._sign("csrf", "")

    def is_csrf(self, given: str | None) -> bool:
        """Whether a request comes from a page of ours."""
        return _equal(given or "", self.csrf)

    def knows_host(self, host_header: str) -> bool:
        """Whether a page without a token is asked under a name of this machine (DNS rebinding)."""
        name = host_header.rpartition(":")[0] if not host_header.endswith("]") else host_header
        if not host_header.rpartition(":")[2].isdecimal():
            name = host_header
        return self.token is not None or name.strip("[]").lower() in LOOPBACK_NAMES

    def _sign(self, purpose: str, content: str) -> str:
        key = self.token.encode() if self.token is not None else self.secret
        return hmac.new(key, f"discover {purpose} {content}".encode(), hashlib.sha256).hexdigest()


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _checked(token: str, source: str) -> str:
    if len(token) < MIN_CHARACTERS or not token.isascii() or not token.isprintable():
        raise ServerError(
            f"{source}: a token needs at least {MIN_CHARACTERS} printable ASCII characters; "
            'make one with `python -c "import secrets; print(secrets.token_urlsafe(32))"`'
        )
    return token
