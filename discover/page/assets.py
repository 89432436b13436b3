"""Files that the page's scripts need: Plotly's from its installed package, the others beside the page."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

from fastapi.responses import FileResponse

from discover.errors import MissingDependencyError

PLOTLY_ADDRESS = "/static/plotly.min.js"


def plotly_path() -> Path:
    """Plotly's script inside its Python package; MissingDependencyError where that is not installed."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(
            "the page draws with Plotly, which is not installed: pip install 'discover-materials[page]'"
        )
    return Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"


def plotly_version() -> str:
    """Version of the installed Plotly package."""
    return importlib.metadata.version("plotly")


def plotly_file() -> FileResponse:
    """The script as an answer."""
    return FileResponse(plotly_path(), media_type="text/javascript")
