"""The figures of a campaign's page: plain rows in, matplotlib figures out, one palette for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.objectives import Goal
from discover.properties import Property
from discover.records import ModelCard
from discover.report.canvas import FONT_POINTS, PALETTE, TIP, legend_above, new_figure, styled
from discover.report.notation import formula_text, number_text, quantity_text
from discover.report.yardsticks import LEVELS, Array, best_of_draws, coverage, coverage_band
from discover.results import ResultRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import Locator

_MOST_LABELS = 8
_RECORDS_ABREAST = 18
"""Formulas that fit side by side into the search figure."""

Points = Sequence[tuple[float, float]]


def search_figure(
    rows: Sequence[ResultRow], target: Property, goal: Goal, unpicked: Array | None = None
) -> Figure:
    """Every result, the best so far, and what a random order of the candidates would have given.

    `rows` (at least one) in the order they were picked; `unpicked` holds what a model believes of the
    other candidates, on the scale of `target` (of the logarithm where it has one). The expectation is
    taken on that scale, with the central 90 % band.
    """
    figure = new_figure(9.0, 3.9)
    axes = styled(figure.subplots())
    steps = np.arange(1, len(rows) + 1)
    scaled = np.array([target.to_model(row.value) for row in rows])
    space = scaled if unpicked is None else np.concatenate([scaled, unpicked])
    named = {"max": [1], "min": [-1], "extremes": [1, -1]}[goal]
    for sign in named:
        chance = best_of_draws(sign * space, draws=len(rows))
        mean, low, high = (_physical(sign * curve, target) for curve in chance)
        best = _physical(sign * np.maximum.accumulate(sign * scaled), target)
        labels = (
            ("random order: 90 %", "random order: expected", "best so far")
            if sign == named[0]
            else (None, None, None)  # both tails share one legend
        )
        axes.fill_between(
            steps, low, high, color=PALETTE["band"], alpha=0.2, linewidth=0, label=labels[0]
        )
        axes.plot(
            steps, mean, color=PALETTE["band"], linewidth=1.3, dashes=(4, 2.5), label=labels[1]
        )
        axes.step(steps, best, where="post", color=PALETTE["ink"], linewidth=1.7, label=labels[2])
        _label_records(axes, rows, best, above=sign > 0, first=sign == named[0])
    for initial, role in ((True, "initial"), (False, "model")):
        chosen = [
            (step, row)
            for step, row in enumerate(rows, start=1)
            if (row.picked_by == "initial") is initial
        ]
        if chosen:
            pickers = ", ".join(sorted({row.picked_by for _, row in chosen}))
            label = "initial pick" if initial else f"picked by {pickers}"
            places = [(step, row.value) for step, row in chosen]
            _points(axes, places, [row for _, row in chosen], role=role, label=label)
    axes.set_xlim(0.5, max(len(rows), 2) + 0.5)
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.margins(y=0.12)
    property_scale(axes, axes.yaxis, target)
    axes.set_xlabel("results, in the order they were picked")
    axes.set_ylabel(_axis_label(target))
    _shrink_crowded(axes)
    legend_above(axes, columns=5)
    return figure


def parity_figure(rows: Sequence[ResultRow], target: Property) -> Figure:
    """What a model expected before the calculation against what was computed, with 90 % intervals.

    `rows` (at least one) all have a prediction.
    """
    figure = new_figure(4.9, 4.3)
    axes = styled(figure.subplots())
    corners = [value for row in rows for value in (row.value, *interval(row))]
    low, high = (target.to_model(value) for value in (min(corners), max(corners)))
    pad = 0.05 * (high - low or 1.0)
    limits = [target.from_model(low - pad), target.from_model(high + pad)]
    axes.plot(limits, limits, color=PALETTE["muted"], linewidth=1.0)
    for inside, role in ((True, "model"), (False, "miss")):
        chosen = [row for row in rows if inside_interval(row) is inside]
        if not chosen:
            continue
        values = [row.value for row in chosen]
        bounds = np.array([interval(row) for row in chosen])
        axes.vlines(values, bounds[:, 0], bounds[:, 2], color=PALETTE[role], alpha=0.5, lw=1.2)
        label = "inside the 90 % interval" if inside else "outside it"
        places = [(row.value, interval(row)[1]) for row in chosen]
        _points(axes, places, chosen, role=role, label=label)
        if not inside:
            for row in _worst(chosen, target):
                _label(axes, row.formula, (row.value, interval(row)[1]), (6, -3), ha="left")
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    for axis in (axes.xaxis, axes.yaxis):
        property_scale(axes, axis, target)
    axes.set_aspect("equal")
    axes.set_xlabel(f"computed ({_scale_unit(target)})")
    axes.set_ylabel(f"predicted before computing ({_scale_unit(target)})")
    _shrink_crowded(axes)
    legend_above(axes, columns=2)
    return figure


def calibration_figure(z_scores: Sequence[float]) -> Figure:
    """Share of computed values inside the central predicted intervals against their probability.

    `z_scores` (at least one) are (value - mean)/std on the model's scale.
    """
    figure = new_figure(4.9, 4.3)
    axes = styled(figure.subplots())
    percent = 100 * np.array(LEVELS)
    low, high = coverage_band(len(z_scores))
    axes.fill_between(
        percent, 100 * low, 100 * high, color=PALETTE["band"], alpha=0.2, linewidth=0,
        label="calibrated, 90 % of cases",
    )  # fmt: skip
    axes.plot([0, 100], [0, 100], color=PALETTE["muted"], linewidth=1.0)
    axes.plot(
        percent, 100 * coverage(z_scores), color=PALETTE["model"], marker="o", markersize=5,
        markeredgecolor=PALETTE["surface"], linewidth=1.5, label="this campaign",
    )  # fmt: skip
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 102)
    axes.set_aspect("equal")
    axes.set_xlabel("nominal: probability of the interval (%)")
    axes.set_ylabel("observed: values inside it (%)")
    legend_above(axes, columns=2)
    return figure


def models_figure(cards: Sequence[ModelCard], target: Property) -> Figure:
    """Cross-validated quality of the surrogate over its retrainings, from `cards` (oldest first)."""
    figure = new_figure(9.0, 2.9)
    error, order, covered = (styled(axes) for axes in figure.subplots(1, 3))
    seen = [card.n_observations for card in cards]

    def draw(axes: Axes, metric: str, role: str, factor: float = 1.0, label: str = "") -> None:
        values = [card.metrics.get(metric) for card in cards]
        axes.plot(
            seen, [np.nan if v is None else factor * v for v in values], color=PALETTE[role],
            marker="o", markersize=4, markeredgecolor=PALETTE["surface"], linewidth=1.5,
            label=label,
        )  # fmt: skip

    draw(error, "mae", "model")
    error.set_ylim(bottom=0)
    error.set_ylabel("mean absolute error" + (" (log₁₀)" if target.transform == "log10" else ""))
    draw(order, "spearman", "model")
    order.axhline(0, color=PALETTE["muted"], linewidth=0.8)
    order.set_ylim(min(-0.1, order.get_ylim()[0]), 1.02)
    order.set_ylabel("Spearman rank correlation")
    for level, role in ((50, "second"), (90, "model")):
        draw(covered, f"coverage_{level}", role, 100, f"{level} % interval")
        covered.axhline(level, color=PALETTE[role], linewidth=1.0, dashes=(4, 2.5))
    covered.set_ylim(0, 104)
    covered.set_ylabel("held-out values inside (%)")
    legend_above(covered, columns=2)
    for axes in (error, order, covered):
        axes.set_xlabel("observations trained on")
        axes.xaxis.set_major_locator(_whole_numbers())
    return figure


def message_figure(sentence: str) -> Figure:
    """A sentence in place of a figure that has nothing to show yet."""
    figure = new_figure(9.0, 1.2)
    figure.text(0.5, 0.5, sentence, color=PALETTE["muted"], fontsize=11, ha="center", va="center")
    return figure


def interval(row: ResultRow) -> tuple[float, float, float]:
    """Lower bound, median and upper bound of what was expected; ValueError where nothing was."""
    if row.predicted is None or row.predicted_low is None or row.predicted_high is None:
        raise ValueError(f"{row.formula} was picked without a prediction")
    return row.predicted_low, row.predicted, row.predicted_high


def inside_interval(row: ResultRow) -> bool:
    """Whether the computed value lies in the 90 % interval that was predicted."""
    low, _, high = interval(row)
    return low <= row.value <= high


def property_scale(axes: Axes, axis: Axis, target: Property) -> None:
    """Plain numbers on the axis; logarithmic where the property is learned so."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if target.transform == "log10":
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        low, high = np.log10(axis.get_view_interval())
        few = high - low < 2.2
        # over many decades fewer ticks than fit by their count, for their labels are long
        ticks = 6 if high - low > 6 else None
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=ticks))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: number_text(value).replace(".00e", "e"))
    )


def _points(axes: Axes, at: Points, rows: Sequence[ResultRow], *, role: str, label: str) -> None:
    x, y = zip(*at, strict=True)
    markers = axes.scatter(
        x,
        y,
        s=34,
        color=PALETTE[role],
        edgecolor=PALETTE["surface"],
        linewidth=0.7,
        zorder=3,
        label=label,
    )
    markers.set_urls([TIP + _tip(row) for row in rows])


def _shrink_crowded(axes: Axes) -> None:
    """Smaller markers, all alike, where there are many."""
    from matplotlib.collections import PathCollection

    points = [markers for markers in axes.collections if isinstance(markers, PathCollection)]
    number = sum(len(np.asarray(markers.get_offsets())) for markers in points)
    for markers in points:
        markers.set_sizes([min(34.0, max(12.0, 3500 / number))])


def _worst(rows: Sequence[ResultRow], target: Property) -> list[ResultRow]:
    """Those that were predicted worst, as many as can be labelled."""

    def missed_by(row: ResultRow) -> float:
        return abs(target.to_model(row.value) - target.to_model(interval(row)[1]))

    return sorted(rows, key=missed_by)[-_MOST_LABELS:]


def _tip(row: ResultRow) -> str:
    text = f"{formula_text(row.formula)}: {quantity_text(row.value, row.unit)}"
    if row.predicted is not None:
        low, middle, high = (number_text(value) for value in interval(row))
        text += f", expected {middle} ({low} to {high})"
    return text


def _label_records(
    axes: Axes, rows: Sequence[ResultRow], best: Array, *, above: bool, first: bool
) -> None:
    """The formula at each result that was the best when it came (the very first only if asked).

    Of records that follow one another too closely to be read, only the last is named.
    """
    room = len(rows) / _RECORDS_ABREAST
    following = np.inf
    for i in reversed(range(len(rows))):
        is_record = first if i == 0 else best[i] != best[i - 1]
        if is_record and following - i >= room:
            _label(axes, rows[i].formula, (i + 1, best[i]), (0, 6 if above else -12), ha="center")
            following = i


def _label(
    axes: Axes, formula: str, at: tuple[float, float], offset: tuple[float, float], *, ha: str
) -> None:
    axes.annotate(
        formula_text(formula),
        at,
        xytext=offset,
        textcoords="offset points",
        ha=ha,
        fontsize=FONT_POINTS - 0.5,
        color=PALETTE["ink"],
    )


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True)


def _physical(scaled: Array, target: Property) -> Array:
    return np.array([target.from_model(value) for value in scaled])


def _axis_label(target: Property) -> str:
    return target.label if target.unit == "1" else f"{target.label} ({target.unit})"


def _scale_unit(target: Property) -> str:
    return target.label if target.unit == "1" else target.unit
