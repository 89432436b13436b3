"""The extrapolation benchmark from data to figures; what was done is not done again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from discover.benchmark import extrapolation, extrapolation_report
from discover.benchmark.datasets import DataSet
from discover.benchmark.extrapolation import BASELINES, TRAIN_MEAN, run
from discover.benchmark.extrapolation_report import FOREST
from discover.benchmark.extrapolation_splits import plan_splits
from discover.errors import DataError, PluginError


@pytest.fixture(scope="module")
def done(
    make_data: Callable[..., DataSet], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], list[str]]:
    out = tmp_path_factory.mktemp("extrapolation")
    data, told = make_data(), list[str]()
    splits = plan_splits(data, ["random", "property"])
    result = run(data, splits, ["bayesian-ridge"], seeds=2, out=out, told=told.append)
    return out, result, told


def test_every_model_is_judged_on_every_split(done: tuple[Path, dict[str, Any], list[str]]) -> None:
    _, result, told = done
    assert result["models"] == [*BASELINES, "bayesian-ridge"]
    assert result["splits"] == ["random", "property-top", "property-bottom"]
    assert len(result["summary"]) == 9
    assert len(told) == len(result["runs"]) == 18
    assert told[-1].startswith("[18/18] property-bottom, seed 1, bayesian-ridge: MAE ")


def test_a_linear_model_extrapolates_a_linear_target(
    done: tuple[Path, dict[str, Any], list[str]],
) -> None:
    _, result, _ = done
    top = {e["model"]: e for e in result["summary"] if e["split"] == "property-top"}
    mae = {name: entry["metrics"]["mae"]["mean"] for name, entry in top.items()}
    assert mae["bayesian-ridge"] < 0.5 * mae[FOREST] < mae[TRAIN_MEAN]
    against = top["bayesian-ridge"]["against"]
    assert set(against) == set(BASELINES)
    assert against[TRAIN_MEAN]["difference"] < 0


def test_the_files_say_the_same(done: tuple[Path, dict[str, Any], list[str]]) -> None:
    out, result, _ = done
    assert json.loads((out / "results.json").read_text()) == result
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert len(rows) == 9
    assert float(rows[0]["mae"]) == result["summary"][0]["metrics"]["mae"]["mean"]
    assert (out / "figure.png").stat().st_size > 10_000


def test_what_was_run_is_not_run_again(
    done: tuple[Path, dict[str, Any], list[str]],
    make_data: Callable[..., DataSet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, result, _ = done
    data = make_data()
    splits = plan_splits(data, ["random", "property"])
    monkeypatch.setattr(extrapolation, "predict", None)
    assert run(data, splits, ["bayesian-ridge"], seeds=2, out=out) == result


def test_a_fit_that_fails_keeps_its_reason(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    file = tmp_path / "picky.py"
    file.write_text(
        "from discover.errors import SurrogateError\n\n\nclass Picky:\n"
        "    def fit(self, data, seed):\n        raise SurrogateError('not today')\n"
    )
    data = make_data()
    result = run(data, plan_splits(data, ["random"]), [f"{file}:Picky"], seeds=1, out=tmp_path)
    entry = result["summary"][-1]
    assert entry["failed"] == 1
    assert entry["metrics"]["mae"]["mean"] is None
    assert result["runs"][-1]["folds"][0]["reason"] == "not today"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('mine')", "KeyError: 'mine'"),
        ("return None", "`fit` of the surrogate gives None, which has no posterior"),
    ],
)
def test_a_plug_in_with_a_fault_ends_nothing(
    body: str, reason: str, make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    file = tmp_path / "faulty.py"
    file.write_text(f"class Faulty:\n    def fit(self, data, seed):\n        {body}\n")
    data = make_data()
    names = [f"{file}:Faulty", "bayesian-ridge"]
    result = run(data, plan_splits(data, ["random"]), names, seeds=1, out=tmp_path)
    failed, fine = result["runs"][-2:]
    assert failed["folds"][0]["reason"] == reason
    assert fine["folds"][0]["reason"] is None


def test_an_unknown_surrogate_is_refused_first(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    data = make_data()
    with pytest.raises(PluginError, match="did you mean 'gp'"):
        run(data, plan_splits(data, ["random"]), ["gpp"], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_small_values_are_written_with_their_digits(
    make_data: Callable[..., DataSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And baselines say of them what they say of the same values in another unit."""
    data = make_data()
    small = replace(data, y=1e-11 * data.y)
    splits = plan_splits(data, ["random"])
    results = [
        run(d, splits, ["gp-linear"], seeds=1, out=tmp_path / str(i))
        for i, d in enumerate((data, small))
    ]
    ours, theirs = ([e["metrics"]["coverage_90"]["mean"] for e in r["summary"]] for r in results)
    assert ours == pytest.approx(theirs, abs=0.2)
    extrapolation_report.show(results[1])
    assert "e-12" in capsys.readouterr().out


def test_a_file_is_no_folder_for_results(make_data: Callable[..., DataSet], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    data = make_data()
    with pytest.raises(DataError, match="taken/runs: cannot be a folder for results"):
        run(data, plan_splits(data, ["random"]), [], out=tmp_path / "taken")


def test_a_model_that_predicts_no_numbers_is_told(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    """And what is written stays JSON."""
    (tmp_path / "broken.py").write_text(BROKEN)
    data = make_data()
    result = run(
        data,
        plan_splits(data, ["random"]),
        [f"{tmp_path / 'broken.py'}:Broken"],
        seeds=1,
        out=tmp_path,
    )
    assert "not finite" in result["runs"][-1]["folds"][0]["reason"]
    assert "NaN" not in (tmp_path / "results.json").read_text()


def test_a_plug_in_that_was_changed_is_run_again(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    file, data, kept = tmp_path / "mine.py", make_data(), set[int]()
    for text in (MINE, MINE, f"{MINE}# changed"):
        file.write_text(text)
        run(data, plan_splits(data, ["random"]), [f"{file}:Mine"], seeds=1, out=tmp_path)
        kept.add(len(list((tmp_path / "runs").iterdir())))
    assert kept == {3, 4}


MINE = """
from surrogates.kernel_families import BayesianRidge

class Mine(BayesianRidge):
    pass
"""
BROKEN = """
from surrogates.kernel_families import BayesianRidge

class Broken(BayesianRidge):
    def fit(self, data, seed):
        model = super().fit(data, seed)
        posterior = model.posterior

        def broken(X, *args, **kwargs):
            answer = posterior(X, *args, **kwargs)
            answer.distribution.loc.fill_(float("nan"))
            return answer

        model.posterior = broken
        return model
"""


def test_a_surrogate_that_is_named_twice_is_judged_once(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    data = make_data()
    names = ["bayesian-ridge", "bayesian-ridge"]
    result = run(data, plan_splits(data, ["random"]), names, seeds=1, out=tmp_path)
    assert result["models"] == [*BASELINES, "bayesian-ridge"]


def test_names_may_hold_what_begins_a_formula_of_matplotlib(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    data = make_data(target=r"cost $\foo$ of " + 8 * "a long name ")
    run(data, plan_splits(data, ["random"]), ["bayesian-ridge"], seeds=1, out=tmp_path)
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_why_a_surrogate_has_no_figures_is_told(
    make_data: Callable[..., DataSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_data()
    result = run(data, plan_splits(data, ["random"]), ["graph-ensemble"], seeds=1, out=tmp_path)
    extrapolation_report.show(result)
    assert "graph-ensemble could not be fitted: a row is no crystal" in capsys.readouterr().out
