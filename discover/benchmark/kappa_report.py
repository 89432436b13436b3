"""How a conductivity benchmark is shown: a table for people, a CSV, and a parity plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from discover.benchmark.kappa_results import Result, Row
from discover.report.canvas import FONT_POINTS, PALETTE, legend_above, new_figure, styled
from discover.report.notation import duration_text, formula_text, number_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS = (
    "id", "formula", "prototype", "spacegroup", "kappa_w_mk", "reference_w_mk", "sre", "srme",
    "unstable", "minimum_frequency_thz", "kappa_particle_w_mk", "kappa_coherence_w_mk",
    "volume_ratio", "supercell_atoms", "second_order_supercell_atoms", "force_calls",
    "relaxation_calls", "force_seconds", "seconds", "reason",
)  # fmt: skip
_COMPARED = ("kappa_w_mk", "kappa_ratio", "force_calls", "force_call_ratio")

_STYLES = (
    ("model", "o"), ("initial", "s"), ("second", "D"),
    ("model", "^"), ("initial", "v"), ("second", "P"),
)  # fmt: skip
"""Colour and marker of each prototype, in turn."""

_OFF_BY = 2.0
"""The band of the figure; compounds beyond this factor are named, the worst ones of many."""
_MOST_NAMES = 8


class _Point(NamedTuple):
    """Where a row is drawn."""

    row: Row
    reference: float
    kappa: float


def table(rows: Sequence[Row]) -> str:
    """The rows as CSV; what finite displacements gave in columns of its own."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"finite_displacements_{name}" for name in _COMPARED)])
    for row in rows:
        exact = row.finite_displacements
        compared = [getattr(exact, name) if exact else None for name in _COMPARED]
        writer.writerow([*(getattr(row, name) for name in _COLUMNS), *compared])
    return buffer.getvalue()


def show(result: Result) -> None:
    """The rows as a table, and the summary in a line."""
    from rich.console import Console
    from rich.table import Table

    rows, summary = result.rows, result.summary
    compared = any(row.finite_displacements for row in rows)
    settings = result.settings
    shown = Table(
        title=f"κ at {settings.temperature_k:g} K in W/m/K, {settings.potential}, "
        f"{settings.force_constants}",
        title_justify="left",
    )
    headings = ["compound", "structure", "κ", "reference", "κ_SRE", "κ_SRME", "lowest mode (THz)"]
    headings += ["force calls", "time"] + (["finite displacements"] if compared else [])
    for heading in headings:
        left = heading in {"compound", "structure"}
        shown.add_column(heading, justify="left" if left else "right")
    for row in rows:
        kappa = "unstable" if row.unstable else "failed"
        cells = [
            row.formula,
            row.prototype,
            kappa if row.kappa_w_mk is None else number_text(row.kappa_w_mk),
            _cell(row.reference_w_mk),
            _cell(row.sre, ".2f"),
            _cell(row.srme, ".2f"),
            _cell(row.minimum_frequency_thz, ".2f"),
            str(row.force_calls),
            duration_text(row.seconds),
        ]
        if compared:
            cells.append(_compared(row))
        shown.add_row(*cells)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=140, highlight=False)
    console.print(shown)
    for row in rows:
        if row.reason and not row.unstable:
            console.print(f"{row.formula} {row.prototype} failed: {row.reason}")
    told = [f"{summary.compounds} compounds"]
    if summary.mean_srme is not None:
        told.append(f"mean κ_SRME {summary.mean_srme:.3f}")
    if summary.mean_sre is not None:
        told.append(f"mean κ_SRE {summary.mean_sre:.3f}")
    if summary.log10_mae is not None:
        told.append(f"log10 MAE {summary.log10_mae:.3f}")
    if summary.mean_factor is not None:
        told.append(f"mean factor {summary.mean_factor:.2f}")
    if summary.spearman is not None:
        told.append(f"Spearman {summary.spearman:.3f}")
    told.append(f"{summary.unstable} unstable, {summary.failed} failed")
    told.append(f"{summary.force_calls} force calls in {duration_text(summary.seconds)}")
    console.print(", ".join(told))


def parity_figure(rows: Sequence[Row], potential: str) -> Figure:
    """κ against its reference on logarithmic scales, by prototype, with a band of a factor of two.

    A compound without a conductivity is marked at the bottom, at its reference.
    """
    figure = new_figure(5.4, 5.2)
    axes = styled(figure.subplots())
    known = [(row, row.reference_w_mk) for row in rows if row.reference_w_mk is not None]
    drawn = [
        _Point(row, reference, row.kappa_w_mk)
        for row, reference in known
        if row.kappa_w_mk is not None
    ]
    values = [reference for _, reference in known] + [point.kappa for point in drawn]
    low, high = (min(values) / 2, max(values) * 2) if values else (1.0, 100.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    limits = np.array([low, high])
    axes.fill_between(
        limits, limits / _OFF_BY, limits * _OFF_BY, color=PALETTE["band"], alpha=0.18, linewidth=0,
        label="within a factor of 2",
    )  # fmt: skip
    axes.plot(limits, limits, color=PALETTE["muted"], linewidth=1.0)
    for index, prototype in enumerate(sorted({row.prototype for row, _ in known})):
        role, marker = _STYLES[index % len(_STYLES)]
        group = [point for point in drawn if point.row.prototype == prototype]
        axes.scatter(
            [point.reference for point in group], [point.kappa for point in group], s=38,
            color=PALETTE[role], marker=marker, edgecolor=PALETTE["surface"], linewidth=0.7,
            zorder=3, label=prototype,
        )  # fmt: skip
    lost = [_Point(row, reference, low * 1.25) for row, reference in known if not row.kappa_w_mk]
    if lost:
        axes.scatter(
            [point.reference for point in lost], [point.kappa for point in lost], s=44, marker="x",
            color=PALETTE["miss"], zorder=3, label="unstable or failed",
        )  # fmt: skip
    for point in _named(drawn, lost):
        axes.annotate(
            formula_text(point.row.formula), (point.reference, point.kappa), xytext=(5, 4),
            textcoords="offset points", fontsize=FONT_POINTS - 0.5, color=PALETTE["ink"],
        )  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: number_text(value))
    axes.set_xlabel("reference (W/m/K)")
    axes.set_ylabel(f"{potential} (W/m/K)")
    legend_above(axes, columns=2)
    return figure


def _named(drawn: Sequence[_Point], lost: Sequence[_Point]) -> list[_Point]:
    """Those farthest from their references, and those without a conductivity while they are few."""
    far = sorted(
        (p for p in drawn if abs(np.log(p.kappa / p.reference)) > np.log(_OFF_BY)),
        key=lambda p: -abs(np.log(p.kappa / p.reference)),
    )
    return far[:_MOST_NAMES] + (list(lost) if len(lost) <= _MOST_NAMES else [])


def _compared(row: Row) -> str:
    exact = row.finite_displacements
    if exact is None:
        return ""
    if exact.kappa_w_mk is None or exact.kappa_ratio is None or exact.force_call_ratio is None:
        return exact.reason or "no κ to compare"
    return (
        f"{number_text(exact.kappa_w_mk)} ({100 * (exact.kappa_ratio - 1):+.1f} %, "
        f"{exact.force_call_ratio:.1f} times the calls)"
    )


def _cell(value: float | None, form: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:{form}}" if form else number_text(value)
