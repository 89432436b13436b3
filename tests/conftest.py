"""What all tests share: reproducible examples, where the benchmark data lie, a quick campaign."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

# GPAW turns its debug mode on where it sees pytest, which replaces numpy.empty for the whole process: it
# is imported as users' processes have it.
_pytest = sys.modules.pop("pytest")
try:
    import gpaw  # noqa: F401
except ImportError:
    pass
finally:
    sys.modules["pytest"] = _pytest

settings.register_profile("discover", deadline=None, derandomize=True)
settings.load_profile("discover")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

QUICK_CAMPAIGN = """\
# A real campaign, but for its engine: the embedded-atom potential stands in for DFT.
name: quick
generator:
  name: prototypes
  options:
    prototypes: [rocksalt, zincblende, CsCl]
    elements: [Ni, Cu, Pd, Ag, O, N, C]
pool: {size: 6, batch: 3}
potential: emt
relaxation: {enabled: false}
filters: {max_formation_energy_ev_per_atom: null, min_distance_ratio: 0.3}
descriptors: [structure]
surrogate: {name: gp}
acquisition: {name: logei}
initial: 3
calculation:
  kind: agl
  engine: potential
  engine_settings: {potential: emt}
dispatch: {jobs: 1, attempts: 30}
budget: {calculations: 10, failures_in_a_row: 50}
"""


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of benchmark data beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"benchmark data are absent: {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def quick_campaign_text() -> str:
    """The campaign file of `quick_campaign`."""
    return QUICK_CAMPAIGN


@pytest.fixture
def quick_campaign(tmp_path: Path) -> Path:
    """Folder of a campaign whose calculations take about a second."""
    folder = tmp_path / "quick campaign"
    folder.mkdir()
    (folder / "campaign.yaml").write_text(QUICK_CAMPAIGN, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture
def discover(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """`discover WORDS...`, run in this process."""
    from discover.cli import main

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["discover", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Answer(code, *capsys.readouterr())

    return run


@dataclass(frozen=True)
class FinishedRun:
    """The folder of a quick campaign that has run to its end, and what the terminal showed."""

    folder: Path
    terminal: Answer


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A quick campaign that ran once for all tests; who changes it takes `finished_campaign`."""
    folder = tmp_path_factory.mktemp("finished [quick] campaign")
    (folder / "campaign.yaml").write_text(
        QUICK_CAMPAIGN.replace("calculations: 10", "calculations: 6"), encoding="utf-8"
    )
    command = [sys.executable, "-m", "discover", "run", str(folder), "--no-dashboard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return FinishedRun(folder, Answer(done.returncode, done.stdout, done.stderr))


@pytest.fixture
def finished_campaign(finished_run: FinishedRun, tmp_path: Path) -> Path:
    """Folder of a copy of the quick campaign that has run to its end."""
    return shutil.copytree(finished_run.folder, tmp_path / "finished campaign")


@pytest.fixture(scope="session")
def service_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of commands that start a Prefect server of their own, ended with the tests."""
    home = tmp_path_factory.mktemp("service")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment |= {
        "DISCOVER_HOME": str(home / "discover"),
        "DISCOVER_DASHBOARD_PORT": str(port),
        "PREFECT_HOME": str(home / "prefect"),
    }
    yield environment
    subprocess.run([sys.executable, "-m", "discover", "down"], env=environment, check=False)
