"""Commands that look at a campaign."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.plugins import BUILT_IN
from discover.records import CalculationState

Discover = Callable[..., Any]


def test_the_run_in_a_pipe_has_plain_lines(finished_run: Any) -> None:
    code, out, err = (getattr(finished_run.terminal, name) for name in ("code", "out", "err"))
    assert code == 0, err
    assert err == ""
    assert "\x1b" not in out
    assert "\r" not in out
    lines = out.splitlines()
    progress = [line for line in lines if re.match(r" *\d+ s  ", line)]
    assert sum("picked without a model" in line for line in progress) == 3
    assert sum(", expecting " in line for line in progress) == 3
    assert any("trained gp on 6 observations" in line for line in progress)
    page = re.escape(str(finished_run.folder.resolve() / "report" / "index.html"))
    told = rf"budget: 6 calculations: 6 calculations done in .*; report: {page}$"
    assert re.match(told, lines[-1])
    assert len([line for line in lines if line.startswith("│")]) == 6


def test_results_for_machines(discover: Discover, finished_run: Any) -> None:
    rows = json.loads(discover("results", finished_run.folder, "--json").out)
    assert len(rows) == 6
    needed = "candidate formula spacegroup property value unit fidelity calculation seconds"
    for row in rows:
        assert set(needed.split()) <= set(row)
        assert row["property"] == "thermal_conductivity"
        assert row["unit"] == "W/m/K"
        assert row["fidelity"] == "agl/potential"
        assert row["seconds"] > 0
        assert (finished_run.folder / "jobs" / row["calculation"] / "result.json").is_file()
    values = [row["value"] for row in rows]
    assert values == sorted(values, reverse=True)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        assert (row["predicted"] is None) == (row["picked_by"] == "initial")
        if row["predicted"] is not None:
            assert row["predicted_low"] < row["predicted"] < row["predicted_high"]
    top = json.loads(discover("results", finished_run.folder, "--json", "--top", 2).out)
    assert top == rows[:2]


def test_results_for_people(discover: Discover, finished_run: Any) -> None:
    rows = json.loads(discover("results", finished_run.folder, "--json").out)
    answer = discover("results", finished_run.folder / "campaign.yaml")
    assert answer.code == 0
    lines = [line for line in answer.out.splitlines() if line.startswith("│")]
    assert len(lines) == 6
    for row, line in zip(rows, lines, strict=True):
        assert row["formula"] in line
        assert row["calculation"] in line


def test_quarantined_results(discover: Discover, finished_campaign: Path) -> None:
    from discover.folder import CampaignFolder

    folder = CampaignFolder.at(finished_campaign)
    store = folder.open_store(folder.load())
    best = json.loads(discover("results", folder.root, "--json").out)[0]
    store.quarantine(f"{best['calculation']}-thermal_conductivity", "an outlier")
    store.close()
    assert len(json.loads(discover("results", folder.root, "--json").out)) == 5
    rows = json.loads(discover("results", folder.root, "--json", "--quarantined").out)
    assert len(rows) == 6
    assert rows[-1] == best | {"rank": 0, "quarantined": "an outlier"}


def test_status_for_machines(discover: Discover, finished_run: Any) -> None:
    told = json.loads(discover("status", finished_run.folder, "--json").out)
    needed = "campaign state calculations best slots_busy passes"
    assert set(needed.split()) <= set(told)
    assert told["campaign"] == "quick"
    assert told["state"] == "finished"
    assert told["reason"] == "budget: 6 calculations"
    assert told["calculations"] == {
        state.value: 6 if state is CalculationState.DONE else 0 for state in CalculationState
    }
    assert 0 < told["slots_busy"] <= 1
    assert told["passes"] >= 6
    assert told["expected_seconds_left"] is None
    rows = json.loads(discover("results", finished_run.folder, "--json").out)
    assert told["best"] == rows[0]


def test_status_for_people(discover: Discover, finished_run: Any) -> None:
    answer = discover("status", finished_run.folder)
    assert answer.code == 0
    assert "quick: finished (budget: 6 calculations)" in answer.out
    assert "6 done (budget 6)" in answer.out
    assert "\x1b" not in answer.out


def test_a_campaign_that_never_ran(discover: Discover, quick_campaign: Path) -> None:
    told = json.loads(discover("status", quick_campaign, "--json").out)
    assert (told["campaign"], told["state"], told["best"]) == ("quick", "new", None)
    assert set(told["calculations"].values()) == set(told["candidates"].values()) == {0}
    assert "quick: new" in discover("status", quick_campaign).out
    assert discover("results", quick_campaign).out == "no results yet\n"
    assert discover("results", quick_campaign, "--json").out == "[]\n"
    answer = discover("report", quick_campaign)
    assert answer.code == 2
    assert "start it with `discover run`" in answer.err
    assert [path.name for path in quick_campaign.iterdir()] == ["campaign.yaml"]


@pytest.mark.parametrize("command", ["status", "results", "report"])
def test_a_folder_without_a_campaign(discover: Discover, tmp_path: Path, command: str) -> None:
    answer = discover(command, tmp_path / "nowhere")
    assert answer.code == 2
    assert "campaign.yaml" in answer.err


def test_a_campaign_on_a_read_only_disk(
    discover: Discover, finished_run: Any, small_disk: Path
) -> None:
    folder = shutil.copytree(finished_run.folder, small_disk / "campaign")
    results = discover("results", folder, "--json").out
    status = discover("status", folder, "--json").out
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert discover("results", folder, "--json").out == results
    assert discover("status", folder, "--json").out == status
    assert len(json.loads(results)) == 6
    answer = discover("report", folder)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert "report" in line
    assert "Read-only file system" in line


def test_a_campaign_without_results_yet(discover: Discover, quick_campaign: Path) -> None:
    from discover.folder import CampaignFolder

    folder = CampaignFolder.at(quick_campaign)
    folder.open_store(folder.load()).close()
    assert discover("results", quick_campaign).out == "no results yet\n"
    assert discover("results", quick_campaign, "--json").out == "[]\n"
    assert json.loads(discover("status", quick_campaign, "--json").out)["state"] == "new"


def test_report(discover: Discover, finished_campaign: Path) -> None:
    page = finished_campaign / "report" / "index.html"
    page.unlink()
    answer = discover("report", finished_campaign)
    assert answer.code == 0
    assert Path(answer.out.strip()) == page
    assert "quick" in page.read_text()


def test_a_report_on_a_full_disk(discover: Discover, finished_run: Any, small_disk: Path) -> None:
    folder = shutil.copytree(finished_run.folder, small_disk / "campaign")
    page = folder / "report" / "index.html"
    before = page.read_bytes()
    rest = shutil.disk_usage(small_disk).free - len(before) // 2
    (small_disk / "filled").write_bytes(bytes(rest))
    answer = discover("report", folder)
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert "No space left on device; make room" in line
    assert page.read_bytes() == before


def test_plugins(discover: Discover) -> None:
    found = json.loads(discover("plugins", "--json").out)
    for kind, names in BUILT_IN.items():
        assert {p["name"] for p in found if p["kind"] == kind} >= set(names)
    acquisitions = json.loads(discover("plugins", "acquisitions", "--json").out)
    assert acquisitions == [p for p in found if p["kind"] == "acquisitions"]
    told = discover("plugins", "engines").out
    assert "gpaw" in told
    assert "logei" not in told
    answer = discover("plugins", "acquisition")
    assert answer.code == 2
    assert "did you mean 'acquisitions'" in answer.err
