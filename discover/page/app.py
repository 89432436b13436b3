"""The application: pages for people, the JSON API behind them, and the files they need."""

# No postponed annotations here: FastAPI reads them from functions that are made inside another.
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import discover
from discover.errors import DiscoverError
from discover.page.access import Access
from discover.page.api import make_api, status_of
from discover.page.assets import PLOTLY_ADDRESS, plotly_file
from discover.page.catalogue import Catalogue
from discover.page.guard import Guard
from discover.page.html import Pages
from discover.page.login import make_login
from discover.page.orders import Launcher

STATIC = Path(__file__).parent / "static"
FOR_EVER = "public, max-age=31536000, immutable"
"""For files whose address has their version in it."""


def make_app(
    folders: Sequence[Path] = (),
    access: Access | None = None,
    *,
    remote: bool = False,
    prefect_url: str | None = None,
) -> FastAPI:
    """The page over the campaigns in the service's home and in `folders`.

    `remote` says that other machines can reach it, `prefect_url` where resumed campaigns are shown.
    """
    access = access or Access()
    catalogue = Catalogue(folders)
    launcher = Launcher(remote=remote, prefect_url=prefect_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        catalogue.close()

    app = FastAPI(
        title="discover",
        summary="Campaigns that discover extreme materials.",
        version=discover.__version__,
        docs_url=None,  # they would be fetched from elsewhere; /docs is ours
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    pages = Pages(catalogue, launcher, access, prefect_url)

    @app.exception_handler(DiscoverError)
    def refused(request: Request, error: DiscoverError) -> Response:
        return pages.problem(request, status_of(error), str(error))

    @app.exception_handler(OSError)
    def not_written(request: Request, error: OSError) -> Response:
        where = error.filename or "a file"
        return pages.problem(request, 503, f"{where}: {error.strerror or error}")

    @app.exception_handler(HTTPException)
    def not_found(request: Request, error: HTTPException) -> Response:
        answer = pages.problem(request, error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        return JSONResponse({"detail": told}, 422)

    @app.middleware("http")
    async def say_how_long_to_keep(
        request: Request, serve: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        answer = await serve(request)
        versioned = request.url.path.startswith("/static/") and "v" in request.query_params
        answer.headers.setdefault("cache-control", FOR_EVER if versioned else "no-cache")
        return answer

    @app.get("/health", include_in_schema=False)
    def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get(PLOTLY_ADDRESS, include_in_schema=False)
    def plotly() -> Response:
        return plotly_file()

    app.include_router(make_api(catalogue, launcher, access))
    app.include_router(make_login(access, pages))
    app.include_router(pages.router(), default_response_class=HTMLResponse)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Guard, access=access)
    return app
