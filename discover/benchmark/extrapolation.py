"""How surrogates predict outside of what they were trained on, against two baselines in the same run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.benchmark.datasets import DataSet
from discover.benchmark.extrapolation_report import FOREST, figure, table
from discover.benchmark.extrapolation_splits import Fold, Split
from discover.benchmark.kept import KeptRuns, Run
from discover.benchmark.metrics import METRICS, evaluate, paired, spread
from discover.benchmark.select import import_libraries
from discover.benchmark.strategies import fit_surrogate, sources
from discover.errors import DataError, DiscoverError, SurrogateError
from discover.files import write_atomically
from discover.records import content_hash

Array = npt.NDArray[np.float64]

TRAIN_MEAN = "train mean"
BASELINES = (TRAIN_MEAN, FOREST)
"""The mean and spread of the training targets; scikit-learn's forest, mean and spread of its trees."""
RELATIVE_FLOOR = 1e-12
"""Smallest standard deviation of a baseline beside the range of the target."""
CHUNK = 256
"""Rows whose joint posterior is asked for at once."""
FORMAT = 1
"""Of the files that are kept in `runs`."""

Told = Callable[[str], None]


class Predicted(NamedTuple):
    """Mean and standard deviation (noise included) for the rows that were tested."""

    mean: Array
    std: Array


def run(
    data: DataSet,
    splits: Sequence[Split],
    surrogates: Sequence[str],
    *,
    seeds: int = 5,
    out: Path,
    told: Told = lambda _: None,
) -> dict[str, Any]:
    """Every surrogate and the baselines on every split and seed; the answer is also in `out`.

    `results.json`, `results.csv` and `figure.png` are written there; what is done is kept in `runs`, so
    that the same call goes on where a killed one was. A fit that fails is kept with its reason, and
    its metrics are missing. Raises, before anything is fitted, PluginError for an unknown surrogate and
    DataError for a split without a fold that is large enough.
    """
    for name in surrogates:
        plugins.create("surrogates", name)
    planned = {(split.name, seed): split.folds(seed) for split in splits for seed in range(seeds)}
    for (name, seed), folds in planned.items():
        if not folds:
            raise DataError(f"{data.source}: the split {name!r} has no fold for the seed {seed}")
    kept = KeptRuns(out / "runs", FORMAT)
    identity = data.identity()
    models = list(dict.fromkeys([*BASELINES, *surrogates]))
    total, done = len(splits) * seeds * len(models), 0
    runs: list[Run] = []
    for split in splits:
        for seed in range(seeds):
            for model in models:
                folds = planned[split.name, seed]
                asked = _question(identity, split, seed, model, folds)
                ask = partial(_judged, data, model, folds, seed)
                made = kept.answer(asked | sources([model]), ask, **asked)
                runs.append(made)
                done += 1
                told(f"[{done}/{total}] {split.name}, seed {seed}, {model}: {_in_words(made)}")
    if notice := kept.notice():
        told(notice)
    result = {
        "data": data.source,
        "target": data.target,
        "transform": data.transform,
        "rows": len(data),
        "censored": int((data.censored != 0).sum()),
        "dropped": list(data.dropped),
        "described_by": list(data.features.made_of),
        "descriptors": len(data.features.names),
        "grouped_by": data.grouped_by,
        "seeds": seeds,
        "runs_of_other_code": kept.of_other_code,
        "splits": [split.name for split in splits],
        "models": models,
        "summary": summary(data, runs, [split.name for split in splits], models),
        "runs": [{k: v for k, v in made.items() if k != "predictions"} for made in runs],
    }
    from discover.report.canvas import png

    write_atomically(out / "results.json", json.dumps(result, indent=2))
    write_atomically(out / "results.csv", table(result))
    write_atomically(out / "figure.png", png(figure(result)))
    return result


def summary(
    data: DataSet, runs: Sequence[Run], splits: Sequence[str], models: Sequence[str]
) -> list[dict[str, Any]]:
    """One entry a split and model: each metric's mean over the folds, its spread over seeds; tests.

    The paired tests compare absolute errors on the same rows with each baseline's: averaged over folds
    and seeds and within groups, then Wilcoxon's signed ranks.
    """
    entries = []
    for split in splits:
        of_split = [made for made in runs if made["split"] == split]
        errors = {m: _errors(data, [r for r in of_split if r["model"] == m]) for m in models}
        for model in models:
            own = [made for made in of_split if made["model"] == model]
            entry: dict[str, Any] = {"split": split, "model": model}
            entry["metrics"] = {
                name: spread([_mean(fold["metrics"][name] for fold in r["folds"]) for r in own])
                for name in METRICS
            }
            entry["seconds"] = float(np.mean([made["seconds"] for made in own]))
            entry["failed"] = sum(fold["reason"] is not None for r in own for fold in r["folds"])
            entry["against"] = {
                baseline: _compared(data, errors[model], errors[baseline])
                for baseline in BASELINES
                if baseline != model
            }
            entries.append(entry)
    return entries


def predict(data: DataSet, model: str, fold: Fold, seed: int) -> Predicted:
    """Fits a surrogate or baseline on a fold's training rows and asks for the others.

    Raises SurrogateError where it cannot be fitted.
    """
    x, y, unit = data.x[fold.train], data.y[fold.train], data.unit
    smallest = RELATIVE_FLOOR * float(np.ptp(data.y))
    if model == TRAIN_MEAN:
        n = len(fold.test)
        return Predicted(np.full(n, y.mean()), np.full(n, max(float(y.std(ddof=1)), smallest)))
    import torch

    if model == FOREST:
        from sklearn.ensemble import RandomForestRegressor

        from surrogates.scaling import for_single_precision, level

        offset, scale = (each.numpy() for each in for_single_precision(torch.from_numpy(x)))
        forest, centre = RandomForestRegressor(100, random_state=seed), level(y)
        forest.fit((x - offset) / scale, (y - centre) / unit)
        asked = (data.x[fold.test] - offset) / scale
        trees = centre + unit * np.stack([t.predict(asked) for t in forest.estimators_])
        return Predicted(trees.mean(axis=0), trees.std(axis=0).clip(min=smallest))

    from surrogates.validation import predict as ask

    fitted = fit_surrogate(plugins.create("surrogates", model), data.training(fold.train), seed)
    parts = [ask(fitted, part) for part in torch.from_numpy(data.x[fold.test]).split(CHUNK)]
    mean, std = (np.concatenate(which) for which in zip(*parts, strict=True))
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise SurrogateError(f"{model} predicts values that are not finite")
    return Predicted(unit * mean, unit * std)


def _question(
    identity: str, split: Split, seed: int, model: str, folds: Sequence[Fold]
) -> dict[str, Any]:
    """What an answer in `runs` is the answer to."""
    rows = [[fold.train.tolist(), fold.test.tolist()] for fold in folds]
    return {
        "format": FORMAT,
        "data": identity,
        "split": split.name,
        "seed": seed,
        "model": model,
        "folds": content_hash({"rows": rows}),
    }


def _judged(data: DataSet, model: str, folds: Sequence[Fold], seed: int) -> Run:
    """One surrogate on all folds of a split for one seed."""
    import_libraries()
    started = time.perf_counter()
    judged, predictions = [], []
    for fold in folds:
        reason, metrics, rows = None, dict.fromkeys(METRICS), []
        observed, censored = data.y[fold.test], data.censored[fold.test]
        try:
            mean, std = predict(data, model, fold, seed)
            metrics = evaluate(observed, mean, std, censored)
            rows = np.column_stack([fold.test, mean, std]).tolist()
        except Exception as error:  # noqa: BLE001 - a refusal, or whatever a plug-in raises
            kind = "" if isinstance(error, DiscoverError) else f"{type(error).__name__}: "
            reason = f"{kind}{error}"
        judged.append(
            {
                "label": fold.label,
                "train": len(fold.train),
                "test": len(fold.test),
                "metrics": metrics,
                "reason": reason,
            }
        )
        predictions.append(rows)
    return {
        "seconds": time.perf_counter() - started,
        "folds": judged,
        "predictions": predictions,
    }


def _errors(data: DataSet, runs: Sequence[Run]) -> dict[int, float]:
    """Mean absolute error of each tested row over folds and seeds."""
    found: dict[int, list[float]] = {}
    for made in runs:
        for row, mean, _ in (p for fold in made["predictions"] for p in fold):
            found.setdefault(int(row), []).append(abs(float(data.y[int(row)]) - mean))
    return {row: float(np.mean(errors)) for row, errors in found.items()}


def _compared(
    data: DataSet, ours: dict[int, float], baseline: dict[int, float]
) -> dict[str, float | None]:
    rows = sorted(set(ours) & set(baseline))
    if not rows:
        return {"difference": None, "p_value": None}
    a, b = (np.array([errors[row] for row in rows]) for errors in (ours, baseline))
    return dict(paired(a, b, data.groups[rows])._asdict())


def _mean(values: Any) -> float | None:
    mean = spread(list(values))["mean"]
    return None if mean is None else float(mean)


def _in_words(made: Run) -> str:
    reasons = [fold["reason"] for fold in made["folds"] if fold["reason"]]
    if reasons:
        return f"{len(reasons)} of {len(made['folds'])} fits failed: {reasons[0]}"
    mae, rmse = (_mean(fold["metrics"][name] for fold in made["folds"]) for name in ("mae", "rmse"))
    return f"MAE {mae:.3g}, RMSE {rmse:.3g}, {made['seconds']:.1f} s"
