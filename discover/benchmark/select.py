"""Seconds and peak memory to fit, score and pick from a large pool, against baselines in the same run.

Every case runs in a fresh process: `python -m discover.benchmark.select CASE`, CASE being JSON.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from discover import plugins
from discover.acquisition.adapters import load_acquisition
from discover.errors import DiscoverError, MissingDependencyError

Array = npt.NDArray[np.float64]

FOREST, BOTORCH, PHYSBO = "random forest", "botorch", "physbo"
"""Baselines: scikit-learn's forest by mean + std of its trees; BoTorch's stock GP with LogEI, kriging
believer; PHYSBO's Thompson sampling with 500 random features (extra `benchmark`)."""


SURROGATES = ("gp", "sparse-gp", "deep-ensemble", "random-forest", "auto")
"""What is measured unless something else is asked for; the last one is the default of campaigns."""


@dataclass(frozen=True)
class Case:
    """One measurement: a model, and how many candidates, observations, descriptors and picks.

    A surrogate picks by `acquisition`, and screens the pool for so many `budget_seconds` at most.
    """

    model: str
    candidates: int
    observations: int
    descriptors: int
    picks: int
    seed: int
    acquisition: str = "logei"
    budget_seconds: float | None = None

    def problem(self) -> tuple[Array, Array, Array]:
        """Observed descriptors and targets, and the pool: a smooth target of eight descriptors."""
        rng = np.random.default_rng(self.seed)
        x = rng.random((self.observations, self.descriptors))
        pool = rng.random((self.candidates, self.descriptors))
        return x, target(x), pool


def target(x: Array) -> Array:
    """What is to be found large: a sine and a product, of the first eight descriptors at most."""
    u = x[:, :8]
    return np.asarray(np.sin(2 * u.sum(axis=1)) + 2 * u[:, 0] * u[:, -1])


def run(
    *,
    sizes: Sequence[int] = (10_000, 100_000),
    surrogates: Sequence[str] = SURROGATES,
    baselines: Sequence[str] = (FOREST,),
    observations: int = 800,
    descriptors: int = 32,
    picks: int = 10,
    seed: int = 0,
    acquisition: str = "logei",
    budget_seconds: float | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures every model on every pool size; `rows` of the answer hold one measurement each.

    A row has the seconds to fit and to pick, the peak memory (MiB, the process's and what it is above
    the data), the mean target of the picks, and for each baseline the ratio of the seconds. `failed`
    says of models that could not be measured why. Raises PluginError and MissingDependencyError before
    anything is measured.
    """
    if PHYSBO in baselines and importlib.util.find_spec("physbo") is None:
        raise MissingDependencyError(
            "--physbo needs PHYSBO: pip install 'discover-materials[benchmark]'"
        )
    load_acquisition(acquisition)
    for name in surrogates:
        plugins.create("surrogates", name)
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for candidates in sizes:
        measured = {}
        for model in dict.fromkeys((*baselines, *surrogates)):
            told(f"{model}: {candidates} candidates")
            case = Case(
                model,
                candidates,
                observations,
                descriptors,
                picks,
                seed,
                acquisition,
                budget_seconds,
            )
            try:
                measured[model] = _in_a_fresh_process(case)
            except DiscoverError as error:
                failed[model] = str(error)
                told(str(error))
        rows += [
            row
            | {
                "seconds_over": {
                    name: row["seconds"] / measured[name]["seconds"]
                    for name in baselines
                    if name in measured
                }
            }
            for row in measured.values()
        ]
    return {
        "observations": observations,
        "descriptors": descriptors,
        "picks": picks,
        "acquisition": acquisition,
        "budget_seconds": budget_seconds,
        "rows": rows,
        "failed": failed,
    }


def measure(case: Case) -> dict[str, Any]:
    """One measurement in this process, whose imports and data are made before the clock starts.

    The pool is a memory map, as that of a campaign too large for memory would be.
    """
    import_libraries()
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        x, y, pool = case.problem()
        np.save(file, pool)
        file.flush()
        del pool
        before = peak_memory_mib()
        mapped = np.load(file.name, mmap_mode="r")
        work = _BASELINES.get(case.model, _surrogate)
        fit_seconds, pick_seconds, picked = work(case, x, y, mapped)
        found = target(mapped[picked])
    return {
        "model": case.model,
        "candidates": case.candidates,
        "fit_seconds": fit_seconds,
        "pick_seconds": pick_seconds,
        "seconds": fit_seconds + pick_seconds,
        "peak_mib": peak_memory_mib(),
        "peak_above_data_mib": peak_memory_mib() - before,
        "mean_of_picks": float(found.mean()),
    }


def import_libraries() -> None:
    """What surrogates import when they are first fitted, so that no clock that runs counts it."""
    import sklearn.ensemble  # noqa: F401
    import torch.fx.experimental.symbolic_shapes  # noqa: F401 - torch, when it first needs it

    import surrogates.exact_gp
    import surrogates.kernel_sum
    import surrogates.networks
    import surrogates.sparse_gp
    import surrogates.tree_ensemble  # noqa: F401


def peak_memory_mib() -> float:
    """Largest resident size of this process so far (Linux: VmHWM, which a parent does not inflate)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _surrogate(case: Case, x: Array, y: Array, pool: Array) -> tuple[float, float, list[int]]:
    import torch

    from discover.acquisition.selection import select
    from surrogates import TrainingData

    surrogate = plugins.create("surrogates", case.model)
    started = time.perf_counter()
    data = TrainingData(torch.from_numpy(x), torch.from_numpy(y).unsqueeze(-1))
    model = surrogate.fit(data, case.seed)
    fitted = time.perf_counter()
    picks = select(
        model,
        pool,
        [str(i) for i in range(len(pool))],
        load_acquisition(case.acquisition),
        goal="max",
        observed=y,
        observed_features=x,
        seconds=case.budget_seconds,
        n=case.picks,
        seed=case.seed,
    )
    return fitted - started, time.perf_counter() - fitted, [pick.index for pick in picks]


def _random_forest(case: Case, x: Array, y: Array, pool: Array) -> tuple[float, float, list[int]]:
    from sklearn.ensemble import RandomForestRegressor

    started = time.perf_counter()
    forest = RandomForestRegressor(100, random_state=case.seed).fit(x, y)
    fitted = time.perf_counter()
    trees = np.stack([tree.predict(pool) for tree in forest.estimators_])
    scores = trees.mean(axis=0) + trees.std(axis=0)
    picked = np.argsort(-scores, kind="stable")[: case.picks].tolist()
    return fitted - started, time.perf_counter() - fitted, picked


def _botorch(case: Case, x: Array, y: Array, pool: Array) -> tuple[float, float, list[int]]:
    """As in BoTorch's tutorials; each pick is believed at its mean before the next one."""
    import torch
    from botorch.acquisition import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(case.seed)
    candidates = torch.from_numpy(np.array(pool))
    started = time.perf_counter()
    model = SingleTaskGP(torch.from_numpy(x), torch.from_numpy(y).unsqueeze(-1))
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    fitted = time.perf_counter()
    picked: list[int] = []
    with torch.no_grad():
        for _ in range(case.picks):
            score = LogExpectedImprovement(model, best_f=float(y.max()))
            scores = torch.cat([score(part) for part in candidates.unsqueeze(-2).split(512)])
            scores[picked] = -torch.inf
            picked.append(int(scores.argmax()))
            chosen = candidates[picked[-1:]]
            model = model.condition_on_observations(chosen, model.posterior(chosen).mean)
    return fitted - started, time.perf_counter() - fitted, picked


def _physbo(case: Case, x: Array, y: Array, pool: Array) -> tuple[float, float, list[int]]:
    """It fits and picks in one call, whose time is that of the picks."""
    import physbo

    started = time.perf_counter()
    policy = physbo.search.discrete.Policy(test_X=np.vstack([x, pool]))
    policy.set_seed(case.seed)
    policy.write(np.arange(len(x)), y)
    with contextlib.redirect_stdout(io.StringIO()):
        actions = policy.bayes_search(
            max_num_probes=1,
            num_search_each_probe=case.picks,
            simulator=None,
            score="TS",
            interval=0,
            num_rand_basis=500,
            is_disp=False,
        )
    picked = (np.asarray(actions) - len(x)).tolist()
    return 0.0, time.perf_counter() - started, picked


_BASELINES = {FOREST: _random_forest, BOTORCH: _botorch, PHYSBO: _physbo}


def _in_a_fresh_process(case: Case) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "discover.benchmark.select", json.dumps(asdict(case))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DiscoverError(f"the measurement of {case.model!r} failed: {reason}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def show(result: dict[str, Any]) -> None:
    """The measurements as a table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"Fit on {result['observations']} observations of {result['descriptors']} "
        f"descriptors, pick {result['picks']}"
    )
    baselines = list(result["rows"][0]["seconds_over"]) if result["rows"] else []
    table.add_column("model", no_wrap=True)
    for column in ("pool", "fit (s)", "pick (s)", "peak (MiB)", "above data", "picks' mean"):
        table.add_column(column, justify="right")
    for name in baselines:
        table.add_column(f"time over {name}", justify="right")
    for row in result["rows"]:
        table.add_row(
            row["model"],
            f"{row['candidates']:,}",
            f"{row['fit_seconds']:.1f}",
            f"{row['pick_seconds']:.1f}",
            f"{row['peak_mib']:.0f}",
            f"{row['peak_above_data_mib']:.0f}",
            f"{row['mean_of_picks']:.2f}",
            *(f"{row['seconds_over'][name]:.2f}" for name in baselines),
        )
    console = Console()
    (console if console.is_terminal else Console(width=140)).print(table)
    for reason in result["failed"].values():
        console.print(reason, markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Case(**json.loads(sys.argv[1])))) + "\n")
