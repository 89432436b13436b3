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

    @property
    def node(self) -> str:
        """Name of its node."""
        return self._ask("sinfo", "--noheader", "--format=%N").strip()

    def daemon(self, name: str) -> Process:
        """`slurmctld` or `slurmd`."""
        return Process.of(int((self.folder / f"{name}.pid").read_text()))

    def start(self, name: str) -> None:
        """Start one that was killed."""
        subprocess.run([SLURM_TEST, "daemon", self.folder, name], check=True, timeout=60)

    def saved_at(self) -> float:
        """When slurmctld last saved its jobs; what came later it forgets when it is killed."""
        try:
            return (self.folder / "state" / "job_state").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def heal(self) -> None:
        """What an administrator does after slurmctld has forgotten jobs that run: it gives their ids
        again, and then holds the new job and drains the node.
        """
        node, _, state = self._ask("sinfo", "--noheader", "--format=%N %t").strip().partition(" ")
        if state.startswith("drain"):
            self._ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        waiting = self._ask("squeue", "--noheader", "--states=PD", "--format=%i %r")
        for line in waiting.splitlines():
            if "requeued held" in line:
                self._ask("scontrol", "release", line.split()[0])

    @staticmethod
    def _ask(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

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


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """A cluster for all tests: a test that kills its daemons starts them again."""
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
