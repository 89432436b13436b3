"""A model in a worker process, which runs in an environment of its own."""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from discover.errors import PotentialError
from discover.potentials.worker.framing import FramingError, read_message, write_message
from discover.potentials.worker.structures import Answer, pack, unpack_answers

if TYPE_CHECKING:
    from ase import Atoms

_WORKER = Path(__file__).with_name("worker")
_BOOT = """
import importlib.util, sys
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location(
    "discover_worker", folder + "/__init__.py", submodule_search_locations=[folder])
package = sys.modules["discover_worker"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from discover_worker.server import main
sys.exit(main())
"""
"""Imports the worker as a package of its own name, with none of our modules on the path."""

_START_SECONDS = 600.0
_END_SECONDS = 2.0
_TAIL_LINES = 8
_DEATHS_IN_A_ROW = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Description:
    """What a model says of itself: chemical symbols, `cpu` or `cuda`, and versions of its packages."""

    elements: frozenset[str]
    device: str
    versions: dict[str, str]


class RemoteModel:
    """One model in one worker, started when first asked, and again where it has died.

    The worker ends with this object, and with this process however that ends. It may be used from
    several threads, which take turns; a forked process gets a worker of its own.
    """

    def __init__(self, python: Path, family: str, model: str) -> None:
        self._python = python
        self._family = family
        self._model = model
        self._worker: _Worker | None = None
        self._turn = threading.Lock()

    def describe(self) -> Description:
        """PotentialError, with the reason, where the model cannot be loaded."""
        with self._turn:
            return self._running().description

    def answers(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        """One answer for each structure; a string says what is wrong with it.

        A worker that dies is asked once more. Where it dies again, the structures are asked one by
        one, so that one that kills it costs no other. PotentialError where it cannot be started, or
        dies on several structures in a row.
        """
        with self._turn:
            try:
                return self._ask_twice(structures)
            except _WorkerDiedError as died:
                if len(structures) == 1:
                    raise PotentialError(str(died)) from died
            return self._ask_one_by_one(structures)

    def close(self) -> None:
        """End the worker; the next question starts another."""
        with self._turn:
            self._end()

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None where none runs."""
        return self._worker.pid if self._worker else None

    def _ask_twice(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        try:
            return self._ask(structures)
        except _WorkerDiedError as died:
            _log.warning("%s; starting it again", died)
            return self._ask(structures)

    def _ask_one_by_one(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        found: list[Answer | str] = []
        deaths = 0
        for atoms in structures:
            try:
                found += self._ask([atoms])
                deaths = 0
            except _WorkerDiedError as died:
                deaths += 1
                if deaths == _DEATHS_IN_A_ROW:
                    raise PotentialError(str(died)) from died
                found.append(str(died))
        return found

    def _ask(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        worker = self._running()
        try:
            return worker.ask(structures)
        except (EOFError, FramingError, OSError) as error:
            words = worker.last_words(error)
            self._end()
            raise _WorkerDiedError(
                f"the worker of {self._family}:{self._model} died ({words})"
            ) from error
        except BaseException:  # Ctrl-C: what it still answers must not be taken for another answer
            self._end()
            raise

    def _running(self) -> _Worker:
        if self._worker is None or self._worker.owner != os.getpid():
            command = [str(self._python), "-I", "-c", _BOOT, str(_WORKER)]
            command += ["--family", self._family, "--model", self._model]
            self._worker = _Worker(command, f"{self._family}:{self._model}")
        return self._worker

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.end()
            self._worker = None


class _WorkerDiedError(Exception):
    """The worker ended, or spoke nonsense, where it should have answered."""


class _Worker:
    """A running worker process that has loaded its model."""

    def __init__(self, command: list[str], label: str) -> None:
        self.owner = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._process = subprocess.Popen(
                [*command, "--socket", str(theirs.fileno()), "--parent", str(self.owner)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._errors,
                stderr=self._errors,
                env={"OMP_NUM_THREADS": "1", **os.environ},
                cwd=tempfile.gettempdir(),
                start_new_session=True,  # Ctrl-C is for us to handle
            )
        except OSError as error:
            raise PotentialError(f"{label}: its worker cannot be started: {error}") from error
        finally:
            theirs.close()
        self._socket = ours
        self._stream = cast("BinaryIO", ours.makefile("rwb"))
        self.end: Callable[[], object] = weakref.finalize(
            self, _end, self._process, ours, self._stream, self._errors, self.owner
        )
        try:
            self.description = self._greeting(label)
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, structures: Sequence[Atoms]) -> list[Answer | str]:
        write_message(self._stream, {}, pack(structures))
        message = read_message(self._stream)
        counts = [len(atoms) for atoms in structures]
        return unpack_answers(message.body.get("problems"), message.arrays, counts)

    def last_words(self, error: Exception) -> str:
        """How the process ended, and the end of what it wrote."""
        try:
            code = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return f"it still runs, but: {error}"
        said = self._said()
        return _how_it_ended(code) + (f"; the end of what it wrote:\n{said}" if said else "")

    def _greeting(self, label: str) -> Description:
        started = time.monotonic()
        _log.info("starting the worker of %s", label)
        while not select.select([self._socket], [], [], 1.0)[0]:
            if time.monotonic() - started > _START_SECONDS:
                raise PotentialError(
                    f"{label}: not loaded after {_START_SECONDS:.0f} s; the end of what its worker"
                    f" wrote:\n{self._said()}"
                )
        try:
            body = read_message(self._stream).body
        except (EOFError, FramingError, OSError) as error:
            raise PotentialError(
                f"{label}: its worker does not start ({self.last_words(error)})"
            ) from error
        if body.get("status") != "ready":
            raise PotentialError(f"{label}: cannot be loaded: {body.get('reason')}")
        return Description(frozenset(body["elements"]), body["device"], body["versions"])

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


def _end(
    process: subprocess.Popen[bytes],
    connection: socket.socket,
    stream: BinaryIO,
    errors: IO[bytes],
    owner: int,
) -> None:
    """Close the socket, which ends a worker that waits, and kill one that computes."""
    errors.close()
    ours = os.getpid() == owner  # in a fork of the owner the worker is not ours to end
    with suppress(OSError):
        if ours:
            connection.shutdown(socket.SHUT_RDWR)
    with suppress(OSError):
        stream.close()
    connection.close()
    if not ours:
        return
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _how_it_ended(code: int) -> str:
    if code == -signal.SIGKILL:
        return "killed; out of memory?"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
