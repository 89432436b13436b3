"""What goes wrong in the fault benchmark: random kills, a full disk, a locked store, no scheduler."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from discover.benchmark.faults_service import Found
from discover.errors import DiscoverError
from discover.processes import Process

CHUNK = 2**20
WEIGHTS = {
    "up": 2,
    "server": 2,
    "service": 2,
    "page": 2,
    "steering": 6,
    "job": 4,
    "beside a job": 2,
}
"""How often each kind of process is killed, relative to the others."""

SLURM_TEST = Path(__file__).parents[2] / "deploy" / "slurm-test.sh"
SLURM_PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")


class Killer:
    """Kills a random process every `mean_seconds` or so, until it is told to end."""

    def __init__(
        self,
        processes: Callable[[], list[Found]],
        mean_seconds: float,
        seed: int,
        told: Callable[[str], None],
    ) -> None:
        self._processes = processes
        self._mean_seconds = mean_seconds
        self._random = random.Random(seed)
        self._told = told
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="killer")
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def kill_one(self) -> None:
        """Kill a process of a kind drawn by weight, of those kinds that live now."""
        present: dict[str, list[Found]] = {}
        for found in self._processes():
            if found.kind in WEIGHTS:
                present.setdefault(found.kind, []).append(found)
        if not present:
            return
        kinds = sorted(present)
        (kind,) = self._random.choices(kinds, [WEIGHTS[k] for k in kinds])
        victim = self._random.choice(present[kind])
        victim.process.send(signal.SIGKILL)
        self.killed[kind] += 1
        self._told(f"killed {kind} (process {victim.process.pid})")

    def _run(self) -> None:
        while not self._over.wait(self._mean_seconds * self._random.uniform(0.5, 1.5)):
            self.kill_one()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A file system of its own in the folder while the block runs; False where none can be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "discover-faults", str(folder)]
    mounted = (
        os.geteuid() == 0
        and shutil.which("mount") is not None
        and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill_disk(folder: Path, seconds: float) -> None:
    """Leave no byte on the folder's disk for so long; only for a disk made by `small_disk`."""
    path = folder / "filler"
    deadline = time.monotonic() + seconds
    try:
        with path.open("wb", buffering=0) as file:
            while time.monotonic() < deadline:
                try:
                    file.write(bytes(CHUNK))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    with suppress(OSError):
                        file.write(bytes(4096))
                    time.sleep(0.05)
    finally:
        path.unlink(missing_ok=True)


def lock_stores(
    stores: Sequence[Path], seconds: float, locked: Callable[[], object] = lambda: None
) -> None:
    """Keep everybody from reading or writing these SQLite stores for so long, from `locked` on."""
    command = [sys.executable, "-m", "discover.benchmark.faults_lock", str(seconds)]
    with subprocess.Popen([*command, *map(str, stores)], stdout=subprocess.PIPE) as locking:
        if locking.stdout is not None and locking.stdout.readline():
            locked()
    if locking.returncode != 0:
        raise DiscoverError("the stores could not be locked")


class Slurm:
    """A one-node Slurm of our own (`deploy/slurm-test.sh`) whose controller can be stopped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.conf = folder / "slurm.conf"

    @staticmethod
    def missing() -> str | None:
        """Why there can be none here; None where there can."""
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        programs = [name for name in SLURM_PROGRAMS if shutil.which(name, path=path) is None]
        if programs:
            return f"{', '.join(programs)} not installed"
        if os.geteuid() != 0:
            return "a Slurm of our own needs root"
        return None if SLURM_TEST.exists() else f"there is no {SLURM_TEST}"

    def start(self) -> None:
        """Start it; DiscoverError where it does not come up."""
        done = self._script("start")
        if done.returncode != 0:
            raise DiscoverError(f"Slurm does not start: {done.stderr.strip()}")

    def stop(self) -> None:
        """End its daemons."""
        self._script("stop")

    def go_away(self, seconds: float) -> None:
        """Stop the controller, as for maintenance, and start it again after so long."""
        controller = Process.of(int((self._folder / "slurmctld.pid").read_text()))
        controller.send(signal.SIGTERM)
        time.sleep(seconds)
        controller.send(signal.SIGKILL)
        self._script("daemon", "slurmctld")

    def _script(self, action: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(SLURM_TEST), action, str(self._folder), *more],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
