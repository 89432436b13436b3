"""`discover benchmark ...`: small measurements, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
