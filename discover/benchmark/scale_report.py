"""What `discover benchmark scale` measured: tables for people, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.table import Table


def show(result: dict[str, Any]) -> None:
    """The result as tables on the terminal."""
    from rich.console import Console

    console = Console(highlight=False)
    shown = console if console.is_terminal else Console(width=140, highlight=False)
    for part, made in (("relaxation", _relaxation), ("loop", _loop), ("memory", _memory)):
        if rows := result.get(part):
            shown.print(made(rows))
    where = result["machine"]
    shown.print(f"{where['cores']} cores, load {where['load_1_min']:.1f} at the beginning")


def figure(result: dict[str, Any]) -> Figure:
    """Relaxations a minute by workers (some simulated), and the busy share of slots beside its goal."""
    from discover.report.canvas import new_figure, styled

    drawn = new_figure(9.0, 3.6)
    left, right = drawn.subplots(1, 2)
    _draw_relaxation(styled(left), result.get("relaxation", []))
    _draw_loop(styled(right), result.get("loop", []))
    return drawn


def _draw_relaxation(axes: Axes, rows: list[dict[str, Any]]) -> None:
    from discover.report.canvas import FONT_POINTS, PALETTE

    colours = {"threads": PALETTE["model"], "dask": PALETTE["miss"]}
    names = [
        f"{row['runner']}\n{row['workers']}" + ("\nsim." if row["simulated"] else "")
        for row in rows
    ]
    places = range(len(rows))
    rates = [row["structures_per_minute"] for row in rows]
    axes.bar(places, rates, color=[colours[row["runner"]] for row in rows], width=0.7)
    for place, rate in zip(places, rates, strict=True):
        axes.annotate(f"{rate:.0f}", (place, rate), ha="center", va="bottom", fontsize=FONT_POINTS)
    axes.set_xticks(list(places), names, fontsize=FONT_POINTS)
    if rates:
        axes.set_yscale("log")
        axes.set_ylim(min(rates) / 2, 2 * max(rates))
    axes.set_ylabel("structures relaxed a minute")


def _draw_loop(axes: Axes, rows: list[dict[str, Any]]) -> None:
    from discover.report.canvas import FONT_POINTS, PALETTE

    slots = [row["slots"] for row in rows]
    shares = [row["slots_busy"] for row in rows]
    axes.plot(slots, shares, "o-", color=PALETTE["model"], label="measured")
    aimed = [row for row in rows if row["goal"] is not None]
    axes.plot(
        [row["slots"] for row in aimed],
        [row["goal"] for row in aimed],
        "_",
        markersize=18,
        color=PALETTE["miss"],
        label="goal",
    )
    if rows:
        axes.set_xscale("log", base=2)
        axes.set_xticks(slots, [str(n) for n in slots])
        axes.set_ylim(min([0.95, *shares]) - 0.005, 1.003)
        axes.legend(frameon=False, fontsize=FONT_POINTS, loc="lower left")
    axes.set_xlabel("job slots (simulated jobs)")
    axes.set_ylabel("share of the time that slots are busy")


def _relaxation(rows: list[dict[str, Any]]) -> Table:
    cells = [
        (
            row["runner"],
            str(row["workers"]),
            f"simulated, {row['chunk_seconds']:g} s a chunk"
            if row["simulated"]
            else row["potential"],
            f"{row['structures_per_minute']:.0f}",
            f"{row['efficiency']:.2f}" if row["simulated"] else "",
            "" if row["simulated"] else f"{1000 * row['batch_overhead_seconds']:.1f}",
        )
        for row in rows
    ]
    headings = ("runner", "workers", "work", "structures a minute", "efficiency")
    return _table("Relaxation by workers", (*headings, "overhead a batch (ms)"), cells)


def _loop(rows: list[dict[str, Any]]) -> Table:
    cells = [
        (
            str(row["slots"]),
            f"{row['slots_busy']:.4f}",
            "" if row["goal"] is None else f"{row['goal']:.2f}",
            str(row["picks"]),
            str(row["trained_on"]),
            f"{row['own_seconds_per_pick']:.2f}",
            ", ".join(
                f"{name} {step['times']} x {step['seconds'] / step['times']:.2f}"
                for name, step in row["steps"].items()
            ),
        )
        for row in rows
    ]
    headings = ("slots", "busy", "goal", "picks", "results at the end", "own s a pick", "steps (s)")
    mean = rows[0]["mean_job_seconds"] / 60
    counted = "CPU seconds" if rows[0]["cpu_time"] else "seconds"
    title = f"Slots kept busy, jobs of {mean:.0f} min on average, the loop's own {counted} counted"
    return _table(title, headings, cells)


def _memory(rows: list[dict[str, Any]]) -> Table:
    cells = [
        (
            f"{row['candidates']:,}",
            f"{row['store_mib']:.0f}",
            f"{row['descriptors_mib']:.0f}",
            f"{row['resumed_mib']:.0f}",
            f"{row['peak_mib']:.0f}",
            f"{row['resume_seconds']:.0f}",
            f"{row['steer_seconds'] / max(1, row['picks']):.1f}",
        )
        for row in rows
    ]
    headings = ("candidates", "store", "their descriptors", "once resumed", "peak while picking")
    seconds = ("s to resume", "s a pick, training included")
    return _table("Memory above the process's own, in MiB", (*headings, *seconds), cells)


def _table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    from rich.table import Table

    made = Table(title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading, justify="left" if heading in {"runner", "work"} else "right")
    for cells in rows:
        made.add_row(*cells)
    return made
