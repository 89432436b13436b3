"""`discover benchmark ...`: small measurements, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUICK_SURROGATE = '''
"""A Gaussian process that looks at a few rows only."""

from surrogates import TrainingData
from surrogates.gp import GaussianProcess


class Quick:
    def fit(self, data, seed):
        return GaussianProcess().fit(TrainingData(data.x[:20], data.y[:20]), seed)
'''


def test_loop(discover: Callable[..., Any]) -> None:
    words = ["benchmark", "loop", "--slots", 2, "--calculations", 6, "--mean-minutes", 1e5]
    answer = discover(*words, "--json")
    assert answer.code == 0
    told = json.loads(answer.out)
    assert (told["slots"], told["calculations"]) == (2, 6)
    assert {"slots_busy", "hours", "overhead_seconds_per_calculation"} <= set(told["loop"])
    assert set(told["loop"]) == set(told["barrier"])
    assert told["busy_ratio"] > 0
    table = discover(*words)
    assert "with a batch barrier" in table.out
    assert "ratio of the busy shares" in table.out


def test_select(discover: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text(QUICK_SURROGATE)
    surrogate = f"{tmp_path / 'quick.py'}:Quick"
    answer = discover("benchmark", "select", "--size", 200, "--surrogate", surrogate, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert [row["model"] for row in told["rows"]] == ["random forest", surrogate]
    assert {row["candidates"] for row in told["rows"]} == {200}
    assert "random forest: 200 candidates" in answer.err


def test_relax(discover: Callable[..., Any], tmp_path: Path) -> None:
    from ase.build import bulk
    from ase.io import write

    write(tmp_path / "copper.cif", bulk("Cu", a=3.7))
    words = ("--potential", "emt", "--structures", tmp_path / "copper.cif", "--fmax", 0.05)
    answer = discover("benchmark", "relax", *words, "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert (told["potential"], told["structures"]) == ("emt", 1)
    assert told["fmax_ev_per_angstrom"] == 0.05
    missing = discover("benchmark", "relax", "--structures", tmp_path / "no.cif")
    assert missing.code == 2
    assert "no.cif cannot be read" in missing.err


@pytest.fixture
def known_salts(tmp_path: Path) -> Path:
    """A table with a target that follows from its descriptors."""
    lines = ["id,u,v,kappa"]
    lines += [
        f"r{i},{i * 7 % 23},{i * 5 % 13},{1 + i * 7 % 23 + (i * 5 % 13) / 10}" for i in range(24)
    ]
    file = tmp_path / "known.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_extrapolation(discover: Callable[..., Any], known_salts: Path, tmp_path: Path) -> None:
    words = ["benchmark", "extrapolation", "--data", known_salts, "--target", "kappa"]
    words += ["--transform", "log10", "--splits", "random,property", "--seeds", 1]
    answer = discover(*words, "--surrogates", "bayesian-ridge", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    assert "24 rows; 2 descriptors of u, v" in answer.err
    assert "[9/9] property-bottom, seed 0, bayesian-ridge: MAE" in answer.err
    assert "RMSE of kappa" in answer.out
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["models"][2] == "bayesian-ridge"
    known_salts.write_text(known_salts.read_text().replace("r3,", "r3,x"))
    refused = discover(*words, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "row 4 (line 5): 'u': empty, or not a number" in refused.err
    dropped = discover(*words, "--out", tmp_path / "out", "--drop-invalid", "--surrogates", "ilr")
    assert dropped.code == 0, dropped.err
    assert "dropped row 4" in dropped.err


def test_replay_of_one_fidelity(
    discover: Callable[..., Any], known_salts: Path, tmp_path: Path
) -> None:
    words = ["benchmark", "replay", "--data", known_salts]
    asked = [*words, "--target", "kappa", "--out", tmp_path / "out", "--top", 2, "--seeds", 1]
    asked += ["--initial", 4, "--budget", 10, "--concurrency", 2, "--sigma", 1.0]
    answer = discover(*asked, "--surrogate", "bayesian-ridge", "--acquisition", "ucb", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert list(told["strategies"]) == ["random order", "bayesian-ridge + ucb"]
    assert told["strategies"]["bayesian-ridge + ucb"]["until"]["half"]["reached"] == 1
    assert "s a selection" in discover(*asked, "--surrogate", "bayesian-ridge").out
    assert "give --target and --out" in discover(*words).err


def test_options_that_would_do_nothing_are_refused(
    discover: Callable[..., Any], known_salts: Path, tmp_path: Path
) -> None:
    words = ["benchmark", "replay", "--data", known_salts]
    ladder = discover(*words, "--low", "u", "--target", "kappa", "--peers")
    assert (ladder.code, "--target, --peers: not with --low" in " ".join(ladder.err.split())) == (
        2,
        True,
    )
    words += ["--target", "kappa", "--out", tmp_path / "out"]
    times = discover(*words, "--sigma", 1, "--duration", "u")
    assert times.code == 2
    assert "--sigma or --duration" in times.err
    assert discover(*words, "--cost", 0.1).code == 2
    split = discover(
        *["benchmark", "extrapolation", *words[2:]], "--splits", "random", "--before", 1990
    )
    assert split.code == 2
    assert "add it to --splits" in split.err
