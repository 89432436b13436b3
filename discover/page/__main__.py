"""`python -m discover.page`: serve the page until this process is ended."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from discover.errors import MissingDependencyError, ServerError
from discover.page.access import TOKEN, Access, is_loopback, known_token

HOST = "127.0.0.1"
PORT = 4280


def main() -> None:
    """Serve the campaigns named on the command line and those in the service's home."""
    parser = argparse.ArgumentParser(prog="python -m discover.page")
    parser.add_argument("folders", nargs="*", type=Path, help="campaigns, or folders of campaigns")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=PORT)
    given = parser.parse_args()
    serve(given.folders, given.host, given.port)


def serve(folders: list[Path], host: str, port: int) -> None:
    """Serve until ended; beyond loopback only with a token.

    ServerError where the token is missing or unsafe, MissingDependencyError where the extra is.
    """
    remote = not is_loopback(host)
    token = known_token() if remote or TOKEN in os.environ else None
    if remote and token is None:
        raise ServerError(
            f"the page would listen on {host} for everybody: set {TOKEN}, or start it with "
            "`discover up --host`, which makes a token"
        )
    try:
        import scipy.stats  # noqa: F401 - so that the first view does not wait for it
        import uvicorn

        from discover.page.app import make_app
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the page needs {error.name!r}: pip install 'discover-materials[page]'"
        ) from error
    app = make_app(
        folders,
        Access(token) if token else None,
        remote=remote,
        prefect_url=os.environ.get("PREFECT_API_URL"),
    )
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
