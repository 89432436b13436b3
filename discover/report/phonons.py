"""Figures of a phonon calculation: dispersion, density of states, Grüneisen parameters, conductivity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from discover.calculations.lattice.spectra import BandSegment, Curve, Gruneisen, PhononSpectra
from discover.report.canvas import FONT_POINTS, PALETTE, legend_above, new_figure, styled
from discover.report.notation import number_text
from discover.report.yardsticks import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_MODES = 900
"""Mode Grüneisen parameters drawn at most, so that a page stays light."""

_IMAGINARY_THZ = 0.05
"""Lower than its negative is drawn as imaginary; above it is rounding near Γ."""

_GREEK = {"G": "Γ"}


def dispersion_figure(spectra: PhononSpectra) -> Figure:
    """Frequencies along the special lines, with the density of states beside them.

    Imaginary frequencies are drawn below zero, in the colour of misses.
    """
    figure = new_figure(9.0, 3.5)
    bands, states = figure.subplots(1, 2, sharey=True, width_ratios=(3.4, 1))
    _draw_bands(styled(bands), spectra.bands)
    _draw_states(styled(states), spectra.density_of_states)
    lowest, highest = _range(spectra)
    bands.set_ylim(lowest * 1.08 if lowest < -_IMAGINARY_THZ else 0.0, highest * 1.05)
    bands.set_ylabel("frequency (THz)")
    states.set_xlabel("states per THz")
    return figure


def transport_figure(spectra: PhononSpectra) -> Figure | None:
    """Grüneisen parameters and conductivity by frequency, conductivity by mean free path.

    None for an unstable crystal, which has no conductivity.
    """
    if spectra.gruneisen is None or not spectra.transport:
        return None
    figure = new_figure(9.0, 3.1)
    modes, spectrum, paths = (
        styled(axes) for axes in figure.subplots(1, 3, gridspec_kw={"wspace": 0.08})
    )
    transport = spectra.transport[0]
    _draw_gruneisen(modes, spectra.gruneisen)
    _draw_spectrum(spectrum, transport.spectral, transport.cumulative)
    _draw_paths(paths, transport.cumulative_by_mean_free_path)
    right = 1.03 * max(spectra.gruneisen.frequencies_thz)
    for axes in (modes, spectrum):
        axes.set_xlim(0, right)
        axes.set_xlabel("frequency (THz)")
    return figure


def _draw_bands(axes: Axes, segments: Sequence[BandSegment]) -> None:
    ticks: list[tuple[float, str]] = []
    for index, segment in enumerate(segments):
        distances = np.asarray(segment.distances)
        for band in segment.frequencies_thz:
            frequencies = np.asarray(band)
            axes.plot(distances, frequencies, color=PALETTE["model"], linewidth=1.2)
            _overdraw_imaginary(axes, distances, frequencies)
        start, end = _point(segment.start), _point(segment.end)
        if index and ticks[-1][1] != start:
            ticks[-1] = (ticks[-1][0], f"{ticks[-1][1]}|{start}")  # the path jumps here
        if not index:
            ticks.append((distances[0], start))
        ticks.append((distances[-1], end))
    for place, _ in ticks:
        axes.axvline(place, color=PALETTE["line"], linewidth=0.8, zorder=0)
    axes.axhline(0, color=PALETTE["muted"], linewidth=0.8)
    axes.grid(visible=False, axis="x")
    axes.set_xlim(ticks[0][0], ticks[-1][0])
    axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
    axes.tick_params(axis="x", labelcolor=PALETTE["ink"], length=0)


def _overdraw_imaginary(axes: Axes, distances: Array, frequencies: Array) -> None:
    """The part of a band below zero, up to where it crosses; rounding near Γ is not drawn."""
    if frequencies.min() >= -_IMAGINARY_THZ:
        return
    fine = np.linspace(distances[0], distances[-1], 8 * len(distances))
    along = np.interp(fine, distances, frequencies)
    drawn = np.where(along < 0, along, np.nan)
    axes.plot(fine, drawn, color=PALETTE["miss"], linewidth=1.8)


def _draw_states(axes: Axes, states: Curve) -> None:
    frequencies, density = np.asarray(states.x), np.asarray(states.y)
    for real, role in ((frequencies >= -_IMAGINARY_THZ, "model"), (frequencies <= 0, "miss")):
        axes.fill_betweenx(
            frequencies, 0, density, where=real, color=PALETTE[role], alpha=0.22, linewidth=0
        )
        axes.plot(np.where(real, density, np.nan), frequencies, color=PALETTE[role], linewidth=1.2)
    axes.axhline(0, color=PALETTE["muted"], linewidth=0.8)
    axes.set_xlim(left=0)


def _draw_gruneisen(axes: Axes, modes: Gruneisen) -> None:
    frequencies, values = np.asarray(modes.frequencies_thz), np.asarray(modes.values)
    step = -(-len(values) // _MOST_MODES)
    low, high = np.quantile(values, [0.005, 0.995])
    margin = 0.08 * (high - low)
    axes.scatter(
        frequencies[::step], values[::step], s=9, color=PALETTE["model"], alpha=0.65, linewidth=0
    )
    axes.axhline(0, color=PALETTE["muted"], linewidth=0.8)
    axes.set_ylim(min(low - margin, 0.0), high + margin)
    axes.set_ylabel("mode Grüneisen parameter")


def _draw_spectrum(axes: Axes, spectral: Curve, cumulative: Curve) -> None:
    """Both on the same frequencies: the density to the left, its integral to the right."""
    axes.fill_between(spectral.x, spectral.y, color=PALETTE["model"], alpha=0.22, linewidth=0)
    axes.plot(spectral.x, spectral.y, color=PALETTE["model"], linewidth=1.3, label="spectral")
    axes.plot([], [], color=PALETTE["initial"], linewidth=1.5, label="cumulative (right)")
    axes.set_ylim(0, 1.08 * max(spectral.y))
    axes.set_ylabel("spectral κ (W/m/K/THz)")
    right = axes.twinx()
    right.plot(cumulative.x, cumulative.y, color=PALETTE["initial"], linewidth=1.5)
    right.set_ylim(0, 1.08 * max(cumulative.y))
    right.spines[:].set_visible(False)
    right.tick_params(color=PALETTE["line"], labelcolor=PALETTE["muted"], labelsize=FONT_POINTS)
    legend_above(axes, columns=2)


def _draw_paths(axes: Axes, cumulative: Curve) -> None:
    lengths, kappa = np.asarray(cumulative.x) / 10, np.asarray(cumulative.y)
    axes.set_xscale("log")
    axes.plot(lengths, kappa, color=PALETTE["second"], linewidth=1.5)
    total = kappa[-1]
    half = lengths[int(np.searchsorted(kappa, total / 2))]
    axes.axvline(half, color=PALETTE["muted"], linewidth=1.0, dashes=(4, 2.5))
    axes.annotate(
        f"half of κ: {number_text(half)} nm", (half, 0.04 * total), xytext=(5, 0),
        textcoords="offset points", fontsize=FONT_POINTS - 0.5, color=PALETTE["ink"],
    )  # fmt: skip
    reached = lengths[kappa > 0.002 * total]
    axes.set_xlim(reached[0], lengths[int(np.searchsorted(kappa, 0.999 * total))] * 1.5)
    axes.set_ylim(0, 1.08 * total)
    axes.xaxis.set_major_formatter(lambda value, _: number_text(value))
    axes.set_xlabel("mean free path (nm)")
    axes.set_ylabel("cumulative κ (W/m/K)")


def _range(spectra: PhononSpectra) -> tuple[float, float]:
    every = [f for segment in spectra.bands for band in segment.frequencies_thz for f in band]
    return min(every), max(every)


def _point(name: str) -> str:
    """A special point of the Brillouin zone with its index below the line."""
    letter, index = name[:1], name[1:]
    return _GREEK.get(letter, letter) + (f"$_{index}$" if index else "")
