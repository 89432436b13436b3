"""What a dispatcher asks of a scheduler, and how its programs are run."""

from __future__ import annotations

import abc
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from discover.dispatch.base import JobState
from discover.dispatch.machines import Resources
from discover.errors import DispatchError, MissingDependencyError

if TYPE_CHECKING:
    from qtoolkit.io.base import BaseSchedulerIO


SCHEDULER_LOG = "scheduler.log"
"""In a job's directory: what the scheduler itself has to say of it."""


class NoAnswerError(DispatchError):
    """The scheduler does not answer; what became of the request is not known."""


@dataclass(frozen=True)
class Seen:
    """What the scheduler says of one job: queued, running or ended, or unknown where that is unclear.

    `cause` says why it ended, where it was not the script's own end: time, memory, node, preempted or
    cancelled. `said` is the scheduler's own word. `name` is the job's own: a scheduler that lost its
    memory in a crash may give an id twice.
    """

    state: JobState
    cause: str = ""
    said: str = ""
    running_seconds: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Answer:
    """What a program said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last thing it said, in one line."""
        return " ".join((self.err or self.out).split())[-500:] or f"exit code {self.code}"


@dataclass(frozen=True)
class Request:
    """What a script's header asks for: `resources` with the times and sizes of this attempt filled in.

    `array` such jobs are asked for at once, numbered from 1; None: one, which is no array.
    """

    token: str
    resources: Resources
    cores_per_task: int
    wall_seconds: int
    memory_per_node_mb: int | None
    array: int | None = None


class Scheduler(abc.ABC):
    """One kind of scheduler, through qtoolkit; holds no state.

    `answer_seconds` is its time to answer. What a program complains of that fails matches `outage` where
    the scheduler was not there or too busy, `gone` where a job has ended and is forgotten.
    """

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    outage: ClassVar[re.Pattern[str]]
    gone: ClassVar[re.Pattern[str]]

    def __init__(self, answer_seconds: float) -> None:
        self._answer_seconds = answer_seconds
        try:
            self._io = self._make_io()
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"dispatcher {self.name!r} needs the package {error.name!r}: "
                "pip install 'discover-materials[cluster]'"
            ) from error

    @abc.abstractmethod
    def _make_io(self) -> BaseSchedulerIO:
        """The qtoolkit object that writes its headers and reads its programs' output."""

    @abc.abstractmethod
    def script(self, request: Request, body: str) -> str:
        """The whole job script."""

    @abc.abstractmethod
    def find(self, token: str) -> list[str]:
        """Ids of the jobs called `token`, ended ones included while they are remembered."""

    @abc.abstractmethod
    def look(self, native_ids: Sequence[str]) -> dict[str, Seen]:
        """What is known of these jobs, asked in one go; a job that is forgotten is left out."""

    @abc.abstractmethod
    def element(self, array_id: str, index: int) -> str:
        """Id of one job of an array, by the id that its submission gave."""

    def refusal(self, directory: Path, script: str) -> str | None:  # noqa: ARG002 - for children
        """Why this script would never run, without handing it over; None where that is unknown.

        `directory` is a scratch folder. NoAnswerError where the scheduler does not answer.
        """
        return None

    def check(self) -> None:
        """MissingDependencyError where its programs are not installed here."""
        missing = [program for program in self.programs if shutil.which(program) is None]
        if missing:
            raise MissingDependencyError(
                f"this machine cannot submit to {self.name}: {', '.join(missing)} cannot be found in "
                "PATH; run it on a login node of the cluster"
            )

    def submit(self, directory: Path, script: str) -> str:
        """Hand the script (a file name in `directory`) over; its native id.

        DispatchError where it is refused, NoAnswerError where it may or may not have been taken.
        """
        answer = self._run(self._io.get_submit_cmd(script), directory)
        if answer.code != 0:
            raise DispatchError(f"{self.name} refused the job: {answer.complaint}")
        result = self._io.parse_submit_output(answer.code, answer.out, answer.err)
        if result.job_id is None:
            raise NoAnswerError(f"{self.name} gave no job id: {answer.complaint}")
        return str(result.job_id)

    def cancel(self, native_id: str) -> None:
        """Ask for the end of a job; no error where it has ended.

        DispatchError where it is refused, NoAnswerError where the scheduler does not answer.
        """
        answer = self._run(self._io.get_cancel_cmd(native_id))
        if answer.code != 0 and not self.gone.search(answer.err):
            raise DispatchError(f"{self.name} does not cancel job {native_id}: {answer.complaint}")

    def _asked(self, command: str) -> str:
        """What a program says when asked about jobs; ids that are forgotten may make an exit code."""
        answer = self._run(command)
        if answer.code != 0 and not self.gone.search(answer.err):
            raise self._unanswered(answer)
        return answer.out

    def _unanswered(self, answer: Answer) -> NoAnswerError:
        return NoAnswerError(f"{self.name} does not answer: {answer.complaint}")

    def _run(self, command: str, directory: Path | None = None) -> Answer:
        """Run one of its programs; NoAnswerError where it hangs or cannot reach the scheduler."""
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec env {command}"],
            cwd=directory,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        try:
            out, err = process.communicate(timeout=self._answer_seconds)
        except subprocess.TimeoutExpired:
            raise NoAnswerError(
                f"{self.name} did not answer within {self._answer_seconds:g} s"
            ) from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        answer = Answer(process.returncode, out, err)
        if answer.code != 0 and self.outage.search(answer.err):
            raise self._unanswered(answer)
        return answer
