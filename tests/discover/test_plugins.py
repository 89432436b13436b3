"""Plug-ins by name, entry point and file; their options."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from discover import plugins
from discover.errors import PluginError


class Example:
    def __init__(self, width: Annotated[float, Field(gt=0)] = 1.0, *, deep: bool = False) -> None:
        self.width, self.deep = width, deep


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def __init__(self, beta: float = 2.0):\n        self.beta = beta\n"
    )
    (tmp_path / "broken.py").write_text("import nothing_like_this\n")
    return tmp_path


def test_every_built_in_can_be_loaded() -> None:
    for kind, names in plugins.BUILT_IN.items():
        for name in names:
            assert callable(plugins.load(kind, name)), (kind, name)


def test_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(
        PluginError, match=r"no acquisition is called 'loegi'; did you mean 'logei'"
    ):
        plugins.load("acquisitions", "loegi")


def test_file_plugin_is_relative_to_its_base_and_takes_options(folder: Path) -> None:
    mine = plugins.create("acquisitions", "mine.py:Mine", {"beta": 3}, folder)
    assert mine.beta == 3.0


def test_file_plugins_of_the_same_name_do_not_mix(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.py").write_text("Mine = dict\n")
    assert plugins.load("surrogates", "mine.py:Mine", other) is dict
    assert plugins.load("surrogates", "mine.py:Mine", folder) is not dict


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.py:Mine", "there is no file"),
        ("mine.py:Mien", "did you mean 'Mine'"),
        ("broken.py:Mine", "fails on import"),
        ("mine.py", r"write a file plug-in as path/to/file.py:Name"),
    ],
)
def test_a_bad_file_plugin_says_what_is_wrong(folder: Path, name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        plugins.load("surrogates", name, folder)


def test_every_process_knows_a_file_plugin_by_the_same_name(folder: Path) -> None:
    probe = (
        "import pathlib, sys; from discover import plugins;"
        "print(plugins.load('surrogates', 'mine.py:Mine', pathlib.Path(sys.argv[1])).__module__)"
    )
    names = {
        subprocess.run(
            [sys.executable, "-c", probe, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert names == {plugins.load("surrogates", "mine.py:Mine", folder).__module__}


def test_a_file_plugin_is_executed_once_until_it_changes(folder: Path) -> None:
    first = plugins.load("surrogates", "mine.py:Mine", folder)
    assert plugins.load("acquisitions", str(folder / "mine.py:Mine")) is first
    (folder / "mine.py").write_text("class Mine:\n    changed = True\n")
    changed = plugins.load("surrogates", "mine.py:Mine", folder)
    assert changed.changed
    assert plugins.load("surrogates", "mine.py:Mine", folder) is changed


def test_a_file_that_fails_is_no_module(folder: Path) -> None:
    before = set(sys.modules)
    for _ in range(2):
        with pytest.raises(PluginError, match="fails on import"):
            plugins.load("surrogates", "broken.py:Mine", folder)
    assert not {name for name in set(sys.modules) - before if name.startswith("discover_plugin")}


def test_options_are_checked_against_the_signature() -> None:
    assert plugins.option_problems(Example, {"width": 2, "deep": True}) == []
    problems = dict(plugins.option_problems(Example, {"widht": 1, "deep": "perhaps"}))
    assert "did you mean 'width'" in problems["widht"]
    assert "perhaps" in problems["deep"]
    assert "greater than 0" in dict(plugins.option_problems(Example, {"width": 0}))["width"]


def test_entry_points_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_package.py").write_text("def score(mean, std, context):\n    return std\n")
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[discover.acquisitions]\ntheirs = their_package:score\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert plugins.available("acquisitions")["theirs"].source == "package their-package"
    assert plugins.load("acquisitions", "theirs")(0, 1, None) == 1


def test_a_relative_file_plugin_is_resolved_and_a_name_left_alone(folder: Path) -> None:
    assert plugins.resolved("gpaw", folder) == "gpaw"
    assert plugins.resolved("mine.py:Mine", folder) == f"{folder.resolve()}/mine.py:Mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("number", r"'.*faulty.py:number' is 3, not a class or a function"),
        ("Faulty", r"'.*faulty.py:Faulty' cannot be made: KeyError\('mine'\)"),
    ],
)
def test_a_file_plugin_that_cannot_be_made_says_why(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "faulty.py").write_text(
        "number = 3\n\n\nclass Faulty:\n    def __init__(self):\n        raise KeyError('mine')\n"
    )
    with pytest.raises(PluginError, match=message):
        plugins.create("surrogates", "faulty.py:" + name, base=tmp_path)
