"""Templates: Jinja2 with the report's way of writing formulas, values and times."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from discover.page.assets import PLOTLY_ADDRESS, plotly_version
from discover.page.catalogue import OpenCampaign
from discover.records import Candidate
from discover.report import notation
from discover.report.canvas import PALETTE
from discover.report.drawings import element_colours, structure_svg
from discover.report.figures import inside_interval
from discover.report.structures import ElementColour
from discover.results import RELATIONS, ResultRow
from discover.structures.structure import Structure

STATIC = Path(__file__).parent / "static"


class Templates:
    """Renders the templates beside this module; `always` is known to all of them."""

    def __init__(self, always: Mapping[str, Any]) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            formula=notation.formula_html,
            spacegroup=notation.spacegroup_html,
            number=notation.number_text,
            duration=notation.duration_text,
            moment=_moment,
            ago=_ago,
            size=_size,
            words=_words,
            relation=RELATIONS.__getitem__,
            segment=_segment,
        )
        self._environment.globals.update(
            always,
            asset=_asset,
            plotly=f"{PLOTLY_ADDRESS}?v={plotly_version()}",
            palette=PALETTE,
        )
        for name in self._environment.list_templates():
            self._environment.get_template(name)  # a fault is found now, and nobody waits later

    def render(self, template: str, content: Mapping[str, Any]) -> str:
        """The page as HTML."""
        return self._environment.get_template(template).render(content)

    def drawing(self, candidate: Candidate) -> str:
        """A small drawing of its structure."""
        return _svg(candidate.structure)

    def elements(self, candidate: Candidate) -> list[ElementColour]:
        """The legend of drawing and viewer."""
        return element_colours(candidate.structure)

    def drawn(self, campaign: OpenCampaign, rows: Sequence[ResultRow]) -> list[dict[str, Any]]:
        """For each row of the ranking: its drawing, elements, and places on a common scale in percent."""
        target = campaign.spec.target
        told = [
            (row.value, row.predicted_low, row.predicted_high) for row in campaign.findings.rows
        ]
        bounds = [target.to_model(value) for some in told for value in some if value is not None]
        low, high = min(bounds, default=0.0), max(bounds, default=1.0)

        def place(value: float | None) -> float | None:
            if value is None:
                return None
            share = (target.to_model(value) - low) / ((high - low) or 1.0)
            return round(100 * min(max(share, 0.0), 1.0), 1)

        drawn = []
        for row in rows:
            candidate = campaign.store.candidate(row.candidate)
            drawn.append(
                {
                    "svg": self.drawing(candidate),
                    "elements": element_colours(candidate.structure),
                    "place": place,
                    "inside": row.predicted is None or inside_interval(row),
                }
            )
        return drawn


@lru_cache(maxsize=2000)
def _svg(structure: Structure) -> str:
    return structure_svg(structure)


@lru_cache
def _asset(name: str) -> str:
    """Address of a file of ours, with its content's hash, so that browsers may keep it for ever."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _ago(seconds: float) -> str:
    return f"{notation.duration_text(max(0.0, time.time() - seconds))} ago"


def _size(n_bytes: int) -> str:
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes = n_bytes / 1000  # type: ignore[assignment]
    return f"{n_bytes:.3g} GB"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _segment(text: str) -> str:
    """An id as one segment of an address."""
    return quote(text, safe="")
