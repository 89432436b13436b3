"""The service under test: a real `discover up` in a home of its own, and all of its processes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discover.benchmark.faults_kind import ALLOYS, LOG, NAME, Alloys, Rehearsal
from discover.campaign import CampaignSpec
from discover.errors import ServerError
from discover.folder import CampaignFolder
from discover.processes import Process

MARK = "DISCOVER_FAULTS"
RESTART_SECONDS = 5.0
"""`RestartSec=` of the unit that systemd would run; the project ships 10."""
READY_SECONDS = 300.0
KINDS = ("up", "server", "service", "page", "steering", "job", "beside a job")


@dataclass(frozen=True)
class Found:
    """A process of the service and what it is."""

    kind: str
    process: Process
    words: tuple[str, ...]


class Service:
    """`discover up --foreground` as a systemd unit with `Restart=on-failure` would run it.

    `home` holds everything that may be on a full disk, `outside` what the benchmark keeps for itself.
    """

    def __init__(self, home: Path, outside: Path, slurm_conf: Path | None) -> None:
        self.home, self.outside = home, outside
        self.log = outside / "jobs.log"
        self.restarts = 0
        self._mark = secrets.token_hex(8)
        self._over = threading.Event()
        self._unit = threading.Thread(target=self._run, daemon=True, name="unit")
        self._environment = self._make_environment(slurm_conf)

    def start(self) -> None:
        """Start it and wait until campaigns can be launched; ServerError where they cannot."""
        self._unit.start()
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise ServerError(f"`discover up` did not start; see {self.outside / 'up.log'}")
            time.sleep(0.5)

    def launch(self, spec: CampaignSpec) -> CampaignFolder:
        """Launch a campaign through the deployment; its folder."""
        from flows.launched import launch

        launch(spec, self.api_url)
        return CampaignFolder.at(self.home / "campaigns" / spec.name)

    def processes(self) -> list[Found]:
        """All that lives and was started by it, however far down."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    marked = f"{MARK}={self._mark}".encode() in (entry / "environ").read_bytes()
                    words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    process = Process.of(int(entry.name))
                    if marked and process.is_alive:
                        found.append(Found(kind_of(words), process, tuple(words)))
        return found

    def check(self, folder: CampaignFolder) -> list[str]:
        """What `discover store check` finds wrong with a campaign."""
        done = subprocess.run(
            [sys.executable, "-m", "discover", "store", "check", str(folder.root)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return []
        return [f"{folder.root.name}: {line}" for line in (done.stdout + done.stderr).splitlines()]

    def stop(self) -> None:
        """End all of it."""
        self._over.set()
        subprocess.run(
            [sys.executable, "-m", "discover", "down"],
            env=self._environment,
            capture_output=True,
            check=False,
        )
        self._unit.join()
        deadline = time.monotonic() + 30
        while (left := self.processes()) and time.monotonic() < deadline:
            for one in left:
                one.process.send(signal.SIGKILL)
            time.sleep(0.2)

    @property
    def api_url(self) -> str:
        """Address of Prefect's API."""
        note: dict[str, Any] = json.loads((self.home / "server.json").read_bytes())
        return str(note["url"])

    def _run(self) -> None:
        """What systemd does: start it again, a while after it was killed."""
        command = [sys.executable, "-m", "discover", "up", "--foreground"]
        while not self._over.is_set():
            with (self.outside / "up.log").open("ab") as log:
                up = subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            if up.wait() == 0:
                return
            self.restarts += 1
            self._over.wait(RESTART_SECONDS)

    def _is_ready(self) -> bool:
        from flows.launched import deployment_id

        try:
            return bool(deployment_id(self.api_url))
        except (OSError, ValueError, KeyError, ServerError):
            return False

    def _make_environment(self, slurm_conf: Path | None) -> dict[str, str]:
        plugins = self.outside / "plugins"
        package = plugins / f"{NAME}-1.0.dist-info"
        package.mkdir(parents=True)
        (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        entries = (("calculations", NAME, Rehearsal), ("generators", ALLOYS, Alloys))
        (package / "entry_points.txt").write_text(
            "".join(
                f"[discover.{kind}]\n{name} = {plugin.__module__}:{plugin.__qualname__}\n"
                for kind, name, plugin in entries
            )
        )
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "DISCOVER_"))}
        ports = {name: str(_free_port()) for name in ("DASHBOARD", "PAGE")}
        return kept | {
            MARK: self._mark,
            LOG: str(self.log),
            "DISCOVER_HOME": str(self.home),
            "DISCOVER_DASHBOARD_PORT": ports["DASHBOARD"],
            "DISCOVER_PAGE_PORT": ports["PAGE"],
            "PREFECT_HOME": str(self.home / "prefect"),
            "XDG_CONFIG_HOME": str(self.outside / "config"),
            "PYTHONPATH": os.pathsep.join([str(plugins), *kept.get("PYTHONPATH", "").split()]),
            "OMP_NUM_THREADS": "1",
            **({"SLURM_CONF": str(slurm_conf)} if slurm_conf else {}),
        }


def kind_of(words: list[str]) -> str:
    """What a process of the service is, by its command line; `other` where it is nothing of ours."""
    told = set(words)
    if "discover.calculations" in told and "discover.dispatch.local_job" not in told:
        return "job"
    if "discover.dispatch.local_job" in told:
        return "beside a job"
    if "discover.page" in told:
        return "page"
    if "flows.service" in told:
        return "service"
    if "up" in told and "discover" in told:
        return "up"
    if "server" in told and "prefect" in " ".join(words):
        return "server"
    if any("multiprocessing.spawn" in word or word.startswith("prefect.") for word in words):
        return "steering"  # Prefect starts flow runs as spawned processes
    return "other"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
