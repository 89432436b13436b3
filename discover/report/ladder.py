"""The figure of a campaign's ladder: what the lower rungs said of the target, and what each cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.properties import Property
from discover.report.canvas import FONT_POINTS, PALETTE, TIP, legend_above, new_figure, styled
from discover.report.figures import property_scale
from discover.report.notation import duration_text, formula_text, number_text
from discover.results import ResultRow, RungStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROLES = ("model", "initial", "second", "miss")
MIN_CORRELATED = 3
"""Pairs of values below which a correlation says nothing."""


def ladder_figure(
    rows: Sequence[ResultRow], rungs: Sequence[RungStatus], target: Property
) -> Figure:
    """Left: values at each lower rung against the target's; right: core time spent at every rung.

    `rows` are results at the target, `rungs` (cheap to dear) all of the ladder.
    """
    figure = new_figure(9.0, 3.9)
    values, spent = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    _draw_values(styled(values), rows, [rung.fidelity for rung in rungs[:-1]], target)
    _draw_cost(styled(spent), rungs)
    return figure


def correlation(pairs: Sequence[tuple[float, float]], target: Property) -> float | None:
    """Pearson's, on the model's scale; None for too few pairs or values that do not vary."""
    if len(pairs) < MIN_CORRELATED:
        return None
    low, high = np.array([[target.to_model(value) for value in pair] for pair in pairs]).T
    if not (np.ptp(low) and np.ptp(high)):
        return None
    return float(np.corrcoef(low, high)[0, 1])


def _draw_values(
    axes: Axes, rows: Sequence[ResultRow], fidelities: Sequence[str], target: Property
) -> None:
    shown: list[float] = []
    for number, fidelity in enumerate(fidelities):
        known = [row for row in rows if fidelity in row.lower]
        pairs = [(row.lower[fidelity], row.value) for row in known]
        if not pairs:
            continue
        shown += [value for pair in pairs for value in pair]
        r = correlation(pairs, target)
        markers = axes.scatter(
            [low for low, _ in pairs],
            [high for _, high in pairs],
            s=30,
            color=PALETTE[_ROLES[number % len(_ROLES)]],
            edgecolor=PALETTE["surface"],
            linewidth=0.7,
            zorder=3,
            label=fidelity + (f" (r = {r:.2f})" if r is not None else ""),
        )
        markers.set_urls(
            [
                f"{TIP}{formula_text(row.formula)}: {number_text(low)} at {fidelity}, "
                f"{number_text(high)} at the target"
                for row, (low, high) in zip(known, pairs, strict=True)
            ]
        )
    if shown:
        limits = (min(shown), max(shown))
        axes.plot(limits, limits, color=PALETTE["muted"], linewidth=1.0)
        legend_above(axes, columns=2)
    for axis in (axes.xaxis, axes.yaxis):
        property_scale(axes, axis, target)
    unit = "" if target.unit == "1" else f" ({target.unit})"
    axes.set_xlabel(f"at a lower rung{unit}")
    axes.set_ylabel(f"at the target{unit}")


def _draw_cost(axes: Axes, rungs: Sequence[RungStatus]) -> None:
    """A bar a rung, dearest on top, with how many calculations it is and what one took."""
    seconds = [rung.calculations * (rung.core_seconds or 0.0) for rung in rungs]
    most = max(seconds, default=0.0)
    unit, name = (3600.0, "hours") if most >= 3600.0 else (60.0, "minutes")
    widths = [value / unit for value in seconds]
    places = range(len(rungs))
    axes.barh(places, widths, color=PALETTE["model"], height=0.55)
    for place, rung, width in zip(places, rungs, widths, strict=True):
        each = f" x {duration_text(rung.core_seconds)}" if rung.core_seconds else ""
        axes.annotate(
            f"{rung.calculations}{each}",
            (width, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=FONT_POINTS,
            color=PALETTE["ink"],
        )
    axes.set_yticks(list(places), [rung.fidelity for rung in rungs])
    axes.set_xlim(0, 1.35 * (most / unit or 1.0))
    axes.set_xlabel(f"core {name} spent (calculations x core time of one)")
