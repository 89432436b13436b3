"""The set-up script, in the parts that can be tried without setting anything up."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "deploy" / "setup.sh"


def function(name: str) -> str:
    """The text of one function of the script."""
    found = re.search(rf"^{name}\(\) {{\n.*?^}}$", SETUP.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group()


def test_an_interpreter_in_a_path_with_spaces_is_found(tmp_path: Path) -> None:
    python = tmp_path / "my programs" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    found = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{function('find_python')}\nfind_python"],
        env={"PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == str(python)


def test_the_scripts_are_sound() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    others = [SETUP.with_name(name) for name in ("mongod-test.sh", "slurm-test.sh")]
    subprocess.run([shellcheck, SETUP, *others], check=True)
