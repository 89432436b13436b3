"""A place for a SQLite file, and a MongoDB server, for the tests of the store.

Those of MongoDB run on the server that DISCOVER_TEST_MONGODB_URI names (`mongodb://host/database`; what
they make there is dropped afterwards), or on the one that deploy/mongod-test.sh installs, started for
them. Where there is neither (or the variable is `mongomock`), tests of the adapter's logic run on
mongomock, and those that need a server skip.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mongomock
import pymongo
import pytest

from discover.store.mongo import MongoStore

START_SECONDS = 30.0


class MongoServer:
    """A `mongod` with a folder of its own, on loopback, which can be killed and started again."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command = [
            *(program, "--bind_ip", "127.0.0.1", "--port", str(self.port), "--dbpath", str(folder)),
            *("--nounixsocket", "--wiredTigerCacheSizeGB", "1", *options),
        ]
        self._log = folder / "log"
        self.start()

    @property
    def uri(self) -> str:
        """Address of a database on it."""
        return f"mongodb://127.0.0.1:{self.port}/discover_test"

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, self._log.read_text()[-2000:]
                assert time.monotonic() < deadline, "mongod does not listen"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL, as the power cut that it is made for."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._process.send_signal(signal.SIGCONT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where this test's SQLite file will lie, in a folder whose name wants quoting."""
    folder = tmp_path / "a campaign #1?"
    folder.mkdir()
    return folder / "store.sqlite"


StartMongod = Callable[..., MongoServer]


@pytest.fixture(scope="session")
def start_mongod() -> Iterator[StartMongod]:
    """Starts a server with these options; skips where none is installed."""
    program = shutil.which("mongod", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    servers: list[MongoServer] = []
    with tempfile.TemporaryDirectory(prefix="discover-mongod-") as folder:

        def start(*options: str) -> MongoServer:
            if program is None:
                pytest.skip("no mongod is installed: deploy/mongod-test.sh installs one")
            server = MongoServer(program, Path(tempfile.mkdtemp(dir=folder)), *options)
            servers.append(server)
            return server

        yield start
        for server in servers:
            server.kill()


@pytest.fixture(scope="session")
def mongodb(start_mongod: StartMongod) -> str | None:
    """Address of a database on a server, None where there is none."""
    named = os.environ.get("DISCOVER_TEST_MONGODB_URI")
    if named:
        return None if named == "mongomock" else named
    try:
        return start_mongod().uri
    except pytest.skip.Exception:
        return None


@pytest.fixture
def campaign() -> str:
    """The beginning of the names of this test's campaigns."""
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def database(mongodb: str | None, campaign: str) -> Iterator[Any]:
    """A database on the server, or of mongomock."""
    if mongodb is None:
        yield mongomock.MongoClient().get_database("discover")
        return
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(mongodb)
    database = client.get_default_database()
    yield database
    for name in database.list_collection_names():
        if campaign in name:
            database.drop_collection(name)
    client.close()


@pytest.fixture
def open_campaign(
    mongodb: str | None, database: Any, campaign: str
) -> Iterator[Callable[..., MongoStore]]:
    """Opens the store of a campaign whose name begins as this test's does."""
    opened: list[MongoStore] = []

    def open_one(suffix: str = "") -> MongoStore:
        if mongodb is None:
            return MongoStore(database, campaign + suffix)
        opened.append(MongoStore.connect(mongodb, campaign + suffix))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
