"""The campaign file that a launch leaves behind; runs of the service itself are in test_service."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from discover.campaign import Budget
from discover.errors import CampaignError
from flows.launch import RemoteCampaignSpec, _made


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))


def wanted(**budget: float) -> RemoteCampaignSpec:
    return RemoteCampaignSpec(name="again", budget=Budget.model_validate(budget))


def test_launching_again_replaces_the_campaign_file_at_once(tmp_path: Path) -> None:
    """Who reads meanwhile sees the old file or the new one: the old one is not written into."""
    file = _made(wanted(calculations=4)).spec_file
    before, old = file.read_text(), tmp_path / "old.yaml"
    os.link(file, old)
    _made(wanted(calculations=6))
    assert old.read_text() == before
    assert not file.samefile(old)


def test_another_campaign_of_the_same_name_is_refused() -> None:
    _made(wanted(calculations=4))
    with pytest.raises(CampaignError, match="differs in: seed"):
        _made(wanted(calculations=4).model_copy(update={"seed": 7}))
