"""The login node's side of a dispatcher that works over SSH: `python -m discover.dispatch.agent`.

Reads one request (JSON) from its standard input, does with the dispatcher of this cluster what it says,
and prints one answer. It keeps nothing: all that is known stands in the job directories, so that a
request whose answer got lost can be put again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from discover import plugins
from discover.calculations.job import RESULT
from discover.dispatch.base import Dispatcher, JobStatus
from discover.dispatch.machines import MachineProfile
from discover.errors import DiscoverError

Said = TypeVar("Said")
MARK = "discover-agent: "


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentRequest(_Message):
    """Directories to cancel, to submit and to poll, in this order, on a machine of this profile."""

    profile: MachineProfile
    slots: Path
    threads: int
    wall_time_minutes: float
    cancel: tuple[Path, ...] = ()
    submit: tuple[Path, ...] = ()
    poll: tuple[Path, ...] = ()


class AgentAnswer(_Message):
    """Native ids and states by directory; what was refused, by directory, and why all of it was."""

    submitted: dict[Path, str] = {}
    polled: dict[Path, JobStatus] = {}
    refused: dict[Path, str] = {}
    problem: str | None = None


def serve(request: AgentRequest) -> AgentAnswer:
    """Do what a request says."""
    try:
        dispatcher: Dispatcher = plugins.load("dispatchers", request.profile.scheduler)(
            request.slots,
            machine=request.profile,
            threads=request.threads,
            wall_time_minutes=request.wall_time_minutes,
        )
    except DiscoverError as error:
        return AgentAnswer(problem=str(error))
    if not (folder := request.slots.parent).is_dir() and request.poll:
        return AgentAnswer(
            problem=f"{folder} is not there; if it was deleted, make it again, empty"
        )
    refused: dict[Path, str] = {}

    def each(directories: tuple[Path, ...], do: Callable[[Path], Said]) -> dict[Path, Said]:
        said = {}
        for directory in directories:
            try:
                said[directory] = do(directory)
            except DiscoverError as error:
                refused[directory] = str(error)
        return said

    each(request.cancel, lambda directory: dispatcher.cancel("", directory))
    for directory in request.submit:
        _drop_old_result(directory)
    submitted = each(request.submit, dispatcher.submit)
    polled = dispatcher.poll([("", directory) for directory in request.poll])
    return AgentAnswer(
        submitted=submitted, polled=dict(zip(request.poll, polled, strict=True)), refused=refused
    )


def _drop_old_result(directory: Path) -> None:
    """A failed result that was put aside on the other side is put aside here too."""
    result = directory / RESULT
    if not result.exists():
        return
    digests = {_digest(path) for path in directory.glob("result.failed-*.json")}
    if _digest(result) in digests:
        result.unlink()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def main() -> None:
    """Answer the request on standard input."""
    request = AgentRequest.model_validate_json(sys.stdin.read())
    sys.stdout.write(f"\n{MARK}{serve(request).model_dump_json()}\n")


if __name__ == "__main__":
    main()
