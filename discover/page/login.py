"""Signing in: the token for a cookie that scripts cannot read and other sites cannot send."""

# No postponed annotations here: FastAPI reads them from functions that are made inside another.
import asyncio
import time
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from discover.page.access import COOKIE, SESSION_SECONDS, Access
from discover.page.html import Pages

LARGEST_FORM_BYTES = 4096
WRONG_TOKEN_SECONDS = 0.5


def make_login(access: Access, pages: Pages) -> APIRouter:
    """The routes `/login` and `/logout`."""
    router = APIRouter(include_in_schema=False)

    @router.get("/login")
    def form(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name in the address
        return pages.login(request, _local(next), wrong=False)

    @router.post("/login")
    async def sign_in(request: Request) -> Response:
        fields = await _fields(request)
        wanted = _local(fields.get("next", "/"))
        if not access.is_token(fields.get("token", "").strip()):
            await asyncio.sleep(WRONG_TOKEN_SECONDS)
            return pages.login(request, wanted, wrong=True)
        answer = RedirectResponse(wanted, status_code=303)
        answer.set_cookie(
            COOKIE,
            access.new_session(time.time()),
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @router.post("/logout")
    def sign_out() -> Response:
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE)
        return answer

    return router


async def _fields(request: Request) -> dict[str, str]:
    """The fields of a small form."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_FORM_BYTES:
            return {}
    return {key: values[-1] for key, values in parse_qs(content.decode(errors="replace")).items()}


def _local(address: str) -> str:
    """An address on this page; the start for any other, so that nobody is sent elsewhere."""
    safe = (
        address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    )
    return address if safe else "/"
