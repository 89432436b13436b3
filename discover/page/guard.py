"""What every request passes before it is served: host, token or session, and the CSRF token."""

from __future__ import annotations

import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from discover.page.access import COOKIE, CSRF_HEADER, Access

OPEN_PATHS = frozenset({"/login", "/health"})
OPEN_PREFIX = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
        "script-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Sent with every answer: only our own scripts run, and nobody frames the page."""


class Guard:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name.encode() not in present
                    ),
                ]
            await send(message)

        refused = self._refusal(Request(scope))
        await (refused or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        access, path = self._access, request.url.path
        if not access.knows_host(request.headers.get("host", "")):
            return _problem(421, "this page is served under localhost and 127.0.0.1 only")
        bearer = access.is_bearer(request.headers.get("authorization"))
        is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIX)
        session = access.is_session(request.cookies.get(COOKIE), time.time())
        if access.token is not None and not (bearer or is_open or session):
            if path.startswith("/api/") or request.method not in SAFE_METHODS:
                return _problem(
                    401,
                    "send the token as `Authorization: Bearer TOKEN`, or sign in",
                    {"www-authenticate": "Bearer"},
                )
            return RedirectResponse(f"/login?next={quote(path)}", status_code=303)
        if request.method in SAFE_METHODS or bearer or path in OPEN_PATHS:
            return None
        same_site = request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
        if not same_site or not access.is_csrf(request.headers.get(CSRF_HEADER)):
            return _problem(
                403,
                f"requests that change something need the header {CSRF_HEADER} of this page "
                "(GET /api/session tells it), or the token as `Authorization: Bearer TOKEN`",
            )
        return None


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)
