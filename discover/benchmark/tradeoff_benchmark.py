"""`discover benchmark replay` with several targets: how fast the hypervolume of known data is found."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover.benchmark.campaign_benchmark import check_settings, durations_of
from discover.benchmark.campaigns import Array, Campaign, Settings, Sought
from discover.benchmark.kept import KeptRuns, Run
from discover.benchmark.strategies import RANDOM, RandomOrder, Strategy, shown, sources
from discover.benchmark.tradeoffs import Tradeoff, strategy
from discover.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = 1
SHUFFLES = 200
"""Random orders whose mean is what random search is expected to find."""
SHARES = (0.5, 0.8, 0.9)
"""Shares of the table's hypervolume, until which calculations are counted."""


def run(
    tradeoff: Tradeoff,
    settings: Settings,
    *,
    surrogates: Sequence[str],
    acquisitions: Sequence[str],
    seeds: int = 10,
    sigma: float = 0.0,
    out: Path,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Every surrogate with every acquisition against random order; same rows, seeds and budget.

    An acquisition for one property gets the sum of the standardized targets. A campaign ends at the
    budget, or when it has found the whole front. `results.json`, `results.csv` and `figure.png` are
    written to `out`; campaigns that are over are kept in `runs` there. Raises PluginError and DataError
    before anything is replayed.
    """
    strategies: dict[str, Callable[[], Strategy]] = {RANDOM: RandomOrder}
    strategies |= dict(strategy(tradeoff, s, a) for s in surrogates for a in acquisitions)
    check_settings(tradeoff.data, settings)
    kept = KeptRuns(out / "runs", FORMAT)
    identity = {
        "data": tradeoff.data.identity(),
        "targets": tradeoff.y.tolist(),
        "signs": tradeoff.aims.signs,
        "references": tradeoff.aims.references,
        "sigma": sigma,
        **asdict(settings),
        **sources([*surrogates, *acquisitions]),
    }
    if tradeoff.data.durations is not None:
        identity["durations"] = tradeoff.data.durations.tolist()
    runs: list[Run] = []
    for seed in range(seeds):
        for name, make in strategies.items():
            asked = {**identity, "seed": seed, "strategy": name}
            ask = partial(_replayed, tradeoff, make, settings, sigma, seed)
            made = kept.answer(asked, ask, strategy=name, seed=seed)
            runs.append(made)
            told(
                f"[{len(runs)}/{seeds * len(strategies)}] seed {seed}, {name}: "
                f"{made['volume'][-1]:.1%} of the hypervolume, {made['front']} of the front"
            )
    if notice := kept.notice():
        told(notice)
    budget = min(settings.budget, len(tradeoff.data))
    result = {
        "data": tradeoff.data.source,
        "targets": [
            {
                "column": target.name,
                "goal": "max" if sign > 0 else "min",
                "transform": target.transform,
                "reference": target.from_model(sign * reference),
            }
            for target, sign, reference in zip(
                tradeoff.aims.objectives,
                tradeoff.aims.signs,
                tradeoff.aims.references,
                strict=True,
            )
        ],
        "rows": len(tradeoff.data),
        "dropped": list(tradeoff.data.dropped),
        "front": len(tradeoff.front),
        "described_by": list(tradeoff.data.features.made_of),
        "initial": settings.initial,
        "budget": budget,
        "concurrency": settings.concurrency,
        "seeds": seeds,
        "runs_of_other_code": kept.of_other_code,
        "expected_of_random": expected_volume(tradeoff, budget).tolist(),
        "strategies": {
            name: _summary([r for r in runs if r["strategy"] == name], tradeoff, budget)
            for name in strategies
        },
    }
    from discover.report.canvas import png

    write_atomically(out / "results.json", json.dumps(result, indent=2))
    write_atomically(out / "results.csv", table(result))
    write_atomically(out / "figure.png", png(figure(result, tradeoff)))
    return result


def expected_volume(tradeoff: Tradeoff, budget: int) -> Array:
    """Mean share of the hypervolume after each of so many calculations in random order."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(tradeoff.data))[:budget].tolist() for _ in range(SHUFFLES)]
    return np.asarray(np.mean([tradeoff.volumes(order) for order in orders], axis=0))


def table(result: dict[str, Any]) -> str:
    """CSV: one row a strategy."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    asked = [f"until_{share:.0%}".rstrip("%") for share in SHARES]
    head = ["strategy", "volume_mean", "volume_standard_error", "front_found", *asked]
    writer.writerow([*head, *(f"{name}_reached" for name in asked)])
    for name, found in result["strategies"].items():
        untils = [found["until"][f"{share:.0%}"] for share in SHARES]
        writer.writerow(
            [
                name,
                found["volume"]["mean"],
                found["volume"]["standard_error"],
                found["front"],
                *(until["mean"] for until in untils),
                *(until["reached"] for until in untils),
            ]
        )
    return written.getvalue()


def figure(result: dict[str, Any], tradeoff: Tradeoff) -> Figure:
    """Share of the hypervolume against calculations; the first two targets and what was picked."""
    from discover.benchmark.campaign_report import COLOURS
    from discover.report.canvas import FONT_POINTS, PALETTE, literal, new_figure, styled

    drawn = new_figure(10.0, 4.6)
    left, right = map(styled, drawn.subplots(1, 2))
    steps = np.arange(1, result["budget"] + 1)
    left.axvspan(1, result["initial"], color=PALETTE["band"], alpha=0.1, linewidth=0)
    expected = 100 * np.array(result["expected_of_random"])
    left.plot(
        steps, expected, color=PALETTE["muted"], dashes=(4, 2.5), lw=1.2, label="random, expected"
    )
    colours = dict(zip((n for n in result["strategies"] if n != RANDOM), COLOURS, strict=False))
    for name, found in result["strategies"].items():
        each = 100 * np.array([run["volume"] for run in found["runs"]])
        mean, colour = each.mean(axis=0), colours.get(name, PALETTE["band"])
        left.plot(steps, mean, color=colour, linewidth=1.6, label=literal(shown(name)))
        error = each.std(axis=0, ddof=1) / math.sqrt(len(each)) if len(each) > 1 else 0 * mean
        left.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.12, linewidth=0)
    left.set_xlim(1, result["budget"])
    left.set_ylim(0, 102)
    left.set_xlabel("calculations")
    left.set_ylabel("hypervolume found (% of the table's)")
    best = max(colours, key=lambda name: result["strategies"][name]["volume"]["mean"])
    rows = np.searchsorted(tradeoff.data.rows, result["strategies"][best]["runs"][0]["rows"])
    front = sorted(tradeoff.front, key=lambda row: tradeoff.y[row, 0])
    x, y = tradeoff.y[:, 0], tradeoff.y[:, 1]
    right.scatter(x, y, s=7, color=PALETTE["line"], label="all rows", zorder=2)
    right.scatter(
        x[rows],
        y[rows],
        s=20,
        color=colours[best],
        edgecolor=PALETTE["surface"],
        linewidth=0.6,
        zorder=3,
        label=f"picked by {literal(shown(best))} (one seed)",
    )
    right.plot(
        x[front],
        y[front],
        color=PALETTE["ink"],
        marker="o",
        markersize=7,
        markerfacecolor="none",
        linestyle="none",
        zorder=4,
        label="front of the table",
    )
    for axis, target in zip(("x", "y"), result["targets"], strict=False):
        scale = "log₁₀ " if target["transform"] == "log10" else ""
        said = literal(f"{scale}{target['column']} ({target['goal']})", 56)
        getattr(right, f"set_{axis}label")(said)
    for axes in (left, right):
        axes.legend(
            loc="lower right" if axes is left else "best",
            frameon=False,
            fontsize=FONT_POINTS - 0.5,
            labelcolor=PALETTE["ink"],
        )
    return drawn


def show(result: dict[str, Any]) -> None:
    """The result as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    goals = ", ".join(f"{target['goal']} {target['column']}" for target in result["targets"])
    printed = Table(
        title=f"{goals}; {result['rows']} rows, {result['front']} on the front; initial "
        f"{result['initial']}, {result['concurrency']} at once, budget {result['budget']}, "
        f"{result['seeds']} seeds",
        title_justify="left",
    )
    for heading in ("strategy", "hypervolume", "of the front", *(f"until {s:.0%}" for s in SHARES)):
        printed.add_column(heading, justify="left" if heading == "strategy" else "right")
    printed.add_row("random, expected", f"{result['expected_of_random'][-1]:.1%}", *[""] * 4)
    for name, found in result["strategies"].items():
        volume = found["volume"]
        printed.add_row(
            shown(name),
            f"{volume['mean']:.1%} ± {volume['standard_error']:.1%}",
            f"{found['front']:.1f}",
            *(_cell(found["until"][f"{share:.0%}"], result["seeds"]) for share in SHARES),
        )
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(printed)


def _cell(until: dict[str, Any], seeds: int) -> str:
    bound = "" if until["reached"] == seeds else "≥ "
    return f"{bound}{until['mean']:.1f} ({until['reached']} of {seeds})"


def _replayed(
    tradeoff: Tradeoff, picker: Callable[[], Strategy], settings: Settings, sigma: float, seed: int
) -> Run:
    """One campaign: what it picked, and the share of the hypervolume after each calculation."""
    data, front = tradeoff.data, tradeoff.front
    sought = Sought(front, front)
    campaign = Campaign(data, picker(), settings, sought, durations_of(data, sigma, seed), seed)
    campaign.run()
    volume = tradeoff.volumes(campaign.collected)
    budget = min(settings.budget, len(data))
    return {
        "rows": campaign.collected,
        "volume": [*volume, *[volume[-1]] * (budget - len(volume))],
        "front": len(front & set(campaign.collected)),
        "selection_seconds": [one.seconds for one in campaign.selected],
        "refusals": sorted(set(campaign.refusals)),
    }


def _summary(runs: Sequence[Run], tradeoff: Tradeoff, budget: int) -> dict[str, Any]:
    """Means over the seeds; a campaign that did not come so far counts with all of its budget.

    Its `rows` are those of the file, counted from 0 before any was dropped.
    """
    data = tradeoff.data
    final = [run["volume"][-1] for run in runs]
    seconds = [second for run in runs for second in run["selection_seconds"]]
    until = {}
    for share in SHARES:
        counts = [int(np.searchsorted(run["volume"], share)) + 1 for run in runs]
        until[f"{share:.0%}"] = {
            "mean": float(np.mean([min(count, budget) for count in counts])),
            "reached": sum(count <= budget for count in counts),
        }
    spread = float(np.std(final, ddof=1)) if len(final) > 1 else 0.0
    return {
        "volume": {
            "mean": float(np.mean(final)),
            "standard_error": spread / math.sqrt(len(final)),
        },
        "front": float(np.mean([run["front"] for run in runs])),
        "until": until,
        "selection_seconds": float(np.mean(seconds)) if seconds else None,
        "refusals": sorted({reason for run in runs for reason in run["refusals"]}),
        "runs": [
            {key: run[key] for key in ("seed", "volume", "front")}
            | {
                "rows": data.rows[run["rows"]].tolist(),
                "ids": [data.ids[row] for row in run["rows"]],
            }
            for run in runs
        ],
    }
