"""Python environments of their own, for potentials whose packages clash with ours.

Each lives in `<home>/potentials/NAME` (`DISCOVER_HOME`) and holds the packages that
`requirements/NAME.txt` pins, all that they need included, and what torch brings. `installed.json` is
written into it last: without that file, what is there was left by an installation that was cut short,
and is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discover.errors import MissingDependencyError, PotentialError
from discover.files import write_atomically
from discover.home import home

_FORMAT = 1
_MARKER = "installed.json"
_KEYS = {"requirements", "packages"}
_REQUIREMENTS = Path(__file__).with_name("requirements")
_TAIL_LINES = 12


@dataclass(frozen=True)
class Environment:
    """The environment of one family of potentials.

    `module` is what it is imported as and `needs_bytes` what the disk must have free to install it.
    """

    name: str
    module: str
    needs_bytes: int

    @property
    def directory(self) -> Path:
        """Where it is, or would be."""
        return home() / "potentials" / self.name

    @property
    def requirements_file(self) -> Path:
        """The pinned packages, as pip reads them."""
        return _REQUIREMENTS / f"{self.name}.txt"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "bin" / "python"

    def packages(self) -> dict[str, str] | None:
        """Pinned packages and versions it was installed with, None where it is not (wholly) there."""
        note = self._note()
        return None if note is None else dict(note["packages"])

    def is_installed(self) -> bool:
        """Whether it can be used; one with older pins than ours can."""
        return self._note() is not None

    def is_current(self) -> bool:
        """Whether it holds what is pinned now."""
        note = self._note()
        return note is not None and note["requirements"] == _digest(self.requirements_file)

    def check(self) -> None:
        """MissingDependencyError, with the command that helps, where it is not installed."""
        if self.is_installed():
            return
        cut_short = " (an installation was cut short)" if self.directory.exists() else ""
        raise MissingDependencyError(
            f"{self.name}: not installed{cut_short}: discover potentials install {self.name}"
        )

    def _note(self) -> dict[str, Any] | None:
        try:
            note = json.loads((self.directory / _MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(note, dict) and note.get("format") == _FORMAT and note.keys() >= _KEYS
        return note if whole and self.python.exists() else None


def install(environment: Environment, told: Callable[[str], None]) -> bool:
    """Make the environment, torch first, telling each step; False where it was there already.

    torch comes from the index `TORCH_INDEX_URL`, where that is set. Raises PotentialError where the
    disk is too full or a step fails, with the end of what it said; what was done is then of no use and
    made anew the next time. Two processes that install the same take turns.
    """
    directory = environment.directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _locked(directory.with_suffix(".lock")):
        if environment.is_current():
            return False
        _check_disk(environment)
        if directory.exists():
            told(f"removing what is in {directory}")
            shutil.rmtree(directory)
        told(f"making {directory} with Python {platform.python_version()}")
        _run([sys.executable, "-m", "venv", str(directory)], told)
        pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "install"]
        torch = pinned(environment.requirements_file)["torch"]
        index = os.environ.get("TORCH_INDEX_URL")
        if not index and shutil.which("nvidia-smi") is None:
            told(
                "no NVIDIA GPU here: torch may bring gigabytes of CUDA packages, unless"
                " TORCH_INDEX_URL names an index of CPU builds"
            )
        chosen_index = ["--index-url", index] if index else []
        _run([*pip, *chosen_index, f"torch=={torch}"], told)
        _run([*pip, "--no-deps", "-r", str(environment.requirements_file)], told)
        told(f"importing {environment.module}")
        _run([str(environment.python), "-I", "-c", f"import {environment.module}"], told)
        note = {
            "format": _FORMAT,
            "requirements": _digest(environment.requirements_file),
            "packages": pinned(environment.requirements_file),
            "python": platform.python_version(),
        }
        write_atomically(directory / _MARKER, json.dumps(note, indent=2))
    return True


def pinned(requirements: Path) -> dict[str, str]:
    """Packages and versions of a file of `name==version` lines; comments and blank lines are skipped."""
    lines = (line.strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    pins = (line.partition("==") for line in lines if line and not line.startswith("#"))
    return {name: version for name, _, version in pins}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _check_disk(environment: Environment) -> None:
    free = shutil.disk_usage(environment.directory.parent).free
    if free < environment.needs_bytes:
        raise PotentialError(
            f"{environment.name}: {free / 2**30:.1f} GB are free at {environment.directory.parent},"
            f" and {environment.needs_bytes / 2**30:.1f} GB are needed: make room, or set"
            " DISCOVER_HOME to a larger disk"
        )


def _run(command: list[str], told: Callable[[str], None]) -> None:
    """Run a step of an installation, telling pip's progress; PotentialError where it fails."""
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            said = [*said, line.rstrip()][-_TAIL_LINES:]
            if line.startswith(("Collecting ", "Installing collected", "Successfully installed")):
                told(line.rstrip()[:200])
    if process.returncode:
        shown = " ".join(command)
        raise PotentialError(f"{shown}\nfailed; the end of what it said:\n" + "\n".join(said))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed by the kernel when the process ends, however
        yield
