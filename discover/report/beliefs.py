"""Which family of surrogates `auto` believes, and the held-out errors that say so: a figure of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from discover.report.canvas import FONT_POINTS, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from discover.properties import Property
    from discover.records import ModelCard

Array = npt.NDArray[np.float64]

REGIMES = {
    "inside": "inside of\nwhat is known",
    "edge": "at the ends\nof the range",
    "novel": "in new\nsurroundings",
}
SPLITS = {
    "group": "other\ngroups",
    "property-top": "highest\nfifth",
    "property-bottom": "lowest\nfifth",
    "cluster": "other\nclusters",
}
TOLD = {"crps", "weights", "decided_on"}
"""What the card of a model by `auto` holds under `judged`, among others."""
_ROW_INCHES = 0.29


class Beliefs(NamedTuple):
    """Families, the most believed first; weights and mean CRPS, not a number where there is none.

    `weights` is families x `REGIMES`, `errors` families x `SPLITS` on the target's scale.
    """

    families: tuple[str, ...]
    weights: Array
    errors: Array
    decided_on: int


def beliefs_of(card: ModelCard) -> list[Beliefs]:
    """One for each property, of a model by `auto`; none of any other."""
    outputs = card.details.get("outputs")
    details = outputs if isinstance(outputs, list) else [card.details]
    judged = [one.get("judged") for one in details if isinstance(one, dict)]
    found = [_beliefs(one) for one in judged if isinstance(one, dict) and one.keys() >= TOLD]
    return found if len(found) == len(details) else []


def _beliefs(judged: Mapping[str, Any]) -> Beliefs:
    families = list(judged["crps"])
    weights = [[judged["weights"].get(r, {}).get(name) for r in REGIMES] for name in families]
    errors = [[judged["crps"][name].get(split) for split in SPLITS] for name in families]
    table, held_out = (np.array(rows, dtype=np.float64) for rows in (weights, errors))
    order = np.argsort(-np.nan_to_num(table).sum(axis=1), kind="stable")
    return Beliefs(
        tuple(families[i] for i in order), table[order], held_out[order], judged["decided_on"]
    )


def beliefs_figure(found: Sequence[Beliefs], targets: Sequence[Property]) -> Figure:
    """Weights by regime and errors by what was held out, a row a family; of each property in turn."""
    heights = [1.0 + _ROW_INCHES * len(one.families) for one in found]
    figure = new_figure(9.0, sum(heights))
    panels = figure.subplots(len(found), 2, squeeze=False, gridspec_kw={"height_ratios": heights})
    for (left, right), one, target in zip(panels, found, targets, strict=True):
        scale = "log₁₀" if target.transform == "log10" else target.unit
        name = f"{target.label}: " if len(found) > 1 else ""
        _table(left, one.weights, list(REGIMES.values()), f"{name}weight", "model")
        _table(
            right, one.errors, list(SPLITS.values()), f"mean CRPS ({scale}) when held out", "second"
        )
        left.set_yticks(range(len(one.families)), one.families)
        right.set_yticks([])
    return figure


def _table(axes: Axes, values: Array, columns: list[str], title: str, role: str) -> None:
    """Numbers on cells, the darker the more a family is believed, or the less it is off."""
    from matplotlib.patches import Rectangle

    believed = role == "model"
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(values) - 0.5, -0.5)
    for row, column in np.ndindex(values.shape):
        value = float(values[row, column])
        known = values[:, column][np.isfinite(values[:, column])]
        if not np.isfinite(value):
            text, share = "–", 0.0
        elif believed:
            text, share = f"{100 * value:.0f} %", value
        else:
            text, share = f"{value:#.2g}", (known.min() / value if value > 0 else 1.0) ** 2
        axes.add_patch(
            Rectangle(
                (column - 0.47, row - 0.43), 0.94, 0.86, facecolor=PALETTE[role],
                alpha=0.04 + 0.5 * share, linewidth=0,
            )
        )  # fmt: skip
        best = np.isfinite(value) and value == (known.max() if believed else known.min())
        axes.text(
            column, row, text, ha="center", va="center", fontsize=FONT_POINTS,
            color=PALETTE["ink" if np.isfinite(value) else "muted"], weight="bold" if best else "normal",
        )  # fmt: skip
    axes.set_xticks(range(len(columns)), columns)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelcolor=PALETTE["muted"], labelsize=FONT_POINTS)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=FONT_POINTS, color=PALETTE["ink"], loc="left")
