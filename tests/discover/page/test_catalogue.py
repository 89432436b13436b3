"""Which campaigns there are, and when what was read of one is read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from discover.errors import CampaignError, NotServedError
from discover.page.catalogue import Catalogue, OpenCampaign
from discover.page.known import note_campaign

SPEC = "name: {}\nbudget: {{calculations: 5}}\n"


def add(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir(parents=True)
    (folder / "campaign.yaml").write_text(SPEC.format("c"))
    return folder


def test_campaigns_of_the_home_and_of_named_folders(own_home: Path, tmp_path: Path) -> None:
    launched = add(own_home / "campaigns", "launched")
    one, other = add(tmp_path / "many", "one"), add(tmp_path / "many", "other one!")
    alone = add(tmp_path / "elsewhere", "alone")
    catalogue = Catalogue([tmp_path / "many", alone, tmp_path / "absent", one])
    found = {name: folder.root for name, folder in catalogue.folders().items()}
    assert found == {"one": one, "other-one": other, "alone": alone, "launched": launched}


def test_campaigns_that_were_run_here_are_known_while_they_are_there(
    own_home: Path, tmp_path: Path
) -> None:
    one, gone = add(tmp_path / "somewhere", "one"), add(tmp_path / "somewhere", "gone")
    for folder in (one, gone, one):
        note_campaign(folder)
    shutil.rmtree(gone)
    (own_home / "known" / "odd.txt").write_text("relative/path")
    (own_home / "known" / "binary.txt").write_bytes(b"\xff\xfe")
    assert [folder.root for folder in Catalogue([one]).folders().values()] == [one]
    assert [folder.root for folder in Catalogue().folders().values()] == [one]


def test_a_home_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "file" / "home"))
    note_campaign(tmp_path)
    assert Catalogue().folders() == {}


def test_equal_names_are_told_apart_and_keep_their_names(tmp_path: Path) -> None:
    folders = [add(tmp_path / place, "same") for place in ("a", "b")]
    names = list(Catalogue(folders).folders())
    assert len(set(names)) == 2
    assert list(Catalogue(folders).folders()) == names


@pytest.mark.parametrize("name", ["absent", "..", "../made-up", "", "/etc", "made-up/../made-up"])
def test_names_are_looked_up_and_never_made_into_paths(name: str, folder: Path) -> None:
    with pytest.raises(NotServedError):
        Catalogue([folder]).open(name)


def test_a_campaign_that_was_never_run_is_empty(tmp_path: Path) -> None:
    one = Catalogue([add(tmp_path, "new")]).open("new")
    assert one.findings.status.state == "new"
    assert not (tmp_path / "new" / "store.sqlite").exists()


def test_a_broken_file_is_an_error_of_that_campaign_alone(tmp_path: Path) -> None:
    (add(tmp_path, "broken") / "campaign.yaml").write_text("nmae: x")
    catalogue = Catalogue([tmp_path])
    add(tmp_path, "fine")
    assert catalogue.open("fine").spec.budget.calculations == 5
    with pytest.raises(CampaignError, match="nmae"):
        catalogue.open("broken")


def test_findings_are_kept_until_something_changes(campaign: OpenCampaign, folder: Path) -> None:
    first, version = campaign.findings, campaign.version
    assert campaign.findings is first
    made = []
    assert campaign.kept("map", lambda: made.append(1) or "made") == "made"  # type: ignore[func-returns-value]
    assert campaign.kept("map", lambda: "again") == "made"
    campaign.renew()
    assert campaign.version != version
    assert campaign.findings is not first
    assert campaign.kept("map", lambda: "again") == "again"


def test_another_file_or_store_is_seen(folder: Path) -> None:
    catalogue = Catalogue([folder])
    before = catalogue.open("made-up")
    assert catalogue.open("made-up") is before
    text = (folder / "campaign.yaml").read_text()
    (folder / "campaign.yaml").write_text(text.replace("calculations: 74", "calculations: 99"))
    assert catalogue.open("made-up").spec.budget.calculations == 99
    copy = folder / "copy"
    shutil.copy(folder / "store.sqlite", copy)
    copy.replace(folder / "store.sqlite")
    assert catalogue.open("made-up") is not before
