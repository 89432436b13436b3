"""Environments of their own: made for real by venv and pip, from wheels that are made here."""

import zipfile

import pytest

from discover.errors import MissingDependencyError, PotentialError
from discover.potentials import environments
from discover.potentials.environments import Environment, install, pinned

TINY = Environment("tiny", "tiny", needs_bytes=1)


def wheel(folder, name, version):
    """A package that holds one empty module of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{information}/RECORD", "")


@pytest.fixture
def pins(tmp_path, monkeypatch):
    """The file of pinned packages; wheels come from `wheels`, torch from an index of its own."""
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "nothing").as_uri())
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("TORCH_INDEX_URL", (tmp_path / "index").as_uri())
    monkeypatch.setattr(environments, "_REQUIREMENTS", tmp_path)
    (tmp_path / "wheels").mkdir()
    wheel(tmp_path / "index" / "torch", "torch", "9.0")
    links = '<a href="torch-9.0-py3-none-any.whl">torch</a>'
    (tmp_path / "index" / "torch" / "index.html").write_text(f"<!DOCTYPE html>{links}")
    file = tmp_path / "tiny.txt"
    file.write_text("# of a test\n\ntiny==1.0\ntorch==9.0\n")
    return file


@pytest.mark.slow
def test_an_installation_that_was_cut_short_is_made_anew(pins, tmp_path):
    told = []
    with pytest.raises(PotentialError, match=r"(?s)failed; .*No matching distribution.*tiny==1.0"):
        install(TINY, told.append)
    assert TINY.python.exists()
    assert not TINY.is_installed()
    with pytest.raises(MissingDependencyError, match="cut short"):
        TINY.check()

    wheel(tmp_path / "wheels", "tiny", "1.0")
    assert install(TINY, told.append)
    assert any("removing" in line for line in told)
    assert any(line.startswith("Successfully installed torch-9.0") for line in told)
    TINY.check()
    assert TINY.packages() == {"tiny": "1.0", "torch": "9.0"}
    assert not install(TINY, told.append), "it is there"

    pins.write_text("tiny==2.0\ntorch==9.0\n")
    assert TINY.is_installed()
    assert not TINY.is_current()

    TINY.python.unlink()  # the system's Python was upgraded
    assert not TINY.is_installed()


def test_what_is_not_there_says_how_to_get_it(pins):
    with pytest.raises(
        MissingDependencyError, match=r"^tiny: not installed: discover potentials install tiny$"
    ):
        TINY.check()


@pytest.mark.parametrize("note", ["", "{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_note_that_cannot_be_believed_is_none(pins, note):
    TINY.python.parent.mkdir(parents=True)
    TINY.python.touch()
    (TINY.directory / "installed.json").write_text(note)
    assert not TINY.is_installed()


def test_a_full_disk_is_seen_first(pins):
    with pytest.raises(PotentialError, match="make room, or set DISCOVER_HOME"):
        install(Environment("tiny", "tiny", needs_bytes=2**60), print)
    assert not TINY.directory.exists()


@pytest.mark.parametrize("name", ["sevennet", "mattersim", "fairchem"])
def test_everything_is_pinned(name):
    file = environments._REQUIREMENTS / f"{name}.txt"
    packages = pinned(file)
    assert packages["torch"] == "2.13.0"
    assert {"ase", "numpy", "e3nn"} <= packages.keys()
    assert all(packages.values())
    assert tuple(map(int, packages["e3nn"].split(".")[:2])) >= (0, 5)
