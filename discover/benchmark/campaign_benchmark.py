"""`discover benchmark replay` with one fidelity: strategies and peers on the same known data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from discover.benchmark import peers as others
from discover.benchmark.campaigns import (
    Array,
    Campaign,
    Settings,
    Sought,
    best_so_far,
    expected_draws,
    seek,
)
from discover.benchmark.datasets import DataSet
from discover.benchmark.kept import KeptRuns, Run
from discover.benchmark.metrics import spread
from discover.benchmark.select import import_libraries
from discover.benchmark.strategies import RANDOM, ByModel, RandomOrder, Strategy, sources
from discover.errors import DataError
from discover.files import write_atomically

Told = Callable[[str], None]

QUESTIONS = ("best", "half", "most")
"""Until the best, 50 % and 90 % of the top are found."""
FORMAT = 1


def run(
    data: DataSet,
    settings: Settings,
    *,
    surrogates: Sequence[str],
    acquisitions: Sequence[str],
    top: str = "1%",
    seeds: int = 10,
    sigma: float = 0.0,
    peers: bool = False,
    out: Path,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Every surrogate with every acquisition, random order and, with `peers`, those installed.

    All have the same data, initial points, seeds and budget. `top` is a number or a share of the rows.
    A calculation takes what the data say, or a log-normal time whose logarithm has the deviation
    `sigma`. `results.json`, `results.csv` and `figure.png` are written to `out`; campaigns that are over
    are kept in `runs` there, so that the same call goes on where a killed one was. Raises PluginError
    and DataError before anything is replayed.
    """
    strategies, skipped = _strategies(surrogates, acquisitions, settings, peers=peers)
    for name, reason in skipped.items():
        told(f"{name}: left out: {reason}")
    check_settings(data, settings)
    n_top = top_rows(top, len(data))
    sought = seek(data.y, settings.goal, n_top, data.censored)
    kept = KeptRuns(out / "runs", FORMAT)
    identity = {"data": data.identity(), "sigma": sigma, "top": n_top, **asdict(settings)}
    identity |= sources([*surrogates, *acquisitions])
    if len(sought.best) > sought.best_needed or len(sought.top) > n_top:  # rows that are as good
        identity["as_good"] = [len(sought.best), len(sought.top)]
    if sought != seek(data.y, settings.goal, n_top):  # some bounds lie where values are sought
        identity["sought"] = sorted(sought.top)
    if data.durations is not None:
        identity["durations"] = data.durations.tolist()
    for question, (_, count) in wanted(sought).items():
        if count > settings.budget:
            told(f"{question}: a budget of {settings.budget} cannot find {count} rows")
    runs: list[Run] = []
    for seed in range(seeds):
        durations = durations_of(data, sigma, seed)
        for name, make in strategies.items():
            asked = {**identity, "seed": seed, "strategy": name}
            ask = partial(_replayed, data, make, settings, sought, durations, seed)
            made = kept.answer(asked, ask, strategy=name, seed=seed)
            runs.append(made)
            told(f"[{len(runs)}/{seeds * len(strategies)}] seed {seed}, {name}: {_in_words(made)}")
    if notice := kept.notice():
        told(notice)
    result = {
        "data": data.source,
        "target": data.target,
        "transform": data.transform,
        "rows": len(data),
        "dropped": list(data.dropped),
        "described_by": list(data.features.made_of),
        "descriptors": len(data.features.names),
        **asdict(settings),
        "sigma": sigma,
        "durations": None if data.durations is None else data.durations.tolist(),
        "top": len(sought.top),
        "seeds": seeds,
        "runs_of_other_code": kept.of_other_code,
        "skipped": skipped,
        "expected_of_random": expectations(sought, len(data)),
        "strategies": {
            name: _summary([r for r in runs if r["strategy"] == name], sought, data, settings)
            for name in strategies
        },
    }
    _compare(result)
    from discover.benchmark.campaign_report import figure, table
    from discover.report.canvas import png

    write_atomically(out / "results.json", json.dumps(result, indent=2))
    write_atomically(out / "results.csv", table(result))
    write_atomically(out / "figure.png", png(figure(result, data.y)))
    return result


def top_rows(top: str, rows: int) -> int:
    """How many rows `top` means: a number, `5%`, or a share such as 0.05; one at least."""
    text = top.strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    share = value / 100 if text.endswith("%") else value
    whole = not text.endswith("%") and value >= 1
    if not 0 < (1 if whole else share) <= 1 or (whole and (value > rows or value != int(value))):
        raise DataError(f"--top {top!r}: give a number up to {rows}, or a share such as 5% or 0.05")
    return int(value) if whole else max(1, round(share * rows))


def wanted(sought: Sought) -> dict[str, tuple[frozenset[int], int]]:
    """For each of the `QUESTIONS`: rows to be found, and how many of them."""
    n = len(sought.top)
    return {
        "best": (sought.best, sought.best_needed),
        "half": (sought.top, math.ceil(0.5 * n)),
        "most": (sought.top, math.ceil(0.9 * n)),
    }


def expectations(sought: Sought, rows: int) -> dict[str, float]:
    """Calculations that random search is expected to need, without a budget."""
    return {
        question: expected_draws(count, len(of), rows)
        for question, (of, count) in wanted(sought).items()
    }


def _strategies(
    surrogates: Sequence[str], acquisitions: Sequence[str], settings: Settings, *, peers: bool
) -> tuple[dict[str, Callable[[], Strategy]], dict[str, str]]:
    """Strategies by name, random order first, and peers that cannot run with the reason."""
    found: dict[str, Callable[[], Strategy]] = {RANDOM: RandomOrder}
    for surrogate in surrogates:
        for acquisition in acquisitions:
            ByModel(surrogate, acquisition)
            found[f"{surrogate} + {acquisition}"] = _by_model(surrogate, acquisition)
    skipped: dict[str, str] = {}
    for name in others.PEERS if peers else ():
        reason = others.missing(name)
        if settings.goal == "extremes":
            reason = "peers search one end of the range only"
        if reason:
            skipped[name] = reason
        else:
            found[name] = others.PEERS[name][1]
    return found, skipped


def _by_model(surrogate: str, acquisition: str) -> Callable[[], Strategy]:
    return lambda: ByModel(surrogate, acquisition)


def check_settings(data: DataSet, settings: Settings) -> None:
    """DataError where there is nothing left for a model to pick."""
    if not settings.initial < settings.budget:
        raise DataError(
            f"--initial {settings.initial} leaves nothing of --budget {settings.budget} to a model"
        )
    if settings.initial >= len(data):
        raise DataError(f"--initial {settings.initial}: there are only {len(data)} rows")
    if settings.concurrency >= (calculations := min(settings.budget, len(data))):
        raise DataError(
            f"--concurrency {settings.concurrency}: all {calculations} calculations begin before the "
            "first result, and no model picks any"
        )


def durations_of(data: DataSet, sigma: float, seed: int) -> Array:
    """How long each row takes: as the data say, or log-normal with this deviation of the logarithm."""
    if data.durations is not None:
        return data.durations
    draws = np.random.default_rng([seed, 1]).standard_normal(len(data))
    return np.exp(sigma * draws - 0.5 * sigma**2)


def _replayed(
    data: DataSet,
    strategy: Callable[[], Strategy],
    settings: Settings,
    sought: Sought,
    durations: Array,
    seed: int,
) -> Run:
    """One campaign, and when it found what; None for what it had not found at the end of the budget."""
    import_libraries()
    campaign = Campaign(data, strategy(), settings, sought, durations, seed)
    campaign.run()
    after: dict[str, int | None] = {}
    for question, (rows, count) in wanted(sought).items():
        found = campaign.found_after(rows)
        after[question] = found[count - 1] if len(found) >= count else None
    return {
        "rows": campaign.collected,
        "best_so_far": best_so_far(
            data.y, campaign.collected, settings.goal, data.censored
        ).tolist(),
        "found_after": campaign.found_after(sought.top),
        "until": after,
        "selection_seconds": [s.seconds for s in campaign.selected],
        "peak_mib": max((s.peak_mib for s in campaign.selected), default=None),
        "refusals": sorted(set(campaign.refusals)),
    }


def _summary(
    runs: Sequence[Run], sought: Sought, data: DataSet, settings: Settings
) -> dict[str, Any]:
    """Means over the seeds; a campaign that ended before counts with all of its budget.

    Its `rows` are those of the file, counted from 0 before any was dropped; `picks` those after the
    initial ones.
    """
    budget = min(settings.budget, len(data))
    found: dict[str, Any] = {}
    for question in QUESTIONS:
        values = [r["until"][question] for r in runs]
        stats = spread([float(budget if v is None else v) for v in values])
        found[question] = {
            "mean": stats["mean"],
            "standard_error": (stats["std"] or 0.0) / math.sqrt(len(values)),
            "reached": sum(v is not None for v in values),
            "each": values,
        }
    later = [max(0, len(r["rows"]) - settings.initial) for r in runs]
    seconds = [s for r in runs for s in r["selection_seconds"]]
    peaks = [r["peak_mib"] for r in runs if r["peak_mib"] is not None]
    return {
        "until": found,
        "share_of_top_found": float(np.mean([len(r["found_after"]) for r in runs]))
        / len(sought.top),
        "selection_seconds": float(np.mean(seconds)) if seconds else None,
        "selection_peak_mib": max(peaks, default=None),
        "refusals": sorted({reason for r in runs for reason in r["refusals"]}),
        "picks": sum(later),
        "picked_without_model": sum(
            max(0, picks - len(r["selection_seconds"]))
            for picks, r in zip(later, runs, strict=True)
        ),
        "runs": [
            {
                "seed": r["seed"],
                "rows": data.rows[r["rows"]].tolist(),
                "ids": [data.ids[row] for row in r["rows"]],
            }
            | {
                key: r[key]
                for key in ("best_so_far", "found_after", "until", "selection_seconds", "peak_mib")
            }
            for r in runs
        ],
    }


def _compare(result: dict[str, Any]) -> None:
    """Adds to each strategy the enrichment over random: expected, and simulated in the same run.

    None where no campaign found what is asked for: the budget says nothing of it. Where some did not,
    the mean is a lower bound, and with it what is relative to random; the simulated one is None where
    some campaign of random order did not.
    """
    simulated = result["strategies"][RANDOM]["until"]
    for strategy in result["strategies"].values():
        for question in QUESTIONS:
            own = strategy["until"][question]
            expected, found = result["expected_of_random"][question], own["reached"] > 0
            own["relative_to_random"] = own["mean"] / expected if found else None
            own["enrichment"] = expected / own["mean"] if found else None
            own["enrichment_simulated"] = (
                simulated[question]["mean"] / own["mean"]
                if found and None not in simulated[question]["each"]
                else None
            )


def _in_words(made: Run) -> str:
    said = [
        f"{question} {'not found' if count is None else count}"
        for question, count in made["until"].items()
    ]
    seconds = made["selection_seconds"]
    took = f", {np.mean(seconds):.2f} s a selection" if seconds else ""
    if not seconds and made["refusals"]:
        took = f", all in random order: {'; '.join(made['refusals'])}"
    return f"{', '.join(said)}{took}"
