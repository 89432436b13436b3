"""What a ladder of fidelities saves: replayed campaigns with it, without it, and in random order."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from discover import plugins
from discover.acquisition.adapters import load_acquisition
from discover.benchmark.replay_data import load_known
from discover.benchmark.replay_world import KnownMaterials, ReplayWorld
from discover.errors import CampaignError
from discover.files import new_folder, write_atomically
from discover.objectives import Goal
from discover.properties import property_named
from discover.steering import Rules, steer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LADDER, TARGET_ONLY, RANDOM = "ladder", "target only", "random"
LABELS = {
    LADDER: "with the ladder",
    TARGET_ONLY: "the dearest fidelity only",
    RANDOM: "random order",
}


def run(
    data: Sequence[Path],
    low: Sequence[str],
    *,
    costs: Sequence[float],
    out: Path | None = None,
    property_name: str = "thermal_conductivity",
    goal: Goal = "max",
    top: int = 5,
    seeds: int = 20,
    initial: int = 3,
    surrogate: str = "multi-fidelity",
    acquisition: str = "logei",
    slots: int = 1,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Cost until half of the `top` best and until all of them are computed at the target.

    `low` are the lower fidelities, cheap to dear, and `costs` what each costs beside one calculation
    at the target. All strategies have the same surrogate, acquisition, `initial` candidates and seeds;
    random order asks no model. With `out`, `results.json` and `figure.png` are written there. Raises
    CampaignError where the data do not hold what is asked for.
    """
    if len(costs) != len(low):
        raise CampaignError(f"{len(low)} lower fidelities, {len(costs)} costs: give one for each")
    known = load_known(data, low, property_named(property_name))
    if not 1 <= top <= len(known.candidates):
        raise CampaignError(f"the best {top} of {len(known.candidates)} materials are not defined")
    if out is not None:
        new_folder(out)
    target = known.fidelities[-1]
    strategies = {
        LADDER: (known, [*costs, 1.0], initial),
        TARGET_ONLY: (known.at(target), [1.0], initial),
        RANDOM: (known.at(target), [1.0], len(known.candidates)),
    }
    curves: dict[str, list[list[float]]] = {name: [] for name in strategies}
    spent: dict[str, list[list[int]]] = {name: [] for name in strategies}
    for seed in range(seeds):
        for name, (seen, prices, explored) in strategies.items():
            world = replay(
                seen,
                prices,
                surrogate=surrogate,
                acquisition=acquisition,
                goal=goal,
                top=top,
                explored=explored,
                slots=slots,
                seed=seed,
            )
            curves[name].append(world.cost_of_sought())
            spent[name].append(world.calculations())
        told(
            f"seed {seed + 1} of {seeds}: "
            + ", ".join(f"{name} {runs[-1][-1]:.1f}" for name, runs in curves.items())
        )
    result: dict[str, Any] = {
        "materials": len(known.candidates),
        "fidelities": list(known.fidelities),
        "costs": [*costs, 1.0],
        "failed": np.isnan(known.values).sum(axis=0).tolist(),
        "top": top,
        "seeds": seeds,
        "initial": initial,
        "surrogate": surrogate,
        "acquisition": acquisition,
        "strategies": {
            name: {
                "cost_to_half": _summary([run[math.ceil(top / 2) - 1] for run in runs]),
                "cost_to_all": _summary([run[-1] for run in runs]),
                "calculations": [statistics.fmean(c) for c in zip(*spent[name], strict=True)],
                "cost_of_each": runs,
            }
            for name, runs in curves.items()
        },
    }
    for question in ("cost_to_half", "cost_to_all"):
        means = {name: s[question]["mean"] for name, s in result["strategies"].items()}
        result[question.replace("cost", "ratio")] = means[TARGET_ONLY] / means[LADDER]
    if out is not None:
        from discover.report.canvas import png

        write_atomically(out / "results.json", json.dumps(result, indent=2))
        write_atomically(out / "figure.png", png(figure(result)))
    return result


def replay(
    known: KnownMaterials,
    costs: Sequence[float],
    *,
    surrogate: str,
    acquisition: str,
    goal: Goal,
    top: int,
    explored: int,
    slots: int,
    seed: int,
) -> ReplayWorld:
    """One campaign to its end, which is when the `top` best are found; the first
    `explored` candidates are picked without a model.
    """
    world = ReplayWorld(
        known,
        plugins.create("surrogates", surrogate),
        load_acquisition(acquisition),
        costs,
        seed,
        sought=known.top(top, goal),
        goal=goal,
    )
    everything = len(known.candidates) * len(costs)
    rules = Rules(
        jobs=slots,
        calculations=everything,
        hours=None,
        failures_in_a_row=everything,
        pool_size=1,
        pool_batch=1,
        initial=explored,
        retrain_every=1,
    )
    steer(world, rules)
    return world


def figure(result: dict[str, Any]) -> Figure:
    """How many of the best were found, on average over the seeds, against what was spent."""
    from discover.report.canvas import PALETTE, legend_above, new_figure, styled

    drawn = new_figure(7.0, 3.9)
    axes = styled(drawn.subplots())
    roles = {LADDER: "model", TARGET_ONLY: "initial", RANDOM: "band"}
    end = max(max(run) for s in result["strategies"].values() for run in s["cost_of_each"])
    spent = np.linspace(0.0, end, 400)
    for name, strategy in result["strategies"].items():
        found = np.array(
            [np.searchsorted(run, spent, side="right") for run in strategy["cost_of_each"]]
        )
        mean = found.mean(axis=0)
        error = found.std(axis=0, ddof=1) / math.sqrt(len(found)) if len(found) > 1 else 0 * mean
        colour = PALETTE[roles[name]]
        axes.plot(spent, mean, color=colour, linewidth=1.7, label=LABELS[name])
        axes.fill_between(spent, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set_xlim(0, end)
    axes.set_ylim(0, result["top"] * 1.02)
    axes.set_xlabel(f"cost, in calculations of {result['fidelities'][-1]}")
    axes.set_ylabel(f"found of the best {result['top']}")
    legend_above(axes, columns=3)
    return drawn


def show(result: dict[str, Any]) -> None:
    """The result as a table."""
    from rich.console import Console
    from rich.table import Table

    below = ", ".join(
        f"{name} at {cost:.3g}"
        for name, cost in zip(result["fidelities"][:-1], result["costs"], strict=False)
    )
    table = Table(
        title=f"the best {result['top']} of {result['materials']}, {result['seeds']} seeds; below "
        f"{result['fidelities'][-1]}: {below}",
        title_justify="left",
    )
    for heading in ("", "cost to half of them", "cost to all", "calculations at each rung"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, strategy in result["strategies"].items():
        half, everything = strategy["cost_to_half"], strategy["cost_to_all"]
        table.add_row(
            LABELS[name],
            f"{half['mean']:.1f} ± {half['standard_error']:.1f}",
            f"{everything['mean']:.1f} ± {everything['standard_error']:.1f}",
            " + ".join(f"{n:.1f}" for n in strategy["calculations"]),
        )
    console = Console()
    (console if console.is_terminal else Console(width=120)).print(table)
    console.print(
        f"the ladder is {result['ratio_to_half']:.2f} times cheaper to half of them, "
        f"{result['ratio_to_all']:.2f} times to all"
    )


def _summary(values: Sequence[float]) -> dict[str, float]:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"mean": statistics.fmean(values), "standard_error": spread / math.sqrt(len(values))}
