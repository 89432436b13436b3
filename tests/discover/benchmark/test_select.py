import json

import numpy as np
import pytest

from discover.benchmark.select import BOTORCH, FOREST, PHYSBO, Case, measure, run, show, target
from discover.errors import PluginError


def test_measurements_of_a_small_pool(capsys):
    said = []
    result = run(
        sizes=(1500,), surrogates=("gp",), observations=40, descriptors=4, picks=3, told=said.append
    )
    assert said == ["random forest: 1500 candidates", "gp: 1500 candidates"]
    forest, gp = json.loads(json.dumps(result))["rows"]
    assert (forest["model"], gp["model"]) == (FOREST, "gp")
    assert forest["seconds_over"] == {FOREST: 1.0}
    assert gp["seconds_over"][FOREST] == pytest.approx(gp["seconds"] / forest["seconds"])
    assert gp["seconds"] == pytest.approx(gp["fit_seconds"] + gp["pick_seconds"])
    assert 0 <= gp["peak_above_data_mib"] < gp["peak_mib"]
    show(result)
    assert "1,500" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["gp", "deep-ensemble", FOREST, BOTORCH, PHYSBO])
def test_every_model_picks_better_than_at_random(model):
    if model == PHYSBO:
        pytest.importorskip("physbo", reason="PHYSBO is not installed (extra `benchmark`)")
    case = Case(model, candidates=1500, observations=60, descriptors=3, picks=5, seed=0)
    _, _, pool = case.problem()
    row = measure(case)
    assert row["mean_of_picks"] > np.quantile(target(pool), 0.7)


def test_an_unknown_surrogate_is_refused_before_anything_is_measured():
    said = []
    with pytest.raises(PluginError, match="no surrogate is called 'no-such'"):
        run(sizes=(20,), surrogates=("no-such",), observations=8, told=said.append)
    assert said == []


def test_a_failed_measurement_says_why_and_is_no_end(capsys):
    result = run(sizes=(20,), surrogates=("graph-ensemble",), baselines=(), observations=8)
    assert result["rows"] == []
    assert "'graph-ensemble' failed" in result["failed"]["graph-ensemble"]
    show(result)
    assert "a row is no crystal" in capsys.readouterr().out


def test_a_time_budget_ends_the_screening_with_the_best_so_far():
    case = Case("bayesian-ridge", 40_000, 30, 3, picks=2, seed=0, budget_seconds=0.0)
    row = measure(case)
    assert row["candidates"] == 40_000
    assert row["mean_of_picks"] > 0
