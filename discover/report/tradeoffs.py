"""The figures of several objectives: pairs with the front, parallel coordinates, the hypervolume."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.acquisition.aims import Aims, Array
from discover.campaign import CampaignSpec
from discover.outcomes import Outcome, growth
from discover.properties import Property
from discover.report.canvas import FONT_POINTS, PALETTE, TIP, legend_above, new_figure, styled
from discover.report.figures import property_scale
from discover.report.notation import formula_text, number_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_OBJECTIVES = 5
"""Objectives of which every pair is drawn."""
SHUFFLES = 100
"""Random orders whose mean is what random search is expected to find."""
MOST_LABELS = 8
STANDINGS = {
    "infeasible": ("misses a constraint", "miss", 0.55, 18.0),
    "feasible": ("dominated", "band", 0.8, 22.0),
    "front": ("on the front", "model", 1.0, 46.0),
}
"""How each standing is called and drawn: colour, opacity, size."""


def pairs_figure(found: Sequence[Outcome], spec: CampaignSpec) -> Figure:
    """Every pair of objectives: the front, what it dominates, what misses a constraint, the references.

    `found` has one complete outcome at least. One objective is drawn against the first constraint.
    """
    names = [objective.property for objective in spec.sought][:MOST_OBJECTIVES]
    if len(names) == 1:
        names += [one.property for one in spec.constraints if one.property not in names][:1]
    names = names if len(names) > 1 else names * 2
    targets = {target.name: target for target in spec.modelled}
    pairs = list(itertools.combinations(names, 2))
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = new_figure(5.6 if len(pairs) == 1 else 3.2 * columns + 0.4, 3.0 * rows + 0.9)
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes, (x, y) in zip(grid, pairs, strict=False):
        styled(axes)
        for standing, (label, role, opacity, size) in STANDINGS.items():
            shown = [one for one in found if one.standing == standing]
            if not shown:
                continue
            markers = axes.scatter(
                [one.values[x] for one in shown],
                [one.values[y] for one in shown],
                s=size,
                color=PALETTE[role],
                alpha=opacity,
                edgecolor=PALETTE["surface"],
                linewidth=0.7,
                zorder=3 if standing == "front" else 2,
                label=label,
            )
            markers.set_urls([TIP + _tip(one, spec) for one in shown])
        for objective in spec.sought:
            if objective.reference is not None and objective.property in {x, y}:
                line = axes.axvline if objective.property == x else axes.axhline
                line(objective.reference, color=PALETTE["muted"], linewidth=0.9, dashes=(4, 2.5))
        for constraint in spec.constraints:
            if constraint.property in {x, y}:
                line = axes.axvline if constraint.property == x else axes.axhline
                for limit in (constraint.above, constraint.below):
                    if limit is not None:
                        line(limit, color=PALETTE["miss"], linewidth=0.9, alpha=0.7)
        property_scale(axes, axes.xaxis, targets[x])
        property_scale(axes, axes.yaxis, targets[y])
        axes.set_xlabel(_label(targets[x], spec))
        axes.set_ylabel(_label(targets[y], spec))
    for axes in grid[len(pairs) :]:
        axes.set_visible(False)
    if len(pairs) == 1:
        _name_front(grid[0], found, *pairs[0])
    handles = {
        label: one
        for axes in grid
        for one, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper left",
        ncols=3,
        frameon=False,
        fontsize=FONT_POINTS,
        labelcolor=PALETTE["ink"],
    )
    return figure


def parallel_figure(found: Sequence[Outcome], spec: CampaignSpec) -> Figure:
    """Every candidate as a line over all objectives and constrained properties; up is better.

    Each axis spans what was computed, on the scale on which the property is learned; a constraint's
    limits are marked.
    """
    wanted = {objective.property: objective.goal for objective in spec.sought}
    limits = {constraint.property: constraint for constraint in spec.constraints}
    shown = [target for target in spec.modelled if target.name in {*wanted, *limits}]
    figure = new_figure(9.0, 3.9)
    axes = figure.subplots()
    axes.set_axis_off()
    heights = {}
    for place, target in enumerate(shown):
        limit = limits.get(target.name)
        only_below = limit is not None and limit.above is None
        down = wanted.get(target.name, "min" if only_below else "max") == "min"
        scaled = np.array([target.to_model(one.values[target.name]) for one in found])
        low, high = scaled.min(), scaled.max()
        span = (high - low) or 1.0
        bottom, top = (high, low) if down else (low, high)

        def height(value: float, bottom: float = bottom, span: float = span) -> float:
            return abs(value - bottom) / span

        heights[target.name] = height
        axes.plot([place, place], [0, 1], color=PALETTE["line"], linewidth=1.2, zorder=1)
        for at, end in ((-0.035, bottom), (1.035, top)):
            axes.text(
                place,
                at,
                number_text(target.from_model(float(end))),
                ha="center",
                va="top" if at < 0 else "bottom",
                fontsize=FONT_POINTS - 0.5,
                color=PALETTE["muted"],
            )
        goal = wanted.get(target.name)
        what = {"max": "highest", "min": "lowest"}.get(goal or "", "constraint")
        axes.text(
            place,
            1.13,
            f"{target.label}\n({what}" + ("" if target.unit == "1" else f", {target.unit}") + ")",
            ha="center",
            va="bottom",
            fontsize=FONT_POINTS,
            color=PALETTE["ink"],
        )
        for value in () if limit is None else (limit.above, limit.below):
            if value is not None and low <= target.to_model(value) <= high:
                at = height(target.to_model(value))
                axes.plot([place - 0.05, place + 0.05], [at, at], color=PALETTE["miss"], lw=2.0)
    for standing, (label, role, opacity, _) in STANDINGS.items():
        of_it = [one for one in found if one.standing == standing]
        for number, one in enumerate(of_it):
            line = [heights[t.name](t.to_model(one.values[t.name])) for t in shown]
            (drawn,) = axes.plot(
                range(len(shown)),
                line,
                color=PALETTE[role],
                alpha=opacity if standing == "front" else 0.45 * opacity,
                linewidth=1.7 if standing == "front" else 1.0,
                zorder=3 if standing == "front" else 2,
                label=label if number == 0 else None,
            )
            drawn.set_url(TIP + _tip(one, spec))
    axes.set_xlim(-0.35, len(shown) - 0.65)
    axes.set_ylim(-0.1, 1.32)
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=3,
        frameon=False,
        fontsize=FONT_POINTS,
        labelcolor=PALETTE["ink"],
    )
    return figure


def hypervolume_figure(
    found: Sequence[Outcome], spec: CampaignSpec, volumes: Sequence[float], unpicked: Array
) -> Figure:
    """Hypervolume and feasible share over the candidates, and what a random order would have given.

    `volumes` has one value for each complete outcome; `unpicked` (n x p) is what the last model believes
    of the candidates that were never computed, on the model's scale.
    """
    figure = new_figure(9.0, 3.4)
    left, right = (styled(axes) for axes in figure.subplots(1, 2, width_ratios=(3, 2)))
    ordered = sorted((one for one in found if one.standing != "incomplete"), key=lambda o: o.order)
    steps = np.arange(1, len(ordered) + 1)
    low, mean, high = random_growth(spec, ordered, unpicked)
    left.fill_between(
        steps, low, high, color=PALETTE["band"], alpha=0.2, lw=0, label="random order: 90 %"
    )
    left.plot(steps, mean, color=PALETTE["band"], dashes=(4, 2.5), lw=1.3, label="expected")
    left.step(steps, volumes, where="post", color=PALETTE["ink"], lw=1.7, label="this campaign")
    left.set_ylim(bottom=0)
    left.set_ylabel("hypervolume")
    legend_above(left, columns=3)
    feasible = np.array([one.standing != "infeasible" for one in ordered])
    right.plot(steps, 100 * np.cumsum(feasible) / steps, color=PALETTE["second"], linewidth=1.7)
    right.set_ylim(0, 104)
    right.set_ylabel("meet every constraint (% so far)")
    for axes in (left, right):
        axes.set_xlim(0.5, max(len(ordered), 2) + 0.5)
        axes.set_xlabel("candidates, in the order they were picked")
    return figure


def random_growth(
    spec: CampaignSpec, ordered: Sequence[Outcome], unpicked: Array
) -> tuple[Array, Array, Array]:
    """5 % quantile, mean and 95 % quantile of the hypervolume after 1, 2, ... random candidates.

    Random orders of the computed candidates and of those that the model only believes in; without any
    of these, of the computed ones.
    """
    aims, nan = Aims.of(spec), float("nan")
    known = np.array(
        [
            [t.to_model(one.values[t.name]) if t.name in one.values else nan for t in spec.modelled]
            for one in ordered
        ]
    )
    space = np.concatenate([known, unpicked]) if unpicked.size else known
    rng = np.random.default_rng(0)
    drawn = [
        growth(aims, space[rng.permutation(len(space))[: len(known)]]) for _ in range(SHUFFLES)
    ]
    low, high = np.quantile(drawn, [0.05, 0.95], axis=0)
    return low, np.mean(drawn, axis=0), high


def _name_front(axes: Axes, found: Sequence[Outcome], x: str, y: str) -> None:
    front = [one for one in found if one.standing == "front"]
    for one in front[:MOST_LABELS]:
        axes.annotate(
            formula_text(one.formula),
            (one.values[x], one.values[y]),
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=FONT_POINTS - 0.5,
            color=PALETTE["ink"],
        )


def _label(target: Property, spec: CampaignSpec) -> str:
    goals = {objective.property: objective.goal for objective in spec.sought}
    arrow = {"max": " ↑", "min": " ↓"}.get(goals.get(target.name, ""), "")
    return f"{target.label}{arrow}" + ("" if target.unit == "1" else f" ({target.unit})")


def _tip(one: Outcome, spec: CampaignSpec) -> str:
    told = [
        f"{target.label} {number_text(one.values[target.name])} {target.unit}".removesuffix(" 1")
        for target in spec.modelled
        if target.name in one.values
    ]
    misses = f"; misses {', '.join(one.violated)}" if one.violated else ""
    return f"{formula_text(one.formula)} ({one.title}): {', '.join(told)}{misses}"
