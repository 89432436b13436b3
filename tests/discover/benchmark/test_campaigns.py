"""Replayed campaigns: steered for real, told only what has ended, counted as they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from discover.benchmark.campaign_benchmark import run, top_rows, wanted
from discover.benchmark.campaign_report import show
from discover.benchmark.campaigns import (
    Campaign,
    Selected,
    Settings,
    Sought,
    best_so_far,
    expected_draws,
    seek,
)
from discover.benchmark.datasets import DataSet
from discover.benchmark.peers import (
    BAYBE,
    BOTORCH,
    FOREST,
    PEERS,
    PHYSBO_EI,
    PHYSBO_TS,
    make,
    missing,
    told_apart,
)
from discover.benchmark.strategies import RANDOM, ByModel, Known, RandomOrder, Strategy
from discover.errors import DataError, SurrogateError

SETTINGS = Settings(goal="max", initial=5, budget=18, concurrency=3)


def played(data: DataSet, strategy: Strategy, seed: int = 0, **changes: object) -> Campaign:
    settings = Settings(**{**SETTINGS.__dict__, **changes})  # type: ignore[arg-type]
    durations = np.random.default_rng(7).uniform(0.5, 2.0, len(data))
    campaign = Campaign(data, strategy, settings, seek(data.y, settings.goal, 3), durations, seed)
    campaign.run()
    return campaign


class Watched(RandomOrder):
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[Known] = []

    def pick(self, known: Known) -> int:
        self.told.append(known)
        return super().pick(known)


def test_a_model_finds_the_best_before_chance_does(make_data: Callable[..., DataSet]) -> None:
    data = make_data(40)
    ours, chance = (played(data, s) for s in (ByModel("gp", "ucb"), RandomOrder()))
    assert set(ours.found_after(ours.sought.best)) != set()
    assert len(ours.found_after(ours.sought.top)) > len(chance.found_after(ours.sought.top))
    assert ours.collected[:3] == chance.collected[:3]
    assert all(isinstance(s, Selected) and s.seconds > 0 and s.peak_mib > 0 for s in ours.selected)


def test_rows_are_observed_running_or_open(make_data: Callable[..., DataSet]) -> None:
    watched = Watched()
    campaign = played(make_data(), watched)
    assert len(set(campaign.collected)) == len(campaign.collected) == 18
    for known in watched.told:
        everything = [*known.observed, *known.running, *known.open]
        assert sorted(everything) == list(range(30))
        assert 0 <= len(known.running) < 3
        assert known.picks == len(known.observed) + len(known.running)
        assert 1 <= known.slots <= 3


def test_the_same_seed_plays_the_same_campaign(make_data: Callable[..., DataSet]) -> None:
    data = make_data()
    first, second = (played(data, ByModel("bayesian-ridge", "thompson"), budget=9) for _ in "12")
    assert first.collected == second.collected
    assert played(data, RandomOrder(), seed=1).collected[:5] != first.collected[:5]


def test_a_surrogate_that_cannot_fit_leaves_exploration(make_data: Callable[..., DataSet]) -> None:
    class Never(RandomOrder):
        def train(self, known: Known) -> None:
            raise SurrogateError("the target is constant")

        def pick(self, known: Known) -> int:
            raise AssertionError

    campaign = played(make_data(), Never())
    assert len(campaign.collected) == 18
    assert set(campaign.refusals) == {"the target is constant"}
    chance = played(make_data(), RandomOrder())
    assert campaign.collected == chance.collected


def test_a_campaign_ends_when_all_is_found(make_data: Callable[..., DataSet]) -> None:
    campaign = played(make_data(), RandomOrder(), budget=30)
    assert campaign.sought.top <= set(campaign.collected)
    assert campaign.found_after(campaign.sought.top)[-1] + 3 > len(campaign.collected)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in (PHYSBO_TS, BAYBE)]


@pytest.mark.parametrize("name", [FOREST, BOTORCH, PHYSBO_EI, *SLOW])
def test_peers_pick_open_rows(make_data: Callable[..., DataSet], name: str) -> None:
    if reason := missing(name):
        pytest.skip(reason)
    campaign = played(make_data(), make(name), budget=8, goal="min")
    assert len(set(campaign.collected)) == 8
    assert campaign.refusals == []


def test_random_search_is_expected_as_it_is_simulated() -> None:
    """The mean place of the k-th of K among N, over many shuffles."""
    rng = np.random.default_rng(0)
    places = np.sort([rng.permutation(40)[:8] + 1 for _ in range(4000)], axis=1)
    for k in (1, 4, 8):
        assert expected_draws(k, 8, 40) == pytest.approx(places[:, k - 1].mean(), rel=0.03)


def test_either_end_or_both_are_sought() -> None:
    y = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    assert seek(y, "max", 2).top == {3, 4}
    assert seek(y, "min", 2).best == {1}
    both = seek(y, "extremes", 4)
    assert (both.top, both.best) == ({3, 4, 1, 2}, {3, 1})
    assert wanted(both)["best"] == ({3, 1}, 2)
    assert best_so_far(y, [0, 1, 3], "extremes").tolist() == [0, 2, 4]
    assert best_so_far(y, [0, 1, 3], "min").tolist() == [3, 1, 1]


def test_a_bound_on_the_other_side_is_no_record() -> None:
    """`<9` may be anything below nine; `>7` is among the highest."""
    y, censored = np.array([1.0, 9.0, 5.0, 7.0, 2.0]), np.array([0, -1, 0, 1, 0], dtype=np.int8)
    assert seek(y, "max", 2, censored) == Sought(frozenset({3, 2}), frozenset({3}))
    assert seek(-y, "min", 2, -censored) == Sought(frozenset({3, 2}), frozenset({3}))
    assert seek(y, "extremes", 2, censored).best == {3, 0}
    assert best_so_far(y, [2, 1, 3], "max", censored).tolist() == [5, 5, 7]
    assert best_so_far(y, [2, 1, 3], "extremes", censored).tolist() == [0, 0, 2]


def test_what_is_as_good_is_found_as_well() -> None:
    """The best value may be in several rows, and so may the last of the top."""
    y = np.array([3.0, 1.0, 5.0, 5.0, 3.0, 2.0])
    sought = seek(y, "max", 3)
    assert sought.top == {0, 2, 3, 4}
    assert wanted(sought)["best"] == ({2, 3}, 1)
    assert wanted(sought)["half"] == (sought.top, 2)
    assert wanted(seek(y, "extremes", 2))["best"] == ({2, 1}, 2)


class Broken(RandomOrder):
    """A strategy whose library gives up while it picks."""

    def pick(self, known: Known) -> int:
        raise RuntimeError("a matrix that cannot be factorized\nand more")


def test_a_strategy_that_breaks_leaves_exploration(make_data: Callable[..., DataSet]) -> None:
    campaign = played(make_data(), Broken())
    assert campaign.collected == played(make_data(), RandomOrder()).collected
    assert set(campaign.refusals) == {"RuntimeError: a matrix that cannot be factorized"}


def test_rows_that_are_described_alike_are_told_apart() -> None:
    x = np.array([[7.0, 0.0, 3.0], [7.0, 1.0, 4.0], [7.0, 0.0, 3.0], [7.0, 0.0, 3.0]])
    apart = told_apart(x)
    assert len(np.unique(apart, axis=0)) == 4
    assert apart == pytest.approx(x[:, 1:], abs=1e-5)


@pytest.mark.parametrize(
    ("top", "rows"), [("5", 5), ("5%", 30), ("0.05", 30), ("1%", 6), ("0.0001", 1)]
)
def test_the_top_is_a_number_or_a_share(top: str, rows: int) -> None:
    assert top_rows(top, 600) == rows


@pytest.mark.parametrize("top", ["0", "-1", "601", "2.5", "200%", "best", ""])
def test_another_top_is_refused(top: str) -> None:
    with pytest.raises(DataError, match="give a number up to 600, or a share"):
        top_rows(top, 600)


def test_the_benchmark_writes_what_it_found_and_goes_on(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    told: list[str] = []
    options = {
        "surrogates": ["bayesian-ridge"],
        "acquisitions": ["ucb", "greedy"],
        "top": "10%",
        "seeds": 2,
    }
    result = run(make_data(), SETTINGS, out=tmp_path, told=told.append, **options)  # type: ignore[arg-type]
    assert list(result["strategies"]) == [RANDOM, "bayesian-ridge + ucb", "bayesian-ridge + greedy"]
    assert json.loads((tmp_path / "results.json").read_text()) == result
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 4
    assert len(told) == 6
    half = result["strategies"]["bayesian-ridge + ucb"]["until"]["half"]
    assert result["expected_of_random"]["half"] == pytest.approx(2 * 31 / 4)
    assert half["enrichment"] == pytest.approx(15.5 / half["mean"])
    again = run(make_data(), SETTINGS, out=tmp_path, **options)  # type: ignore[arg-type]
    assert again == result  # with the very same seconds: nothing was replayed


def test_what_cannot_be_replayed_is_refused(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    def refused(**changes: int) -> None:
        settings = Settings(**{**SETTINGS.__dict__, **changes})
        run(make_data(), settings, surrogates=["gp"], acquisitions=["ucb"], out=tmp_path)

    with pytest.raises(DataError, match="--initial 18 leaves nothing of --budget 18"):
        refused(initial=18)
    with pytest.raises(DataError, match="there are only 30 rows"):
        refused(initial=40, budget=50)
    with pytest.raises(DataError, match="--concurrency 18: all 18 calculations begin before"):
        refused(concurrency=18)


def test_peers_search_one_end_only(make_data: Callable[..., DataSet], tmp_path: Path) -> None:
    settings = Settings(goal="extremes", initial=5, budget=8, concurrency=3)
    result = run(
        make_data(), settings, surrogates=[], acquisitions=[], seeds=1, peers=True, out=tmp_path
    )
    assert set(result["skipped"]) == set(PEERS)


def test_a_strategy_that_could_not_be_fitted_is_told(
    make_data: Callable[..., DataSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what all the first rows have in common is no reason to stop."""
    y = np.zeros(30)
    y[np.random.default_rng(0).permutation(30)[-2:]] = 1.0  # the last to be proposed
    settings = Settings(goal="max", initial=5, budget=9, concurrency=3)
    told: list[str] = []
    result = run(
        make_data(y=y),
        settings,
        surrogates=["gp"],
        acquisitions=["ucb"],
        seeds=1,
        out=tmp_path,
        told=told.append,
    )
    assert "all in random order: the target is constant (0)" in told[-1]
    show(result)
    said = capsys.readouterr().out
    assert "gp + ucb: " in said
    assert "picks after the initial ones in random order: the target is constant (0)" in said


def test_given_durations_are_part_of_the_question(
    make_data: Callable[..., DataSet], tmp_path: Path
) -> None:
    """What was replayed without them, or with others, is no answer."""

    def rows(out: str, durations: object) -> tuple[list[int], object]:
        data = make_data(durations=durations)
        result = run(
            data,
            SETTINGS,
            surrogates=["bayesian-ridge"],
            acquisitions=["ucb"],
            top="3",
            seeds=1,
            out=tmp_path / out,
        )
        (one,) = result["strategies"]["bayesian-ridge + ucb"]["runs"]
        return one["rows"], result["durations"]

    taken = np.random.default_rng(3).uniform(0.2, 5.0, 30)
    alike, untold = rows("one", None)
    slow, told = rows("one", taken)
    assert slow == rows("two", taken)[0] != alike
    assert (untold, told) == (None, taken.tolist())


def test_rows_are_named_as_in_the_file(make_data: Callable[..., DataSet], tmp_path: Path) -> None:
    data = make_data(rows=np.arange(100, 130), dropped=("row 1: bad",) * 100)
    result = run(data, SETTINGS, surrogates=[], acquisitions=[], top="3", seeds=1, out=tmp_path)
    (one,) = result["strategies"][RANDOM]["runs"]
    assert one["ids"] == [f"r{row - 100}" for row in one["rows"]]


def test_what_no_campaign_found_is_not_compared_with_random(
    make_data: Callable[..., DataSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    result = run(
        make_data(),
        SETTINGS,
        surrogates=[],
        acquisitions=[],
        top="90%",
        seeds=1,
        out=tmp_path,
        told=told.append,
    )
    assert "most: a budget of 18 cannot find 25 rows" in told
    most = result["strategies"][RANDOM]["until"]["most"]
    assert (most["reached"], most["relative_to_random"], most["enrichment"]) == (0, None, None)
    show(result)
    assert "≥ 18.0 ± 0.0  –" in capsys.readouterr().out
