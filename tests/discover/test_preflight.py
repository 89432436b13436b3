"""Bad input is refused with one clear message before compute is spent, and nothing is lost."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.folder import CampaignFolder
from discover.lease import SteeringLease
from discover.preflight import check_file
from discover.store import FORMAT_VERSION

WITHOUT_GPAW = """
import sys
from importlib.machinery import PathFinder


class WithoutGPAW(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] == "gpaw":
            return None
        return super().find_spec(name, path, target)


sys.meta_path[:] = [WithoutGPAW if finder is PathFinder else finder for finder in sys.meta_path]
"""

NARROW_KIND = """
class Narrow:
    name = "narrow"
    properties = ("bulk_modulus",)

    def run(self, crystal, engine, directory):
        raise AssertionError("nothing is to be computed")
"""


def edit(folder: Path, **sections: Any) -> None:
    """Merge sections into the campaign file, one level deep."""
    path = folder / "campaign.yaml"
    content = yaml.safe_load(path.read_text())
    for key, value in sections.items():
        known = content.get(key)
        content[key] = known | value if isinstance(known, dict) else value
    path.write_text(yaml.safe_dump(content))


def fingerprint(folder: Path) -> dict[str, str]:
    """Content of every file of a campaign that could be lost."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def refused(discover: Callable[..., Any]) -> Callable[..., str]:
    """Run a campaign that is to be refused: exit code 2, and nothing is started or changed."""

    def run(folder: Path, *words: str) -> str:
        before = fingerprint(folder)
        answer = discover("run", folder, "--no-dashboard")
        lines = answer.err.splitlines()
        assert answer.code == 2, answer
        assert answer.out == ""
        assert all(line.startswith("error: ") for line in lines), lines
        assert len(lines) == 1, lines
        for word in words:
            assert word in answer.err
        assert fingerprint(folder) == before
        assert not [*folder.glob("jobs/*")]
        return lines[0]

    return run


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"acquisition": {"name": "logie"}}, ["acquisition: ", "did you mean 'logei'"]),
        ({"surrogate": {"name": "gpr"}}, ["surrogate: ", "did you mean 'gp'"]),
        ({"generator": {"name": "prototype"}}, ["generator: ", "did you mean 'prototypes'"]),
        ({"descriptors": ["compositon"]}, ["descriptors.0: ", "did you mean 'composition'"]),
        ({"potential": "chgnt"}, ["potential: ", "did you mean 'chgnet'"]),
        ({"dispatch": {"name": "locl"}}, ["dispatch.name: ", "did you mean 'local'"]),
        ({"calculation": {"kind": "agll"}}, ["calculation.kind: ", "did you mean 'agl'"]),
        (
            {"calculation": {"engine": "gpwa", "engine_settings": {}}},
            ["calculation.engine: ", "did you mean 'gpaw'"],
        ),
        ({"acquisition": {"name": "none.py:f"}}, ["acquisition: ", "there is no file", "none.py"]),
        ({"potential": "mace:lost/some.model"}, ["potential: ", "some.model", "no such file"]),
        ({"potential": "mace"}, ["potential: ", "needs a model"]),
    ],
)
def test_unknown_plugins(
    quick_campaign: Path,
    refused: Callable[..., str],
    sections: dict[str, Any],
    words: list[str],
) -> None:
    edit(quick_campaign, **sections)
    refused(quick_campaign, "campaign.yaml: ", *words)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        (
            {"generator": {"options": {"elemnts": ["Ni"]}}},
            ["generator.options.elemnts: unknown key", "did you mean 'elements'"],
        ),
        ({"generator": {"options": {"elements": ["Xx"]}}}, ["generator.options.elements.0: "]),
        ({"generator": {"options": {"elements": ["Ni"]}}}, ["generator: ", "add up"]),
        (
            {"surrogate": {"name": "gp", "options": {"kernle": 1}}},
            ["surrogate.options.kernle: unknown key"],
        ),
        (
            {"surrogate": {"name": "mixture", "options": {"members": ["gp", "gpr"]}}},
            ["surrogate", "did you mean 'gp'"],
        ),
        (
            {"acquisition": {"name": "ucb", "options": {"bet": 1}}},
            ["acquisition: ", "bet", "did you mean 'beta'"],
        ),
        (
            {"calculation": {"settings": {"volumes": "seven"}}},
            ["calculation.settings.volumes: ", "(got 'seven')"],
        ),
        (
            {"calculation": {"engine_settings": {"potential": "emt", "cutoff": 3}}},
            ["calculation.engine_settings.cutoff: unknown key"],
        ),
        (
            {"calculation": {"engine_settings": {"potential": "etm"}}},
            ["calculation.engine", "did you mean 'emt'"],
        ),
        ({"budget": {"calculations": 0}}, ["budget.calculations: ", "(got 0)"]),
        ({"buget": {"calculations": 1}}, ["buget: unknown key", "did you mean 'budget'"]),
    ],
)
def test_wrong_options(
    quick_campaign: Path,
    refused: Callable[..., str],
    sections: dict[str, Any],
    words: list[str],
) -> None:
    edit(quick_campaign, **sections)
    refused(quick_campaign, "campaign.yaml: ", *words)


def test_malformed_yaml(quick_campaign: Path, refused: Callable[..., str]) -> None:
    (quick_campaign / "campaign.yaml").write_text("name: quick\nbudget: {calculations: 3\n")
    refused(quick_campaign, "campaign.yaml: is not valid YAML", "line 3")


def test_no_such_folder(tmp_path: Path, refused: Callable[..., str]) -> None:
    refused(tmp_path / "nowhere", "campaign.yaml: there is no such file")
    assert not (tmp_path / "nowhere").exists()


def test_another_file_of_the_folder_is_not_the_campaign(
    quick_campaign: Path, discover: Callable[..., Any]
) -> None:
    other = quick_campaign / "other.yaml"
    other.write_text("name: other\n")
    answer = discover("run", other, "--no-dashboard")
    assert answer.code == 2
    assert "other.yaml: is a file; a campaign is a folder" in answer.err
    assert not (quick_campaign / "store.sqlite").exists()


def test_elements_that_the_potential_does_not_know(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    elements = {"options": {"elements": ["Na", "Cl", "Cu", "O"]}}
    engine = {"engine": "potential", "engine_settings": {"potential": "chgnet"}}
    edit(quick_campaign, generator=elements, relaxation={"enabled": True}, calculation=engine)
    refused(quick_campaign, "potential: 'emt' does not know Cl, Na", "generator.options.elements")


def test_elements_that_chgnet_does_not_know(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    elements = {"options": {"elements": ["Ra", "O"]}}
    engine = {"engine": "potential", "engine_settings": {"potential": "chgnet"}}
    edit(quick_campaign, generator=elements, calculation=engine)
    refused(quick_campaign, "calculation.engine: 'potential' does not know Ra")


def test_elements_that_the_engine_does_not_know(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    edit(quick_campaign, calculation={"engine": "emt", "engine_settings": {}})
    refused(quick_campaign, "calculation.engine: 'emt' does not know C, N, O")


def test_a_potential_that_is_not_asked_may_know_less(quick_campaign: Path) -> None:
    edit(quick_campaign, calculation={"engine_settings": {"potential": "chgnet"}})
    edit(quick_campaign, generator={"options": {"elements": ["Na", "Cl"]}})
    _, problems = check_file(quick_campaign / "campaign.yaml")
    assert problems == []


def test_a_property_that_the_kind_does_not_compute(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    (quick_campaign / "narrow.py").write_text(NARROW_KIND)
    edit(quick_campaign, calculation={"kind": "narrow.py:Narrow"})
    refused(
        quick_campaign,
        "calculation.kind: 'narrow.py:Narrow' does not compute 'thermal_conductivity'",
        "bulk_modulus",
    )


def test_an_engine_that_is_not_installed(quick_campaign: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_GPAW)
    edit(quick_campaign, calculation={"engine": "gpaw", "engine_settings": {}})
    before = fingerprint(quick_campaign)
    done = subprocess.run(
        [sys.executable, "-m", "discover", "run", str(quick_campaign), "--no-dashboard"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "calculation.engine: the engine 'gpaw' is not installed" in line
    assert "pip install 'discover-materials[gpaw]'" in line
    assert fingerprint(quick_campaign) == before


def test_every_problem_at_once(quick_campaign: Path, discover: Callable[..., Any]) -> None:
    edit(
        quick_campaign,
        potential="mace:lost/some.model",
        surrogate={"name": "mixture", "options": {"members": ["pg"]}},
        calculation={"engine": "emt", "engine_settings": {}},
    )
    answer = discover("validate", quick_campaign)
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert len(lines) == 3
    assert {line.split("campaign.yaml: ")[1].split(":")[0] for line in lines} == {
        "potential",
        "surrogate",
        "calculation.engine",
    }


def test_something_in_the_way_of_the_jobs(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    (quick_campaign / "jobs").write_text("in the way")
    refused(quick_campaign, "jobs: cannot be written", "choose another folder")


@pytest.fixture
def mounted(quick_campaign: Path, small_disk: Path) -> Path:
    """The campaign on a small file system of its own."""
    return shutil.copytree(quick_campaign, small_disk / "campaign")


def test_an_unwritable_directory(mounted: Path, refused: Callable[..., str]) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted.parent)], check=True)
    refused(mounted, f"{mounted}", "cannot be written: Read-only file system")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission(quick_campaign: Path, refused: Callable[..., str]) -> None:
    quick_campaign.chmod(0o555)
    try:
        refused(quick_campaign, "cannot be written: Permission denied")
    finally:
        quick_campaign.chmod(0o755)


def test_a_disk_with_too_little_space(mounted: Path, refused: Callable[..., str]) -> None:
    refused(mounted, "are free on this disk", "make room")


def test_a_store_of_a_newer_version(finished_campaign: Path, discover: Callable[..., Any]) -> None:
    with sqlite3.connect(finished_campaign / "store.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION + 1}")
    connection.close()
    before = fingerprint(finished_campaign)
    for command in (("run", "--no-dashboard"), ("status",), ("results",), ("resume",), ("stop",)):
        answer = discover(command[0], finished_campaign, *command[1:])
        assert answer.code == 2
        (line,) = answer.err.splitlines()
        assert f"store.sqlite: was written in format {FORMAT_VERSION + 1}" in line
        assert "update discover" in line
    assert fingerprint(finished_campaign) == before


def test_a_store_that_is_none(quick_campaign: Path, refused: Callable[..., str]) -> None:
    (quick_campaign / "store.sqlite").write_text("this is no database, but somebody's notes\n" * 9)
    refused(quick_campaign, "store.sqlite", "not a SQLite database")


def test_a_second_process_on_the_same_campaign(
    quick_campaign: Path, refused: Callable[..., str]
) -> None:
    folder = CampaignFolder.at(quick_campaign)
    store = folder.open_store(folder.load())
    with SteeringLease(store):
        refused(quick_campaign, f"process {os.getpid()} on", "already steers", "discover stop")
        assert store.calculations() == []
    store.close()


def test_a_good_campaign_has_no_problems(quick_campaign: Path) -> None:
    spec, problems = check_file(quick_campaign / "campaign.yaml")
    assert problems == []
    assert spec is not None
    assert spec.name == "quick"


def test_errors_of_schema_plugins_and_surroundings_at_once(quick_campaign: Path) -> None:
    edit(
        quick_campaign,
        budgett=3,
        potential="chgnett",
        acquisition={"name": "logie"},
        generator={"options": {"elements": ["Na", "Cl"], "prototypes": ["rocksalt"]}},
        calculation={"engine": "emt", "engine_settings": {}},
    )
    _, problems = check_file(quick_campaign / "campaign.yaml")
    found = "\n".join(problems)
    assert "budgett: unknown key; did you mean 'budget'" in found
    assert "acquisition: no acquisition is called 'logie'; did you mean 'logei'" in found
    assert "potential: no potential is called 'chgnett'" in found
    assert "calculation.engine: 'emt' does not know Cl, Na" in found
    assert len(problems) == 4


def test_what_has_an_error_does_not_cause_others(quick_campaign: Path) -> None:
    edit(quick_campaign, generator={"options": {"elements": "Na"}}, objective={"goal": "up"})
    _, problems = check_file(quick_campaign / "campaign.yaml")
    assert len(problems) == 2
    assert "objective.goal" in problems[0]
    assert "generator.options.elements" in problems[1]


def test_a_potential_that_cannot_learn(quick_campaign: Path) -> None:
    edit(quick_campaign, learning={"max_force_uncertainty_ev_per_angstrom": 0.1})
    _, problems = check_file(quick_campaign / "campaign.yaml")
    said = "\n".join(problems)
    assert len(problems) == 3
    assert "learning: no engine of this campaign computes from first principles" in said
    assert "learning: 'emt' cannot be fine-tuned: only MACE potentials can" in said
    assert "learning.committee: an uncertainty needs at least two models" in said
    edit(quick_campaign, learning={"every": 0})
    _, (problem,) = check_file(quick_campaign / "campaign.yaml")
    assert "learning.every" in problem


def test_a_descriptor_that_needs_another_potential(quick_campaign: Path) -> None:
    edit(quick_campaign, descriptors=["composition", "embedding"])
    _, (problem,) = check_file(quick_campaign / "campaign.yaml")
    assert "descriptors.1: the descriptor 'embedding' needs a MACE potential, not 'emt" in problem
    edit(quick_campaign, potential="mace:lost/some.model")
    _, (problem,) = check_file(quick_campaign / "campaign.yaml")
    assert "campaign.yaml: potential: " in problem


def test_a_surrogate_that_answers_for_the_first_property_alone(quick_campaign: Path) -> None:
    edit(quick_campaign, learn=["bulk_modulus"], surrogate={"name": "transfer"})
    _, (problem,) = check_file(quick_campaign / "campaign.yaml")
    assert "surrogate.options.outputs: set it to all: there are 2 properties" in problem
    edit(quick_campaign, surrogate={"name": "transfer", "options": {"outputs": "all"}})
    assert check_file(quick_campaign / "campaign.yaml")[1] == []


EMT_RUNG = {"kind": "agl", "engine": "potential", "engine_settings": {"potential": "emt"}}
LADDER = {
    "surrogate": {"name": "multi-fidelity"},
    "ladder": [EMT_RUNG | {"name": "rough"}],
    "calculation": {"settings": {"volumes": 9}},
}


def problems_of(folder: Path, **sections: Any) -> list[str]:
    edit(folder, **(LADDER | sections))
    return check_file(folder / "campaign.yaml")[1]


def test_a_ladder_is_sound(quick_campaign: Path) -> None:
    assert problems_of(quick_campaign) == []


@pytest.mark.parametrize(
    ("sections", "key", "message"),
    [
        ({"ladder": [EMT_RUNG | {"kind": "agk"}]}, "ladder.0.kind", "did you mean 'agl'?"),
        ({"ladder": [EMT_RUNG | {"knd": "agl"}]}, "ladder.0.knd", "did you mean 'kind'?"),
        (
            {"ladder": [EMT_RUNG | {"name": "a", "settings": {"volumes": 4}}]},
            "ladder.0.settings.volumes",
            "greater than or equal to 5",
        ),
        (
            {"ladder": [EMT_RUNG | {"engine_settings": {"potential": "nope"}, "name": "a"}]},
            "ladder.0.engine",
            "nope",
        ),
        ({"ladder": [EMT_RUNG]}, "calculation.name", "is that of ladder.0 too"),
        (
            {"ladder": [EMT_RUNG | {"name": "same", "settings": {"volumes": 9}}]},
            "ladder.0",
            "the very same calculation as calculation",
        ),
        (
            {"ladder": [EMT_RUNG | {"name": "free", "cost_core_seconds": 0}]},
            "ladder.0.cost_core_seconds",
            "greater than 0",
        ),
        ({"surrogate": {"name": "gp"}}, "surrogate.name", "choose 'multi-fidelity'"),
    ],
)
def test_a_faulty_rung_is_named(
    sections: dict[str, Any], key: str, message: str, quick_campaign: Path
) -> None:
    problems = problems_of(quick_campaign, **sections)
    assert any(f": {key}: " in problem and message in problem for problem in problems), problems


def test_a_rung_that_does_not_compute_the_property_is_named(quick_campaign: Path) -> None:
    (quick_campaign / "narrow.py").write_text(NARROW_KIND)
    problems = problems_of(quick_campaign, ladder=[EMT_RUNG | {"kind": "narrow.py:Narrow"}])
    assert len(problems) == 1
    assert ": ladder.0.kind: 'narrow.py:Narrow' does not compute" in problems[0]


def test_a_rung_whose_engine_lacks_an_element_is_named(quick_campaign: Path) -> None:
    problems = problems_of(
        quick_campaign,
        generator={"name": "prototypes", "options": {"elements": ["Cu", "Si", "O"]}},
        relaxation={"enabled": False},
    )
    assert any(": ladder.0.engine: 'potential' does not know Si" in p for p in problems), problems
