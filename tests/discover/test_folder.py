"""A campaign's folder: where things lie, and what is said where they do not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discover.errors import CampaignError
from discover.folder import CampaignFolder
from discover.results import ranking
from discover.store import open_store


def test_given_itself_or_its_file(quick_campaign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = CampaignFolder.at(quick_campaign)
    assert CampaignFolder.at(quick_campaign / "campaign.yaml") == folder
    monkeypatch.chdir(quick_campaign)
    assert CampaignFolder.at(Path()) == folder
    assert CampaignFolder.at(Path("campaign.yaml")) == folder
    monkeypatch.setenv("HOME", str(quick_campaign.parent))
    assert CampaignFolder.at(Path("~") / quick_campaign.name) == folder


def test_everything_lies_in_the_folder(quick_campaign: Path) -> None:
    folder = CampaignFolder.at(quick_campaign)
    spec = folder.load()
    places = [folder.spec_file, folder.store_file, folder.models, folder.report, folder.slots]
    assert all(place.is_relative_to(folder.root) for place in [*places, folder.job("x")])
    assert folder.store_location(spec) == folder.store_file


def test_another_file_is_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(CampaignError, match="a campaign is a folder"):
        CampaignFolder.at(notes)


def test_a_campaign_that_never_ran_has_no_store(quick_campaign: Path) -> None:
    folder = CampaignFolder.at(quick_campaign)
    assert not folder.has_store(folder.load())
    for read_only in (False, True):
        with pytest.raises(CampaignError, match="start it with `discover run`"):
            folder.open_existing_store(folder.load(), read_only=read_only)
    assert not folder.store_file.exists()


def test_a_store_that_a_kill_left_empty_is_none(quick_campaign: Path) -> None:
    folder = CampaignFolder.at(quick_campaign)
    folder.store_file.touch()
    assert not folder.has_store(folder.load())
    folder.open_store(folder.load()).close()
    assert folder.has_store(folder.load())


def test_a_store_on_a_server_is_asked_for_by_file_or_environment(
    quick_campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CampaignFolder.at(quick_campaign)
    spec = folder.load().model_copy(update={"store": "mongodb://host/database"})
    assert folder.has_store(spec)
    assert folder.store_location(spec) == "mongodb://host/database"
    monkeypatch.setenv("DISCOVER_STORE", "mongodb://elsewhere/database")
    assert folder.store_location(spec) == "mongodb://elsewhere/database"


def test_check_writable_makes_the_folders_and_leaves_nothing(quick_campaign: Path) -> None:
    folder = CampaignFolder.at(quick_campaign)
    folder.check_writable()
    assert sorted(p.name for p in quick_campaign.rglob("*")) == [
        "campaign.yaml",
        "jobs",
        "models",
        "report",
    ]


def test_below_a_file_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CampaignError, match="cannot be written"):
        CampaignFolder(tmp_path / "file" / "campaign").check_writable()


def test_a_folder_can_be_moved(finished_campaign: Path, tmp_path: Path) -> None:
    def rows(root: Path) -> list[Any]:
        folder = CampaignFolder.at(root)
        spec = folder.load()
        store = folder.open_existing_store(spec)
        try:
            return ranking(store, spec)
        finally:
            store.close()

    there = rows(finished_campaign)
    assert len(there) == 6
    moved = shutil.move(finished_campaign, tmp_path / "moved elsewhere")
    assert rows(Path(moved)) == there


def test_a_file_holds_one_store(quick_campaign: Path, metal: Callable[..., Any]) -> None:
    folder = CampaignFolder.at(quick_campaign)
    store = folder.open_store(folder.load())
    store.add_candidates([metal()])
    store.close()
    again = open_store(folder.store_file, "quick")
    assert [c.formula for c in again.candidates()] == ["Cu"]
    again.close()
