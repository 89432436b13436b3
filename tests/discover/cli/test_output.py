"""How commands speak to people and to machines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.cli.output import duration, print_json, print_ranking, print_status
from discover.properties import property_named
from discover.results import ResultRow, Status


def row(rank: int, **changes: object) -> ResultRow:
    fields = {
        "rank": rank,
        "candidate": "c",
        "formula": "GaAs",
        "spacegroup": 216,
        "prototype": "zincblende",
        "smiles": None,
        "title": "zincblende",
        "property": "thermal_conductivity",
        "value": 46.123,
        "unit": "W/m/K",
        "fidelity": "agl/gpaw",
        "predicted": 40.0,
        "predicted_low": 20.0,
        "predicted_high": 80.0,
        "picked_by": "logei",
        "order": 0,
        "calculation": "0123456789abcdef",
        "seconds": 12.5,
        "quarantined": None,
    }
    return ResultRow.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (42, "42 s"),
        (59.7, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (90000, "25 h 00 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e8))
def test_durations_read_back(seconds: float) -> None:
    units = {"h": 3600, "min": 60, "s": 1}
    words = duration(seconds).split()
    told = sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= (60 if "h" in words else 1)


def test_json_of_records_and_of_plain_data(capsys: pytest.CaptureFixture[str]) -> None:
    print_json([row(1), row(2, formula="κ")])
    told = capsys.readouterr().out
    assert "κ" in told
    assert [ResultRow.model_validate(r) for r in json.loads(told)] == [row(1), row(2, formula="κ")]
    print_json(row(3))
    assert ResultRow.model_validate_json(capsys.readouterr().out) == row(3)
    print_json({"a": [1, None]})
    assert json.loads(capsys.readouterr().out) == {"a": [1, None]}
    print_json([])
    assert json.loads(capsys.readouterr().out) == []


def test_ranking_is_whole_where_it_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    first = row(2, predicted=None, predicted_low=None, predicted_high=None, picked_by="initial")
    doubted = row(0, quarantined="γ")
    print_ranking([row(1), first, doubted], property_named("thermal_conductivity"))
    told = capsys.readouterr().out
    assert "\x1b" not in told
    title, *lines = told.splitlines()
    assert title.strip() == "lattice thermal conductivity in W/m/K (agl/gpaw)"
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line]
    job = "0123456789abcdef"
    assert cells == [
        ["1", "GaAs", "zincblende", "46.1", "40 (20 … 80)", "logei", job],
        ["2", "GaAs", "zincblende", "46.1", "–", "initial", job],
        ["–", "GaAs", "zincblende", "46.1 (quarantined)", "40 (20 … 80)", "logei", job],
    ]


def test_status_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    print_status(
        Status(
            campaign="quick",
            state="stopped",
            reason="stopped by the user",
            property="thermal_conductivity",
            goal="max",
            calculations={"done": 3, "failed": 1, "running": 0, "unknown": 2},
            candidates={"ready": 7, "rejected": 0},
            budget=10,
            best=row(1),
            slots=2,
            slots_busy=0.987,
            passes=4,
            seconds_per_calculation=200.0,
            expected_seconds_left=7500.0,
            unheard_of=("the host [login] does not answer",),
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "quick: stopped (stopped by the user)",
        "  calculations  3 done, 1 failed, 2 unknown (budget 10)",
        "  unknown       the host [login] does not answer",
        "  candidates    7 ready",
        "  best so far   GaAs (zincblende): 46.12 W/m/K",
        "  slots         2, busy 98.7% of the time",
        "  a calculation takes 3 min 20 s",
        "  time left     about 2 h 05 min",
        "  passes        4",
    ]
