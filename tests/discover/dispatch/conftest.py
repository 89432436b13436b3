"""A real Slurm of one node, started for the tests that ask for it."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from discover.processes import Process

SLURM_TEST = Path(__file__).parents[3] / "deploy" / "slurm-test.sh"
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")


@dataclass(frozen=True)
class SlurmCluster:
    """The cluster's folder; its programs find it by SLURM_CONF, which is set while it runs."""

    folder: Path

    def daemon(self, name: str) -> Process:
        """`slurmctld` or `slurmd`."""
        return Process.of(int((self.folder / f"{name}.pid").read_text()))

    def start(self, name: str) -> None:
        """Start one that was killed."""
        subprocess.run([SLURM_TEST, "daemon", self.folder, name], check=True, timeout=60)

    def heal(self) -> None:
        """What an administrator does after a crash: a job that slurmctld forgot to have started, because
        it was killed before it saved its state, makes it drain the node.
        """
        told = subprocess.run(
            ["sinfo", "--noheader", "--format=%t %n"], capture_output=True, text=True, check=False
        )
        state, _, node = told.stdout.strip().partition(" ")
        if state.startswith("drain"):
            subprocess.run(
                ["scontrol", "update", f"NodeName={node}", "State=RESUME"], timeout=60, check=False
            )

    def submitted(self) -> int:
        """Jobs that it was ever given: its ids count from 1."""
        done = subprocess.run(
            ["sbatch", "--parsable", "--hold", "--wrap=true"],
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
        )
        subprocess.run(["scancel", done.stdout.strip()], check=True)
        return int(done.stdout) - 1


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster for the tests of one file."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing:
        pytest.skip(f"no Slurm here ({', '.join(missing)}): deploy/setup.sh test installs it")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of our own needs root")
    folder = tmp_path_factory.mktemp("slurm")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        started = subprocess.run(
            [SLURM_TEST, "start", folder], capture_output=True, text=True, timeout=120, check=False
        )
        assert started.returncode == 0, started.stderr
        yield SlurmCluster(folder)
    finally:
        subprocess.run([SLURM_TEST, "stop", folder], timeout=60, check=False)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before
