"""How good a surrogate is on data it has not seen, and which data a model was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Predictions for n rows, each by a model that did not see the row's fold.

    `mean` and `std` (noise included) are not a number in folds whose complement could not be fitted, nor
    in rows of a lower fidelity, which are never held out.
    """

    mean: Array
    std: Array
    fold: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Validation:
    """What a model card says of a surrogate's quality, on the scale of the target.

    `metrics`: mae, rmse, spearman, coverage_50 and coverage_90 (share of held-out values inside the
    central 50 % and 90 % intervals) and nlpd (mean negative log predictive density); None where it is
    not defined. `details`: the number of folds and every held-out prediction.
    """

    metrics: dict[str, float | None]
    details: dict[str, JsonValue]


@dataclass(frozen=True)
class Question:
    """What a surrogate, fitted on `data`, predicts at `x` (n x d).

    `name` is that under which a part of a mixture is known; None: it is the surrogate itself.
    """

    surrogate: Surrogate
    name: str | None
    data: TrainingData
    x: Tensor
    seed: int

    def answer(self) -> Answer:
        """What `predict` gives; None where the data support no fit."""
        try:
            return predict(self.surrogate.fit(self.data, self.seed), self.x)
        except SurrogateError:
            return None


Answer = tuple[Array, Array] | None
Respondent = Callable[[Sequence[Question]], list[Answer]]
"""Answers questions in their order; they have nothing to do with one another."""


def in_turn(questions: Sequence[Question]) -> list[Answer]:
    """Answer one question after the other, here."""
    return [question.answer() for question in questions]


def validate(
    surrogate: Surrogate,
    data: TrainingData,
    seed: int,
    folds: int = 5,
    respondent: Respondent = in_turn,
) -> Validation:
    """Cross-validates a surrogate; costs `folds` fits on most of the data.

    Groups never straddle folds. With too few rows for any fold every metric is None. Values that are
    bounds count in no metric; `details` say on how many of them the right side was predicted. Of
    several targets each has a report of its own, and its number is put before the names of its metrics.
    """
    targets = data.y.shape[1]
    if targets == 1:
        return _report(data, held_out(surrogate, data, seed, folds, respondent))
    if getattr(surrogate, "joint", False):
        predicted = held_out_together(surrogate, data, seed, folds, respondent)
        each = [_report(data.output(j), one) for j, one in enumerate(predicted)]
    else:
        each = [
            validate(surrogate, data.output(j), seed, folds, respondent) for j in range(targets)
        ]
    return Validation(
        metrics={f"{j}.{k}": v for j, one in enumerate(each) for k, v in one.metrics.items()},
        details={"targets": [one.details for one in each]},
    )


def _report(data: TrainingData, predicted: HeldOut) -> Validation:
    """What held-out predictions of one target are worth."""
    answered = np.isfinite(predicted.mean)
    observed = data.y[:, 0].double().numpy()
    predicted = replace(predicted, std=with_known_noise(predicted.std, data))
    side = np.zeros(len(data)) if data.censored is None else data.censored[:, 0].numpy()
    rows = np.flatnonzero(answered & (side == 0))
    bounds = np.flatnonzero(answered & (side != 0))
    respected = side[bounds] * (predicted.mean[bounds] - observed[bounds]) > 0
    predictions: list[JsonValue] = [
        {
            "row": int(row),
            "observed": float(observed[row]),
            "mean": float(predicted.mean[row]),
            "std": float(predicted.std[row]),
        }
        for row in rows
    ]
    details: dict[str, JsonValue] = {
        "folds": int(predicted.fold.max()) + 1,
        "held_out": predictions,
        "domain": _by_domain(data, predicted, rows),
    }
    if len(bounds):
        details |= {"bounds": len(bounds), "bounds_respected": int(respected.sum())}
    return Validation(
        metrics=_metrics(observed[rows], predicted.mean[rows], predicted.std[rows]),
        details=details,
    )


def held_out(
    surrogate: Surrogate,
    data: TrainingData,
    seed: int,
    folds: int,
    respondent: Respondent = in_turn,
) -> HeldOut:
    """Held-out predictions for every row; a surrogate with a `held_out` of its own makes them itself.

    Of several fidelities only the target's rows are held out: what a candidate gave at the lower ones
    stays known, as it is when the loop predicts.
    """
    own = getattr(surrogate, "held_out", None)
    if own is not None:
        result: HeldOut = own(data, seed, folds)
        return result
    return held_out_each({None: surrogate}, data, seed, folds, respondent)[0]


def held_out_each(
    surrogates: Mapping[Any, Surrogate],
    data: TrainingData,
    seed: int,
    folds: int,
    respondent: Respondent = in_turn,
) -> list[HeldOut]:
    """As `held_out`, of several surrogates by name; all their fits may be made at once."""
    fold = folds_of(data, seed, folds)
    inside = [
        rows
        for k in range(int(fold.max()) + 1)
        if (rows := (fold == k) & data.at_target.numpy()).any()
    ]
    own = {name: s for name, s in surrogates.items() if hasattr(s, "held_out")}
    questions = [
        Question(surrogate, name, subset(data, ~rows), data.x[rows], seed)
        for name, surrogate in surrogates.items()
        if name not in own
        for rows in inside
    ]
    answers = iter(respondent(questions))
    found = []
    for name, surrogate in surrogates.items():
        if name in own:
            found.append(held_out(surrogate, data, seed, folds))
            continue
        mean, std = np.full((2, len(fold)), np.nan)
        for rows in inside:
            answer = next(answers)
            if answer is None:
                continue  # these rows stay not a number, and the card says how many were held out
            mean[rows], std[rows] = answer
        found.append(HeldOut(mean, std, fold))
    return found


def held_out_together(
    surrogate: Surrogate,
    data: TrainingData,
    seed: int,
    folds: int,
    respondent: Respondent = in_turn,
) -> list[HeldOut]:
    """Held-out predictions of each target, in the rows that have it, of one that learns all at once.

    A fold's rows are held out with all their targets: of a new candidate nothing is known either.
    Targets that it does not answer for stay not a number.
    """
    fold = folds_of(data, seed, folds)
    inside = [fold == k for k in range(int(fold.max()) + 1)]
    answers = respondent(
        [Question(surrogate, None, subset(data, ~rows), data.x[rows], seed) for rows in inside]
    )
    mean, std = np.full((2, *data.y.shape), np.nan)
    for rows, answer in zip(inside, answers, strict=True):
        if answer is not None:
            found = np.reshape(answer, (2, int(rows.sum()), -1))
            mean[rows, : found.shape[2]], std[rows, : found.shape[2]] = found
    known = (~data.y.isnan()).numpy()
    return [HeldOut(mean[rows, j], std[rows, j], fold[rows]) for j, rows in enumerate(known.T)]


def predict(model: Any, x: Tensor) -> tuple[Array, Array]:
    """Mean and standard deviation, noise included, of a BoTorch model at the n rows of `x` (n x d).

    Both n, or n x m of a model of m targets.
    """
    import torch

    with torch.no_grad():
        posterior = model.posterior(x.double(), observation_noise=True)
        return posterior.mean.squeeze(-1).numpy(), posterior.variance.sqrt().squeeze(-1).numpy()


def with_known_noise(std: Array, data: TrainingData) -> Array:
    """Standard deviations (n) of predictions of these n observations, their own known noise added."""
    if data.noise is None:
        return std
    return np.asarray(np.hypot(std, data.noise[:, 0].double().nan_to_num(0.0).numpy()))


def folds_of(data: TrainingData, seed: int, folds: int) -> npt.NDArray[np.int64]:
    """A fold for every row: shuffled groups dealt out in turn, never more folds than groups."""
    if folds < 2:
        raise SurrogateError(f"cross-validation needs two folds or more, got {folds}")
    groups = np.arange(len(data.x)) if data.groups is None else data.groups.numpy()
    _, group_of = np.unique(groups, return_inverse=True)
    n_groups = int(group_of.max()) + 1
    dealt = np.random.default_rng(seed).permutation(n_groups) % folds
    return np.asarray(dealt[group_of], dtype=np.int64)


def subset(data: TrainingData, rows: npt.NDArray[np.bool_]) -> TrainingData:
    """These rows of the data, with all that belongs to them."""
    import torch

    return data.rows(torch.from_numpy(rows))


def data_hash(data: TrainingData) -> str:
    """Hex digest of all that the data hold: equal data in equal order, equal hash."""
    digest = hashlib.sha256()
    parts = [data.x.double(), data.y.double(), data.groups]
    for name in ("noise", "censored"):
        part = getattr(data, name)
        if part is not None:
            digest.update(name.encode())
            parts.append(part)
    if data.categorical:
        digest.update(f"categorical{data.categorical}".encode())
    for part in parts:
        array = np.array(()) if part is None else part.numpy()
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _by_domain(
    data: TrainingData, predicted: HeldOut, rows: npt.NDArray[np.int64]
) -> dict[str, JsonValue]:
    """Coverage of these held-out rows, inside and outside of what the other folds hold."""
    import torch

    from surrogates.calibration import Judged, report
    from surrogates.domain import Domain

    outside = np.zeros(len(data), dtype=bool)
    x, at_target = data.descriptors.double(), data.at_target.numpy()
    for k in np.unique(predicted.fold[rows]):
        known, asked = (predicted.fold != k) & at_target, predicted.fold == k
        outside[asked] = (
            Domain(x[torch.from_numpy(known)]).outside(x[torch.from_numpy(asked)]).numpy()
        )
    z = (data.y[rows, 0].double().numpy() - predicted.mean[rows]) / predicted.std[rows]
    inside, novel = report(Judged(z, outside[rows]))
    return {"inside": inside, "outside": novel}


def log_density(observed: Array, mean: Array, std: Array) -> Array:
    """Natural logarithm of the Gaussian predictive density at what was observed."""
    z = (observed - mean) / std
    return np.asarray(-0.5 * z**2 - np.log(std) - 0.5 * np.log(2 * np.pi))


def _metrics(observed: Array, mean: Array, std: Array) -> dict[str, float | None]:
    from scipy.stats import norm, spearmanr

    if not len(observed):
        names = ("mae", "rmse", "spearman", "coverage_50", "coverage_90", "nlpd")
        return dict.fromkeys(names)
    error = observed - mean
    ranked = np.ptp(observed) > 0 and np.ptp(mean) > 0
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "spearman": float(spearmanr(observed, mean).statistic) if ranked else None,
        "coverage_50": float((np.abs(error) <= norm.ppf(0.75) * std).mean()),
        "coverage_90": float((np.abs(error) <= norm.ppf(0.95) * std).mean()),
        "nlpd": float(-log_density(observed, mean, std).mean()),
    }
