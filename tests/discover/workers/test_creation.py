"""The section `tasks`: what is wrong with it is said before anything is started."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.campaign import CampaignSpec
from discover.errors import CampaignError, MissingDependencyError
from discover.folder import CampaignFolder
from discover.workers import InTurn, check_tasks, open_workers
from discover.workers.base import Threads


def spec(**tasks: Any) -> CampaignSpec:
    return CampaignSpec.model_validate({"tasks": tasks})


def test_the_default_works_in_turn_and_several_are_threads(tmp_path: Path) -> None:
    folder = CampaignFolder(tmp_path)
    with open_workers(folder, spec()) as workers:
        assert isinstance(workers, InTurn)
    with open_workers(folder, spec(workers=2, chunk=8)) as workers:
        assert isinstance(workers, Threads)


def test_workers_that_would_never_have_anything_to_do() -> None:
    check_tasks(spec(workers=2, chunk=8))
    with pytest.raises(CampaignError, match=r"set pool\.batch to at least 48"):
        check_tasks(spec(workers=3))


def test_dask_that_is_not_installed_is_told_of_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "distributed" else found(name)
    )
    with pytest.raises(MissingDependencyError, match=r"discover-materials\[cluster\]"):
        check_tasks(spec(runner="dask"))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"runner": "processes"}, "tasks.runner"),
        ({"machine": "mine"}, "threads run on this machine"),
        ({"runner": "dask", "machine": "nowhere"}, "there is no machine profile 'nowhere'"),
        ({"workers": 3}, "set pool.batch to at least"),
        ({"worker": 3}, "tasks.worker"),
    ],
)
def test_validate_names_what_is_wrong(
    quick_campaign: Path, discover: Callable[..., Any], tasks: dict[str, Any], message: str
) -> None:
    file = quick_campaign / "campaign.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"tasks": tasks}))
    told = discover("validate", quick_campaign)
    assert told.code == 2
    assert "campaign.yaml: tasks" in told.err
    assert message in told.err
