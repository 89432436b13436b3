"""What is known of a cluster's job, in its directory: which submission counts, and how it ended."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from discover.files import write_atomically

SUBMISSION, STARTED, EXIT, SCRIPT, LOG = (
    "submission.json",
    "started.json",
    "exit.json",
    "job.sh",
    "job.log",
)


class _Noted(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def write(self, path: Path) -> None:
        write_atomically(path, self.model_dump_json(indent=1))


class Submission(_Noted):
    """The submission of a directory that counts; noted before the scheduler is asked.

    `token` is the job's name in the scheduler, never used twice: it finds the job again when this
    process was killed before it noted the `native_id`. `longer` and `larger` are the factors of time
    and memory against the profile, `grown` how often they were raised. A `packed` one is no job of the
    scheduler: it waits in the queue of `discover.dispatch.bulk_folder`.
    """

    token: str
    native_id: str | None = None
    submitted_at: float | None = None
    cancelled: bool = False
    packed: bool = False
    longer: float = 1.0
    larger: float = 1.0
    grown: int = 0

    @classmethod
    def of(cls, directory: Path) -> Submission | None:
        """The one of this directory; ValueError where it cannot be read."""
        return _read(directory / SUBMISSION, cls)

    def note(self, directory: Path) -> None:
        """Make it the one that counts."""
        self.write(directory / SUBMISSION)


N = TypeVar("N", bound="_Noted")


class Started(_Noted):
    """Written by the job script when it begins."""

    token: str
    started_at: float
    host: str = ""

    @classmethod
    def of(cls, directory: Path, token: str) -> Started | None:
        """The start of this submission, None before it; ValueError where it is unreadable."""
        found = _read(directory / STARTED, cls)
        return found if found is not None and found.token == token else None


class Exit(_Noted):
    """How a submission ended: by the job script (`verdict` False), or as the scheduler told.

    What a script writes that got a signal is not the end of the story: its job may be queued again.
    `cause`: time, memory, node, preempted, cancelled, signalled, lost, or empty; of packed jobs also
    cut off (by the end of its allocation, too often) and refused (no allocation was to be had).
    """

    token: str
    exit_code: int | None = None
    signal: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    verdict: bool = False
    cause: str = ""
    reason: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing that the scheduler says can change it."""
        return self.verdict or self.signal is None

    @classmethod
    def of(cls, directory: Path, token: str) -> Exit | None:
        """The end of this submission, None where there is none yet; ValueError where it is unreadable."""
        found = _read(directory / EXIT, cls)
        return found if found is not None and found.token == token else None


def revoke(directory: Path, token: str) -> None:
    """See to it that a job of this submission that starts nevertheless does nothing."""
    (directory / revoked(token)).touch()


def revoked(token: str) -> str:
    """Name of the file that says so."""
    return f".revoked-{token}"


def new_token() -> str:
    """A job name that every scheduler takes (PBS: 15 characters) and that was never used."""
    return f"d{secrets.token_hex(7)}"


def kind_and_engine(directory: Path) -> tuple[str, str]:
    """What the job computes and with what; empty where its input cannot be read, as the job will say."""
    try:
        content = json.loads((directory / "input.json").read_bytes())
        return str(content["kind"]), str(content["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ""


def _read(path: Path, noted: type[N]) -> N | None:
    try:
        return noted.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{path} cannot be read: {error.errors()[0]['msg']}") from error
