"""Other people's ways to pick, on the same descriptors: a forest, plain BoTorch, PHYSBO, BayBE."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from discover.benchmark.strategies import Array, InBatches, Known, Strategy

FOREST = "random forest, mean + std"
BOTORCH = "BoTorch SingleTaskGP, LogEI"
PHYSBO_EI = "PHYSBO, exact GP, EI"
PHYSBO_TS = "PHYSBO, Thompson, 500 features"
BAYBE = "BayBE"
RANDOM_FEATURES = 500


class Forest(InBatches):
    """scikit-learn's random forest of 100 trees on raw descriptors: mean plus spread of the trees."""

    def train(self, known: Known) -> None:
        """Fits the forest."""
        super().train(known)
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(100, random_state=known.seed + known.picks)
        forest.fit(known.x[list(known.observed)], known.larger_is_better)
        trees = np.stack([tree.predict(known.x) for tree in forest.estimators_])
        self._scores: Array = trees.mean(axis=0) + trees.std(axis=0)

    def batch(self, known: Known, n: int) -> Sequence[int]:
        """The highest scores."""
        return sorted(known.open, key=lambda row: -self._scores[row])[:n]


class PlainBoTorch(InBatches):
    """As in BoTorch's tutorials: SingleTaskGP and LogEI; running ones are believed at their mean."""

    def train(self, known: Known) -> None:
        """Fits the Gaussian process with BoTorch's defaults, descriptors scaled to the unit box."""
        super().train(known)
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        torch.manual_seed(known.seed)
        lowest, highest = known.x.min(axis=0), known.x.max(axis=0)
        extent = np.where(highest > lowest, highest - lowest, 1.0)
        self._x = torch.from_numpy((known.x - lowest) / extent)
        y = torch.from_numpy(known.larger_is_better.copy()).unsqueeze(-1)
        self._best = float(y.max())
        with _silent():
            self._model = SingleTaskGP(self._x[list(known.observed)], y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(self._model.likelihood, self._model))

    def batch(self, known: Known, n: int) -> Sequence[int]:
        """One by one, each believed at its mean before the next."""
        import torch
        from botorch.acquisition import LogExpectedImprovement

        model, picked = self._model, list[int]()
        with torch.no_grad():
            model.posterior(self._x[:1])  # conditioning needs its caches
            if known.running:
                x = self._x[list(known.running)]
                model = model.condition_on_observations(x, self._model.posterior(x).mean)
            for _ in range(n):
                rows = [row for row in known.open if row not in picked]
                score = LogExpectedImprovement(model, best_f=self._best)
                chosen = rows[int(score(self._x[rows].unsqueeze(-2)).argmax())]
                picked.append(chosen)
                x = self._x[[chosen]]
                model = model.condition_on_observations(x, model.posterior(x).mean)
        return picked


class Physbo(InBatches):
    """PHYSBO's discrete policy; what is running is left out and not believed."""

    def __init__(self, score: str, features: int) -> None:
        super().__init__()
        self._score, self._features = score, features

    def batch(self, known: Known, n: int) -> Sequence[int]:
        """A policy made anew from all observed rows, since PHYSBO has no way to wait for some."""
        import physbo

        rows = [*known.observed, *known.open]
        with _silent():
            x = physbo.misc.centering(known.x[rows])
            policy = physbo.search.discrete.Policy(test_X=x)
            policy.set_seed(known.seed + known.picks)
            policy.write(np.arange(len(known.observed)), known.larger_is_better)
            actions = policy.bayes_search(
                max_num_probes=1,
                num_search_each_probe=min(n, len(known.open)),
                simulator=None,
                score=self._score,
                interval=0,
                num_rand_basis=self._features,
            )
        return [rows[int(i)] for i in actions]


class BayBE(InBatches):
    """BayBE's campaign with its defaults, descriptors as a custom encoding of one parameter."""

    def batch(self, known: Known, n: int) -> Sequence[int]:
        """BayBE's recommendation, with what is running told as pending."""
        import pandas as pd
        from baybe import Campaign
        from baybe.parameters import CustomDiscreteParameter
        from baybe.searchspace import SearchSpace
        from baybe.targets import NumericalTarget
        from baybe.utils.random import set_random_seed

        with _silent():
            set_random_seed(known.seed)
            x = told_apart(known.x)
            frame = pd.DataFrame(
                x,
                index=[str(row) for row in range(len(known.x))],
                columns=[f"d{i}" for i in range(x.shape[1])],
            )
            row = CustomDiscreteParameter("row", frame)
            campaign = Campaign(
                SearchSpace.from_product([row]),
                NumericalTarget("y").to_objective(),
                allow_recommending_already_measured=False,
                allow_recommending_already_recommended=False,
                allow_recommending_pending_experiments=False,
            )
            told = pd.DataFrame(
                {"row": [str(r) for r in known.observed], "y": known.larger_is_better}
            )
            campaign.add_measurements(told)
            pending = pd.DataFrame({"row": [str(r) for r in known.running]})
            answer = campaign.recommend(n, pending_experiments=pending if len(pending) else None)
        return [int(r) for r in answer["row"]]


def told_apart(x: Array) -> Array:
    """Descriptors (N x d) that all vary, and of which no two rows are the same: BayBE refuses others.

    The k-th row that says what an earlier one says is moved by 1e-6 k standard deviations of the first
    descriptor.
    """
    x = x[:, np.ptp(x, axis=0) > 0]
    seen: dict[bytes, int] = {}
    again = np.zeros(len(x))
    for i, row in enumerate(x):
        again[i] = seen.get(row.tobytes(), 0)
        seen[row.tobytes()] = int(again[i]) + 1
    moved = x.copy()
    moved[:, 0] += 1e-6 * x[:, 0].std() * again
    return moved


PEERS: dict[str, tuple[str | None, Callable[[], Strategy]]] = {
    FOREST: (None, Forest),
    BOTORCH: (None, PlainBoTorch),
    PHYSBO_EI: ("physbo", lambda: Physbo("EI", 0)),
    PHYSBO_TS: ("physbo", lambda: Physbo("TS", RANDOM_FEATURES)),
    BAYBE: ("baybe", BayBE),
}
"""Every peer: the package that it needs beyond ours, and how to make it."""


def missing(name: str) -> str | None:
    """Why a peer cannot run here, or None."""
    package, _ = PEERS[name]
    if package is None or importlib.util.find_spec(package) is not None:
        return None
    return f"needs {package}: pip install discover-materials[benchmark]"


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keeps what peers print and log off the terminal."""
    logging.getLogger("baybe").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def make(name: str) -> Any:
    """A peer by name."""
    return PEERS[name][1]()
