"""The extrapolation benchmark as a table for machines, a table for people, and a figure."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from discover.benchmark.metrics import METRICS
from discover.benchmark.strategies import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3
SHOWN = ("mae", "rmse", "coverage_90")
FOREST = "random forest (raw)"


def table(result: dict[str, Any]) -> str:
    """CSV: one row a split and model, mean and spread of every metric, and the paired tests."""
    baselines = sorted({name for entry in result["summary"] for name in entry["against"]})
    header = ["split", "model"]
    header += [f"{name}{suffix}" for name in METRICS for suffix in ("", "_std")]
    header += [f"{what} vs {name}" for name in baselines for what in ("difference", "p_value")]
    header += ["seconds", "failed_fits"]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(header)
    for entry in result["summary"]:
        cells = [entry["split"], entry["model"]]
        for name in METRICS:
            cells += [entry["metrics"][name]["mean"], entry["metrics"][name]["std"]]
        for name in baselines:
            compared = entry["against"].get(name, {})
            cells += [compared.get("difference"), compared.get("p_value")]
        writer.writerow([*cells, entry["seconds"], entry["failed"]])
    return written.getvalue()


def figure(result: dict[str, Any], metric: str = "mae") -> Figure:
    """One panel a split, a bar a model with its spread over seeds, baselines in grey, the best filled."""
    from discover.report.canvas import FONT_POINTS, PALETTE, literal, new_figure, styled

    splits, models = result["splits"], result["models"]
    columns = min(COLUMNS, len(splits))
    rows = math.ceil(len(splits) / columns)
    drawn = new_figure(max(7.5, 1.6 + 3.1 * columns), 0.8 + rows * (0.8 + 0.24 * len(models)))
    panels = drawn.subplots(rows, columns, squeeze=False, sharey=True)
    baselines = {name for entry in result["summary"] for name in entry["against"]}
    for place, axes in enumerate(panels.flat):
        if place >= len(splits):
            axes.set_visible(False)
            continue
        of_split = {
            e["model"]: e["metrics"][metric]
            for e in result["summary"]
            if e["split"] == splits[place]
        }
        means = {m: v["mean"] for m, v in of_split.items() if v["mean"] is not None}
        best = min(means, key=lambda name: means[name]) if means else None
        end = max(
            (v["mean"] + v["std"] for v in of_split.values() if v["mean"] is not None), default=1.0
        )
        end = end or 1.0  # all of them without any error
        styled(axes)
        axes.grid(visible=False, axis="y")
        axes.set_title(
            literal(splits[place]), loc="left", fontsize=FONT_POINTS + 1, color=PALETTE["ink"]
        )
        for height, model in enumerate(models):
            if model not in means:
                axes.text(0.02 * end, height, "no fit", **_text(PALETTE["miss"]))
                continue
            colour = PALETTE["band"] if model in baselines else PALETTE["model"]
            alpha = 1.0 if model == best else 0.45
            axes.barh(height, means[model], height=0.72, color=colour, alpha=alpha)
            std = of_split[model]["std"]
            if result["seeds"] > 1 and std:
                axes.errorbar(
                    means[model], height, xerr=std, color=PALETTE["ink"], linewidth=0.9, capsize=2
                )
            said = f"{means[model]:.3g}"
            axes.text(
                means[model] + std + 0.02 * end,
                height,
                said,
                fontweight="bold" if model == best else "normal",
                **_text(PALETTE["ink"] if model == best else PALETTE["muted"]),
            )
        axes.set_xlim(0, 1.22 * end)
        axes.set_yticks(range(len(models)), [literal(shown(model)) for model in models])
        axes.set_ylim(len(models) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
    scale = " (log₁₀)" if result["transform"] == "log10" else ""
    over = f"mean and spread over {result['seeds']} seeds" if result["seeds"] > 1 else "one seed"
    what = f"{METRICS[metric]} of {result['target']}{scale}"
    said = f"{what}; {over}, the best in full colour, baselines grey"
    drawn.supxlabel(
        literal(said, round(13 * drawn.get_figwidth())),
        fontsize=FONT_POINTS,
        color=PALETTE["ink"],
    )
    return drawn


def show(result: dict[str, Any]) -> None:
    """Errors and coverage of every model on every split, as tables on the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    scale = "log₁₀" if result["transform"] == "log10" else ""
    entries = {(e["model"], e["split"]): e for e in result["summary"]}
    for metric in SHOWN:
        unit = f" ({scale})" if scale and metric in {"mae", "rmse"} else ""
        title = f"{METRICS[metric]} of {result['target']}{unit}"
        printed = Table(title=escape(title), title_justify="left")
        printed.add_column("model", no_wrap=True)
        for split in result["splits"]:
            printed.add_column(split, justify="right")
        for model in result["models"]:
            cells = [_cell(entries[model, split], metric) for split in result["splits"]]
            printed.add_row(shown(model), *cells)
        (console if console.is_terminal else Console(width=160)).print(printed)
    console.print(
        f"± over {result['seeds']} seed{'s' if result['seeds'] > 1 else ''}; * errors smaller than the "
        "forest's with p < 0.05 (paired, Wilcoxon); results.csv has the other metrics and tests"
    )
    if result["censored"]:
        console.print(
            f"{result['censored']} of the {result['rows']} values are bounds: errors take them for "
            "values, the likelihood (nll) does not, and coverage leaves them out"
        )
    failed = {
        (run["model"], fold["reason"]): None
        for run in result["runs"]
        for fold in run["folds"]
        if fold["reason"]
    }
    for model, reason in failed:
        console.print(f"{shown(model)} could not be fitted: {reason}", markup=False, soft_wrap=True)


def _cell(entry: dict[str, Any], metric: str) -> str:
    value = entry["metrics"][metric]
    if value["mean"] is None:
        return "–"
    forest = entry["against"].get(FOREST, {})
    better = metric == "mae" and forest.get("p_value") is not None
    better = better and forest["difference"] < 0 and forest["p_value"] < 0.05
    plain = 0.01 <= value["mean"] < 1000 or metric not in {"mae", "rmse"}
    how = ".2f" if plain else ".2e"
    spread = f" ± {value['std']:{how}}" if value["n"] > 1 else ""
    return f"{value['mean']:{how}}{spread}{' *' if better else ''}"


def _text(colour: str) -> dict[str, Any]:
    from discover.report.canvas import FONT_POINTS

    return {"va": "center", "fontsize": FONT_POINTS - 1, "color": colour}
