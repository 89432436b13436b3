"""What a campaign's potential learned from its first-principles results: figure and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from discover.potentials.learning.errors import Errors
from discover.potentials.learning.finetuning import Card
from discover.report.canvas import FONT_POINTS, PALETTE, TIP, legend_above, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW_INCHES = 0.32
_QUANTITIES = (
    ("energy_mae_ev_per_atom", 1e3, "energy (meV/atom)"),
    ("forces_rmse_ev_per_angstrom", 1e3, "forces (meV/Å)"),
    ("stress_rmse_gpa", 1.0, "stress (GPa)"),
)


class Change(NamedTuple):
    """Errors on held-out frames of one kind, before a fine-tuning and after it."""

    label: str
    before: Errors
    after: Errors


def changes(cards: Sequence[Card]) -> list[Change]:
    """One for each fine-tuning, held-out set and kind of frame, oldest first."""
    found = []
    for number, card in enumerate(cards, start=1):
        sets = card.held_out | ({"old data": card.old} if card.old is not None else {})
        found += [
            Change(f"{number}  {name}, {kind}", before, comparison.after[kind])
            for name, comparison in sets.items()
            for kind, before in comparison.before.items()
        ]
    return found


def learning_figure(cards: Sequence[Card]) -> Figure:
    """Errors on held-out frames before and after each fine-tuning: a row a kind of frame."""
    rows = changes(cards)
    figure = new_figure(9.0, 1.3 + _ROW_INCHES * len(rows))
    panels = figure.subplots(1, len(_QUANTITIES), sharey=True)
    for axes, (field, factor, label) in zip(panels, _QUANTITIES, strict=True):
        _draw(styled(axes), rows, field, factor)
        axes.set_xlabel(label)
    panels[0].set_yticks(range(len(rows)), [row.label for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    legend_above(panels[0], columns=2)
    return figure


def _draw(axes: Axes, rows: Sequence[Change], field: str, factor: float) -> None:
    told = [
        (place, row.label, factor * before, factor * after)
        for place, row in enumerate(rows)
        if (before := getattr(row.before, field)) is not None
        and (after := getattr(row.after, field)) is not None
    ]
    places = [place for place, *_ in told]
    ends = [[before for _, _, before, _ in told], [after for *_, after in told]]
    axes.hlines(places, ends[0], ends[1], color=PALETTE["line"], linewidth=2.0, zorder=2)
    for values, role, name in zip(ends, ("band", "model"), ("before", "after"), strict=True):
        dots = axes.scatter(
            values, places, s=34, color=PALETTE[role], label=name, zorder=3, clip_on=False
        )
        dots.set_urls(
            [
                f"{TIP}{label}: {before:.3g} before, {after:.3g} after"
                for _, label, before, after in told
            ]
        )
    axes.set_xlim(left=0.0)
    axes.margins(x=0.08)
    axes.tick_params(axis="y", length=0, labelsize=FONT_POINTS)
