"""One look for every figure: palette, axes, and their way out as PNG or as SVG inside a page."""

from __future__ import annotations

import io
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = {
    "surface": "#ffffff",
    "ink": "#1b2530",
    "muted": "#5f6b7a",
    "line": "#d5dbe1",
    "band": "#7f8c9b",
    "model": "#0072b2",
    "initial": "#e69f00",
    "second": "#009e73",
    "miss": "#d55e00",
}
"""Colours by role: Okabe and Ito's colour-blind safe set (jfly.uni-koeln.de/color) and greys.

In a page they become the CSS variables `--surface`, `--ink`, ..., so that figures follow its theme.
"""

FONT_POINTS = 9.0
TIP = "tip:"
"""An artist's URL that begins so becomes its tooltip in a page."""

_PNG_DPI = 160


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """An empty figure that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def styled(axes: Axes) -> Axes:
    """The axes with thin lines behind the data and nothing else that is not data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALETTE["line"])
    axes.tick_params(
        which="both", color=PALETTE["line"], labelcolor=PALETTE["muted"], labelsize=FONT_POINTS
    )
    axes.grid(color=PALETTE["line"], linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=PALETTE["ink"], fontsize=FONT_POINTS)
    return axes


def literal(text: str, columns: int | None = None) -> str:
    """A user's words in a figure: no dollar sign begins a formula, no line is longer than `columns`."""
    lines = textwrap.wrap(text, columns) if columns else [text]
    return "\n".join(lines).replace("$", r"\$")


def legend_above(axes: Axes, columns: int) -> None:
    """The legend as rows over the axes, where it hides nothing."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=FONT_POINTS,
        labelcolor=PALETTE["ink"],
        columnspacing=1.3,
        handlelength=1.5,
        handletextpad=0.5,
    )


def png(figure: Figure) -> bytes:
    """The figure on white, for places that show only pictures."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_PNG_DPI, facecolor=PALETTE["surface"])
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page: themed by CSS variables, its own ids, with tooltips.

    `name` prefixes every id and must be unique in the page. Text stays text, in the page's font.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    head, body = re.split(r"(?<=>)", svg[svg.index("<svg") :], maxsplit=1)
    view_box = re.search(r'viewBox="[^"]*"', head)
    body = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL
    )
    body = re.sub(r'(?<=\bid=")|(?<=url\(#)|(?<=href="#)', f"{name}-", body)
    body = re.sub(rf'<a xlink:href="{TIP}([^"]*)"[^>]*>', r"<g><title>\1</title>", body)
    body = body.replace("</a>", "</g>").replace("xlink:href", "href")
    for role, colour in PALETTE.items():
        body = body.replace(colour, f"var(--{role})")
    body = re.sub(r">\s+<", "><", body).strip()
    return f'<svg class="chart" role="img" id="{name}" {view_box[0] if view_box else ""}>{body}'
