"""A MongoDB server of the fault benchmark's own, which can be killed and comes back."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from discover.errors import StoreError

START_SECONDS = 60.0


class Mongod:
    """`mongod` on a free port of this machine, with its data in a folder; journalled, as by default."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])

    @staticmethod
    def program() -> str | None:
        """Where `mongod` is: beside this Python, or on the path; None where it is not installed."""
        beside = str(Path(sys.executable).parent)
        return shutil.which("mongod", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))

    @property
    def store(self) -> str:
        """What a campaign writes into `store`."""
        return f"mongodb://127.0.0.1:{self._port}/soak"

    def start(self) -> None:
        """Start it and wait until it answers; StoreError where it does not."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        log = self._folder / "mongod.log"
        command = [self.program() or "mongod", "--dbpath", str(data), "--bind_ip", "127.0.0.1"]
        command += ["--port", str(self._port), "--logpath", str(log), "--logappend", "--quiet"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StoreError(f"mongod does not start; see {log}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def go_away(self, seconds: float) -> None:
        """Kill it, as when its machine fails, and start it again after so long."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        time.sleep(seconds)
        self.start()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1.0).close()
        except OSError:
            return False
        return True
