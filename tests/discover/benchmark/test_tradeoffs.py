"""Several targets of known rows: how they are read, how much of the hypervolume is found, and by whom."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from discover.acquisition.aims import hypervolume
from discover.benchmark.campaigns import Settings
from discover.benchmark.columns import Columns
from discover.benchmark.tradeoff_benchmark import expected_volume, run
from discover.benchmark.tradeoffs import Target, Tradeoff, load_tradeoff
from discover.errors import DataError, PluginError

TARGETS = [Target("strength", larger=True), Target("price", larger=False, reference=2.0)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows of two descriptors and two targets that oppose one another."""
    rng = np.random.default_rng(0)
    x = rng.random((60, 2))
    file = tmp_path_factory.mktemp("table") / "rows.csv"
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["row", "a", "b", "strength", "price"])
        for i, (a, b) in enumerate(x):
            writer.writerow([i, a, b, np.sin(2 * a) + 0.3 * b, 1.5 * a**2 + (b - 0.5) ** 2])
    return file


@pytest.fixture(scope="module")
def tradeoff(table: Path) -> Tradeoff:
    return load_tradeoff([table], Columns(target="strength"), TARGETS)


def test_no_target_describes_a_row(tradeoff: Tradeoff) -> None:
    assert tradeoff.data.features.names == ("a", "b")
    assert tradeoff.y.shape == (60, 2)
    strength, price = tradeoff.aims.references
    assert strength == pytest.approx(np.median(tradeoff.y[:, 0]))
    assert price == -2.0


def test_volumes_rise_to_that_of_the_table(tradeoff: Tradeoff) -> None:
    order = np.random.default_rng(1).permutation(60).tolist()
    found = tradeoff.volumes(order)
    assert found == sorted(found)
    assert found[-1] == pytest.approx(1.0)
    everything = hypervolume(tradeoff.oriented, tradeoff.aims.references)
    some = hypervolume(tradeoff.oriented[order[:20]], tradeoff.aims.references)
    assert found[19] == pytest.approx(some / everything)
    assert tradeoff.volumes(sorted(tradeoff.front))[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("kappa:max", Target("kappa", larger=True)),
        ("E [V]:min:4.5", Target("E [V]", larger=False, reference=4.5)),
        ("a:b:max:log10:1e-3", Target("a:b", larger=True, transform="log10", reference=1e-3)),
    ],
)
def test_targets_are_told_by_their_goal(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize("text", ["kappa", "kappa:up", "kappa:max:tall", ":max", ""])
def test_other_targets_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="--target"):
        Target.parse(text)


def test_what_cannot_be_traded_off_is_refused(table: Path) -> None:
    columns = Columns(target="strength")
    with pytest.raises(DataError, match="given twice"):
        load_tradeoff([table], columns, [TARGETS[0], TARGETS[0]])
    hopeless = [TARGETS[0], Target("price", larger=False, reference=-1.0)]
    with pytest.raises(DataError, match="better than all references"):
        load_tradeoff([table], columns, hopeless)
    with pytest.raises(DataError, match="no such column"):
        load_tradeoff([table], columns, [TARGETS[0], Target("prize", larger=False)])


def test_rows_that_lack_a_target_are_refused_or_dropped_and_listed(
    table: Path, tmp_path: Path, tradeoff: Tradeoff
) -> None:
    lines = table.read_text().splitlines()
    lines[3] = ",".join([*lines[3].split(",")[:4], ""])
    lines[7] = ",".join([*lines[7].split(",")[:3], "strong", "1.0"])
    file = tmp_path / "gaps.csv"
    file.write_text("\n".join(lines) + "\n")
    columns = Columns(target="strength")
    with pytest.raises(DataError, match="strong"):
        load_tradeoff([file], columns, TARGETS)
    told: list[str] = []
    left = load_tradeoff([file], columns, TARGETS, drop_invalid=True, told=told.append)
    kept = [row for row in range(60) if row not in (2, 6)]
    assert left.data.rows.tolist() == kept
    assert np.array_equal(left.data.x, tradeoff.data.x[kept])
    assert np.array_equal(left.y, tradeoff.y[kept])
    assert len(left.data.dropped) == 2
    assert sum("dropped" in line for line in told) == 2


def test_a_replay_finds_more_than_random_and_goes_on_where_it_was_killed(
    tradeoff: Tradeoff, tmp_path: Path
) -> None:
    settings = Settings(goal="max", initial=6, budget=9, concurrency=2)
    arguments: dict[str, Any] = {
        "surrogates": ["gp"],
        "acquisitions": ["desirability", "logei"],
        "seeds": 2,
    }
    told: list[str] = []
    result = run(tradeoff, settings, out=tmp_path, told=told.append, **arguments)
    assert list(result["strategies"]) == [
        "random order",
        "gp + desirability",
        "gp + logei of the sum",
    ]
    volumes = {name: found["volume"]["mean"] for name, found in result["strategies"].items()}
    assert volumes["gp + desirability"] > volumes["random order"]
    assert json.loads((tmp_path / "results.json").read_text()) == result
    assert (tmp_path / "results.csv").read_text().count("\n") == 4
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    kept = next((tmp_path / "runs").iterdir())
    kept.unlink()
    assert run(tradeoff, settings, out=tmp_path, **arguments)["strategies"].keys() == volumes.keys()
    assert len(told) == 6


def test_all_is_checked_before_anything_is_replayed(tradeoff: Tradeoff, tmp_path: Path) -> None:
    settings = Settings(goal="max", initial=6, budget=9, concurrency=2)
    with pytest.raises(PluginError, match="did you mean 'qlognehvi'"):
        run(tradeoff, settings, surrogates=["gp"], acquisitions=["qlognehv"], out=tmp_path)
    few = Settings(goal="max", initial=6, budget=6, concurrency=2)
    with pytest.raises(DataError, match="--initial 6"):
        run(tradeoff, few, surrogates=["gp"], acquisitions=["parego"], out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_random_search_is_expected_to_find(tradeoff: Tradeoff) -> None:
    expected = expected_volume(tradeoff, 60)
    assert expected[-1] == pytest.approx(1.0)
    assert 0 <= expected[0] < expected[20] < 1
