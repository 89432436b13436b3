"""Replayed campaigns: the world is fair, the costs add up, and the real data can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discover.benchmark.replay import LADDER, RANDOM, TARGET_ONLY, replay, run
from discover.benchmark.replay_data import load_known
from discover.benchmark.replay_world import KnownMaterials
from discover.errors import CampaignError
from discover.properties import property_named
from discover.records import Candidate
from surrogates.conformance import example_data

N = 24


@pytest.fixture
def known(metal: Callable[..., Candidate]) -> KnownMaterials:
    """A dear value that is twice a cheap one, with two cheap ones missing."""
    data = example_data(N)
    cheap = data.y[:, 0].numpy().copy()
    dear = 2 * cheap + 1
    cheap[[3, 7]] = np.nan
    candidates = tuple(
        metal(id=f"c{i}", formula=f"Cu{i + 1}", features=tuple(row.tolist()))
        for i, row in enumerate(data.x)
    )
    return KnownMaterials(candidates, np.column_stack([cheap, dear]), ("cheap", "dear"))


def played(known: KnownMaterials, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "costs": [0.1, 1.0],
        "surrogate": "multi-fidelity",
        "acquisition": "ucb",
        "goal": "max",
        "top": 3,
        "explored": 3,
        "slots": 1,
        "seed": 0,
    }
    return replay(known, **(settings | changes))


def test_the_best_are_found_and_what_it_cost_adds_up(known: KnownMaterials) -> None:
    world = played(known)
    cheap, dear = world.calculations()
    assert world.spent == pytest.approx(0.1 * cheap + dear)
    assert world.cost_of_sought() == sorted(world.cost_of_sought())
    assert len(world.cost_of_sought()) == 3
    assert world.cost_of_sought()[-1] == pytest.approx(world.spent)
    assert dear < N / 2


def test_each_candidate_is_computed_once_at_each_fidelity(known: KnownMaterials) -> None:
    world = played(known, top=N)
    assert len(set(world.collected)) == len(world.collected)
    assert world.calculations()[1] == N


def test_a_missing_value_is_a_failed_calculation(known: KnownMaterials) -> None:
    """It is paid for, never learned from, and does not keep a candidate from the target."""
    world = played(known, top=N)
    failed = [row for _, row, rung in world.collected if rung == 0 and row in {3, 7}]
    assert world.trained_on <= sum(world.calculations()) - len(failed)
    assert {f"c{i}" for i in (3, 7)} <= {name for _, name in world.found}


def test_the_clock_is_shared_by_the_slots(known: KnownMaterials) -> None:
    one, four = played(known), played(known, slots=4)
    assert one.clock == pytest.approx(one.spent)
    assert four.clock < four.spent


def test_the_same_seed_plays_the_same_campaign(known: KnownMaterials) -> None:
    assert played(known).collected == played(known).collected
    assert played(known).collected != played(known, seed=1).collected


def test_one_fidelity_is_played_without_a_ladder(known: KnownMaterials) -> None:
    world = played(known.at("dear"), costs=[1.0], explored=3, surrogate="gp")
    assert world.calculations() == [int(world.spent)]


@pytest.fixture
def shared_tables(shared_data: Path) -> list[Path]:
    return [shared_data / "mbd-kappa103", shared_data / "phonondb-kappa"]


def test_the_real_data_are_read(shared_tables: list[Path]) -> None:
    prop = property_named("thermal_conductivity")
    known = load_known(shared_tables, ["sevennet-l3i5"], prop)
    assert known.values.shape == (103, 2)
    assert np.isnan(known.values[:, 0]).sum() == 3
    best = {c.id: c.formula for c in known.candidates}
    assert sorted(best[i] for i in known.top(5, "max")) == ["BAs", "BAs", "BN", "BN", "BP"]


def test_what_is_missing_is_named(shared_tables: list[Path], tmp_path: Path) -> None:
    prop = property_named("thermal_conductivity")
    with pytest.raises(
        CampaignError, match="no column 'sevenet-l3i5'; did you mean 'sevennet-l3i5'"
    ):
        load_known(shared_tables, ["sevenet-l3i5"], prop)
    with pytest.raises(CampaignError, match="has both a structure"):
        load_known(shared_tables[:1], ["sevennet-l3i5"], prop)
    with pytest.raises(CampaignError, match="there is no such file or folder"):
        load_known([tmp_path / "nowhere"], [], prop)


@pytest.mark.slow
def test_a_good_lower_rung_saves_cost(shared_tables: list[Path], tmp_path: Path) -> None:
    """One seed of the real benchmark, with what it writes."""
    result = run(
        shared_tables, ["esen-30m-oam"], costs=[1 / 60], acquisition="ucb", seeds=1, out=tmp_path
    )
    strategies = result["strategies"]
    costs = {name: strategies[name]["cost_to_all"]["mean"] for name in strategies}
    assert costs[LADDER] < costs[TARGET_ONLY] < costs[RANDOM]
    assert json.loads((tmp_path / "results.json").read_text()) == result
    assert (tmp_path / "figure.png").stat().st_size > 10_000
