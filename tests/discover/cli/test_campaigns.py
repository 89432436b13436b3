"""Commands that make and check campaigns."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.campaign import CampaignSpec
from discover.templates import template_text

Discover = Callable[..., Any]
HEAVY = ("torch", "pandas", "prefect", "pymatgen", "botorch", "matminer", "ase", "scipy", "numpy")


def test_importing_the_command_line_is_cheap() -> None:
    code = (
        "import json, sys, discover.cli; "
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_help_names_every_command(discover: Discover) -> None:
    answer = discover("--help")
    assert answer.code == 0
    commands = (
        "init validate schema run status results report stop resume up down plugins benchmark"
    )
    for command in commands.split():
        assert f" {command} " in answer.out


@pytest.mark.parametrize(
    "words",
    [["no-such-command"], ["run"], ["run", "x", "--no-such-option"], ["results", "x", "--top"]],
)
def test_usage_errors(discover: Discover, words: list[str]) -> None:
    assert discover(*words).code == 2


def test_init_writes_the_template(discover: Discover, tmp_path: Path) -> None:
    place = tmp_path / "my first campaign"
    answer = discover("init", "thermal-conductivity", place)
    assert answer.code == 0
    assert (place / "campaign.yaml").read_text() == template_text("thermal-conductivity")
    assert f"discover run '{place}'" in answer.out
    assert discover("validate", place).code == 0


def test_init_without_words_takes_the_template_and_its_name(
    discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert discover("init").code == 0
    assert (tmp_path / "thermal-conductivity" / "campaign.yaml").is_file()


def test_init_leaves_what_is_there(
    discover: Discover, quick_campaign: Path, tmp_path: Path
) -> None:
    spec = quick_campaign / "campaign.yaml"
    text = spec.read_text()
    answer = discover("init", "thermal-conductivity", quick_campaign)
    assert answer.code == 2
    assert "exists already" in answer.err
    again = discover("init", "thermal-conductivity", quick_campaign, "--exist-ok")
    assert again.code == 0
    assert spec.read_text() == text
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    refused = discover("init", "thermal-conductivity", notes)
    assert refused.code == 2
    assert "is a file" in refused.err
    assert not (tmp_path / "campaign.yaml").exists()


def test_init_of_an_unknown_template(discover: Discover, tmp_path: Path) -> None:
    answer = discover("init", "thermal-conductivty", tmp_path / "x")
    assert answer.code == 2
    assert "did you mean 'thermal-conductivity'" in answer.err
    assert not (tmp_path / "x").exists()


def test_validate_a_good_file(discover: Discover, quick_campaign: Path) -> None:
    for place in (quick_campaign, quick_campaign / "campaign.yaml"):
        answer = discover("validate", place)
        assert answer.code == 0
        assert "campaign 'quick' is valid" in answer.out
    told = json.loads(discover("validate", quick_campaign, "--json").out)
    assert told["valid"] is True
    assert told["errors"] == []


def test_validate_tells_every_error(discover: Discover, quick_campaign: Path) -> None:
    spec = quick_campaign / "campaign.yaml"
    wrong = spec.read_text().replace("name: logei", "name: logie")
    spec.write_text(wrong + "seed: -1\nnmae: x\n")
    answer = discover("validate", spec)
    assert answer.code == 2
    assert len(answer.err.splitlines()) == 3
    assert all(line.startswith(f"error: {spec}: ") for line in answer.err.splitlines())
    in_json = discover("validate", spec, "--json")
    assert in_json.code == 2
    told = json.loads(in_json.out)
    assert told["file"] == str(spec)
    assert told["valid"] is False
    assert [f"error: {error}" for error in told["errors"]] == answer.err.splitlines()


@pytest.mark.parametrize("text", ["name: [", "- 1", "", None])
def test_validate_what_cannot_be_read(discover: Discover, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "campaign.yaml").write_text(text)
    answer = discover("validate", tmp_path, "--json")
    assert answer.code == 2
    told = json.loads(answer.out)
    assert told["valid"] is False
    assert len(told["errors"]) == 1
    assert discover("validate", tmp_path).err == f"error: {told['errors'][0]}\n"


def test_schema(discover: Discover) -> None:
    schema = json.loads(discover("schema").out)
    assert schema == CampaignSpec.model_json_schema()


@pytest.mark.parametrize("command", ["resume", "stop"])
def test_a_campaign_that_never_ran(discover: Discover, quick_campaign: Path, command: str) -> None:
    answer = discover(command, quick_campaign)
    assert answer.code == 2
    assert "start it with `discover run`" in answer.err
    assert not (quick_campaign / "store.sqlite").exists()


def test_stop_where_nothing_runs(discover: Discover, finished_campaign: Path) -> None:
    answer = discover("stop", finished_campaign)
    assert answer.code == 0
    assert answer.out == "this campaign is not running\n"


def test_a_finished_campaign_is_resumed_with_a_larger_budget(
    discover: Discover, finished_campaign: Path
) -> None:
    before = json.loads(discover("results", finished_campaign, "--json").out)
    spec = finished_campaign / "campaign.yaml"
    content = yaml.safe_load(spec.read_text())
    content["budget"]["calculations"] = 7
    spec.write_text(yaml.safe_dump(content))
    answer = discover("resume", finished_campaign, "--no-dashboard", "--json")
    assert answer.code == 0
    told = json.loads(answer.out)  # progress went to stderr
    assert told["state"] == "finished"
    assert told["calculations"]["done"] == 7
    assert "started" in answer.err
    rows = json.loads(discover("results", finished_campaign, "--json").out)
    kept = {row["calculation"]: row["value"] for row in rows if row["order"] < 6}
    assert kept == {row["calculation"]: row["value"] for row in before}
