"""The benchmark of scale, with a few slots, structures and candidates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.benchmark import scale


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small measurement, and where it was written."""
    out = tmp_path_factory.mktemp("scale")
    settings = scale.Settings(
        parts=("loop", "memory"), slots=(2,), known=8, picks=2, candidates=1000
    )
    return {"out": out, "measured": scale.run(settings, out)}


def test_slots_are_busy_but_for_the_loop_itself(result: dict[str, Any]) -> None:
    (row,) = result["measured"]["loop"]
    assert row["picks"] >= 2
    assert row["trained_on"] >= 8
    assert 0.9 < row["slots_busy"] < 1.0
    assert {"collect", "train", "select"} <= set(row["steps"])
    assert row["own_seconds"] >= sum(step["seconds"] for step in row["steps"].values())


def test_memory_is_that_of_the_loop_alone(result: dict[str, Any]) -> None:
    (row,) = result["measured"]["memory"]
    assert (row["candidates"], row["picks"]) == (1000, 4)
    assert row["baseline_mib"] > 100
    assert 0 <= row["resumed_mib"] <= row["peak_mib"] < 1000


def test_it_is_written_for_machines_and_for_people(result: dict[str, Any]) -> None:
    out: Path = result["out"]
    assert json.loads((out / "results.json").read_text())["loop"] == result["measured"]["loop"]
    table = (out / "results.csv").read_text().splitlines()
    assert table[0] == "part,case,quantity,value"
    assert any(line.startswith("loop,2,slots_busy,0.9") for line in table)
    assert (out / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_names_its_parts(discover: Callable[..., Any]) -> None:
    answer = discover("benchmark", "scale", "--part", "loop,sleep")
    assert answer.code == 2
    assert "there are relaxation, loop, memory" in answer.err
