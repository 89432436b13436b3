"""Replayed campaigns as a table for machines, a table for people, and a figure."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from discover.benchmark.strategies import RANDOM, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#5b3a8c")
"""Okabe and Ito's, the light yellow left out, and two more; styles tell apart what comes after."""
STYLES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
ASKED = {"best": "the best", "half": "50 % of the top", "most": "90 % of the top"}


def table(result: dict[str, Any]) -> str:
    """CSV: one row a strategy."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    suffixes = ("mean", "standard_error", "reached", "relative_to_random", "enrichment_simulated")
    told = ("share_of_top_found", "selection_seconds", "selection_peak_mib")
    writer.writerow(["strategy", *(f"{q}_{s}" for q in ASKED for s in suffixes), *told])
    for name, strategy in result["strategies"].items():
        cells = [strategy["until"][q][s] for q in ASKED for s in suffixes]
        more = [strategy[key] for key in told]
        writer.writerow([name, *cells, *more])
    return written.getvalue()


def figure(result: dict[str, Any], y: Array) -> Figure:
    """Share of the top found and best value so far against calculations; random's expectation dashed."""
    from discover.report.canvas import FONT_POINTS, PALETTE, literal, new_figure, styled

    drawn = new_figure(10.0, 4.6)
    left, right = drawn.subplots(1, 2)
    budget = min(result["budget"], result["rows"])
    steps = np.arange(1, budget + 1)
    for axes in (styled(left), styled(right)):
        axes.set_xlim(1, budget)
        axes.set_xlabel("calculations")
        axes.axvspan(1, result["initial"], color=PALETTE["band"], alpha=0.1, linewidth=0)
    left.plot(
        steps,
        100 * steps / result["rows"],
        color=PALETTE["muted"],
        dashes=(4, 2.5),
        linewidth=1.2,
        label="random, expected",
    )
    models = [name for name in result["strategies"] if name != RANDOM]
    for name, strategy in result["strategies"].items():
        place = models.index(name) if name in models else 0
        colour = PALETTE["band"] if name == RANDOM else COLOURS[place % len(COLOURS)]
        style = STYLES[place // len(COLOURS) % len(STYLES)]
        found = np.array(
            [np.searchsorted(run["found_after"], steps, side="right") for run in strategy["runs"]]
        )
        _mean_line(left, steps, 100 * found / result["top"], colour, style, literal(shown(name)))
        best = np.array([_padded(run["best_so_far"], budget) for run in strategy["runs"]])
        _mean_line(right, steps, best, colour, style, name)
    left.set_ylim(0, 102)
    left.set_ylabel(f"found of the top {result['top']} (%)")
    limits = {"max": y.max(), "min": y.min(), "extremes": np.ptp(y)}
    right.axhline(limits[result["goal"]], color=PALETTE["line"], linewidth=1.2, zorder=1)
    scale = "log₁₀ " if result["transform"] == "log10" else ""
    what = "range covered of" if result["goal"] == "extremes" else "best so far:"
    right.set_ylabel(literal(f"{what} {scale}{result['target']}", 48))
    handles, labels = left.get_legend_handles_labels()
    drawn.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=max(1, min(3, 120 // max(map(len, labels)))),
        frameon=False,
        fontsize=FONT_POINTS,
        labelcolor=PALETTE["ink"],
        handlelength=2.2,
    )
    return drawn


def show(result: dict[str, Any]) -> None:
    """The result as a table on the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    goal = f"{result['goal']} of {escape(result['target'])}"
    found = f"{result['rows']} rows, top {result['top']}"
    run = f"initial {result['initial']}, {result['concurrency']} at once, budget {result['budget']}"
    seeds = f"{result['seeds']} seed{'s' if result['seeds'] > 1 else ''}"
    printed = Table(
        title=f"{goal}, {found}; {run}, {seeds}. Calculations until ... are found, relative to random",
        title_justify="left",
    )
    printed.add_column("strategy", no_wrap=True)
    for text in ASKED.values():
        printed.add_column(text, justify="right")
    printed.add_column("s a selection", justify="right")
    printed.add_column("peak (MiB)", justify="right")
    expected = result["expected_of_random"]
    printed.add_row("random, expected", *(f"{expected[q]:.0f}" for q in ASKED), "", "")
    for name, strategy in result["strategies"].items():
        cells = [_cell(strategy["until"][q], result["seeds"]) for q in ASKED]
        seconds, peak = strategy["selection_seconds"], strategy["selection_peak_mib"]
        more = ["" if seconds is None else f"{seconds:.2f}", "" if peak is None else f"{peak:.0f}"]
        printed.add_row(shown(name), *cells, *more)
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(printed)
    if any(
        s["until"][q]["reached"] < result["seeds"]
        for s in result["strategies"].values()
        for q in ASKED
    ):
        console.print("≥: some campaigns ended at the budget, which counts in their place")
    for name, strategy in result["strategies"].items():
        if strategy["refusals"]:
            console.print(
                f"{shown(name)}: {strategy['picked_without_model']} of {strategy['picks']} picks after "
                f"the initial ones in random order: {'; '.join(strategy['refusals'])}",
                markup=False,
                soft_wrap=True,
            )


def _cell(until: dict[str, Any], seeds: int) -> str:
    bound = "" if until["reached"] == seeds else "≥ "
    relative = until["relative_to_random"]
    return (
        f"{bound}{until['mean']:.1f} ± {until['standard_error']:.1f}"
        f"  {'–' if relative is None else f'{bound}{relative:.2f}'}"
    )


def _padded(values: list[float], n: int) -> Array:
    """Values up to n; a campaign that found all before goes on with its best."""
    return np.array([*values, *[values[-1]] * (n - len(values))][:n])


def _mean_line(axes: Axes, steps: Array, each: Array, colour: str, style: Any, name: str) -> None:
    mean = each.mean(axis=0)
    axes.plot(steps, mean, color=colour, linestyle=style, linewidth=1.6, label=name)
    if len(each) > 1:
        error = each.std(axis=0, ddof=1) / np.sqrt(len(each))
        axes.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)
