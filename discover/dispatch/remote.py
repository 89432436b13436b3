"""Jobs on a cluster that is reached by SSH alone; their files are staged there and back by rsync."""

from __future__ import annotations

import fcntl
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from discover.calculations.job import RESULT, read_result
from discover.dispatch import submission as noted
from discover.dispatch.agent import MARK, AgentAnswer, AgentRequest
from discover.dispatch.base import JobState, JobStatus
from discover.dispatch.machines import MachineProfile
from discover.dispatch.scheduler import NoAnswerError
from discover.dispatch.ssh import Login
from discover.errors import CalculationError, DispatchError, MachineError
from discover.files import write_atomically

NOTE, PLACE = "remote.json", "remote-folder"
STARTING_SECONDS = 60.0  # for python to start on a login node, with a cold disk
LONGEST_BACK_OFF_SECONDS = 120.0
CANCEL_SECONDS = 30.0
LOCKS = ("lock", "submit.lock", NOTE, ".*.[0-9]*")
HERE_ALONE = (
    *LOCKS,
    noted.SUBMISSION,
    noted.STARTED,
    noted.EXIT,
    noted.SCRIPT,
    RESULT,
    ".revoked-*",
)
PASSING = re.compile(
    r"resource temporarily unavailable|cannot allocate memory|no space left|input/output error"
    r"|stale file handle|cannot fork",
    re.IGNORECASE,
)
REMOTE_KEYS = frozenset({"host", "remote_dir", "remote_python", "keep_remote", "ssh_options"})
OVER = frozenset({JobState.ENDED, JobState.LOST})


class Staged(BaseModel):
    """What this side knows of a job: whether the cluster has it, and its end once its files are here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    native_id: str | None = None
    cancelled: bool = False
    ended: JobStatus | None = None

    @classmethod
    def of(cls, directory: Path) -> Staged | None:
        """The note in a directory; ValueError where it cannot be read."""
        path = directory / NOTE
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ValueError(f"{path} cannot be read: {error.errors()[0]['msg']}") from error

    def note(self, directory: Path) -> Staged:
        """Keep it in the directory."""
        write_atomically(directory / NOTE, self.model_dump_json())
        return self


@dataclass
class _Silence:
    """How long the login node is left alone after it did not answer."""

    poll_seconds: float
    failures: int = 0
    until: float = 0.0
    reason: str = ""

    def heard(self) -> None:
        self.failures, self.until = 0, 0.0

    def note(self, error: Exception) -> None:
        self.failures += 1
        wait = min(self.poll_seconds * 2.0**self.failures, LONGEST_BACK_OFF_SECONDS)
        self.until, self.reason = time.monotonic() + wait, str(error)

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self.until


class RemoteDispatcher:
    """Runs jobs by the dispatcher of a cluster's login node, which works on copies of their directories.

    A job's directory is copied to the profile's `remote_dir`, handed over there by
    `discover.dispatch.agent` (so what holds for a dispatcher on the login node holds here too), and
    copied back when it is over; only then is its end told, and the copy of one that left a good result is
    removed, unless the profile keeps all. Where the login node cannot be reached, or a
    connection drops, jobs are `unknown`, and it is tried again, less and less often.
    """

    def __init__(
        self, slots_directory: Path, profile: MachineProfile, threads: int, wall_time_minutes: float
    ) -> None:
        if profile.host is None or profile.remote_dir is None or profile.remote_python is None:
            raise MachineError("a machine that is reached by SSH needs the key host in its profile")
        self._profile = profile
        self._python, self._parent = profile.remote_python, profile.remote_dir.rstrip("/")
        self._login = Login(profile.host, profile.ssh_options)
        self._login.check()
        self._slots = slots_directory.absolute()
        self._threads = threads
        self._wall_time_minutes = wall_time_minutes
        self._silence = _Silence(profile.poll_seconds)
        self._seen: dict[Path, JobStatus] = {}
        self._asked_at = float("-inf")

    # --- the contract of discover.dispatch.base.Dispatcher ------------------------------------------

    def submit(self, directory: Path) -> str:
        """Copy the job there and hand it over; its native id, or a name of its own where nobody answers.

        A job that is queued or running there is not started again, nor is one that has its result.
        Raises DispatchError where it is refused.
        """
        directory = directory.absolute()
        try:
            with _locked(directory):
                staged = Staged.of(directory)
                if (directory / RESULT).exists():
                    return (staged and staged.native_id) or "finished"
                if staged is not None and staged.ended is None and staged.native_id:
                    if not staged.cancelled:
                        return staged.native_id
                    self._await_end(directory)
                Staged().note(directory)
                self._seen.pop(directory, None)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be submitted: {error}") from error
        if not self._silence.lasts:
            try:
                answer = self._ask(submit=[directory])
            except NoAnswerError as error:
                self._silence.note(error)
            else:
                if reason := answer.refused.get(directory):
                    Staged(ended=JobStatus(JobState.ENDED, reason=reason)).note(directory)
                    raise DispatchError(reason)
                self._seen[directory] = JobStatus(JobState.QUEUED)
        handed_over = Staged.of(directory)
        return (handed_over and handed_over.native_id) or f"waits-{directory.name}"

    def poll(self, jobs: Sequence[tuple[str, Path]]) -> list[JobStatus]:
        """State of each (native id, directory), in the same order; `unknown` where nobody answers."""
        told: dict[Path, JobStatus] = {}
        staged: dict[Path, Staged] = {}
        for directory in dict.fromkeys(directory.absolute() for _, directory in jobs):
            try:
                note = Staged.of(directory)
            except (OSError, ValueError) as error:
                told[directory] = JobStatus(JobState.UNKNOWN, reason=str(error))
                continue
            if note is None and (directory / RESULT).exists():
                told[directory] = JobStatus(JobState.ENDED)
            elif note is None:
                told[directory] = JobStatus(JobState.LOST, reason="it was never submitted")
            elif note.ended is not None:
                told[directory] = note.ended
            else:
                staged[directory] = note
        told |= self._states(staged)
        return [told[directory.absolute()] for _, directory in jobs]

    def cancel(self, native_id: str, directory: Path) -> None:  # noqa: ARG002 - the directory knows it
        """End a job; no error where it has ended already.

        DispatchError where that is refused, or the login node cannot be reached for half a minute.
        """
        directory = directory.absolute()
        try:
            staged = Staged.of(directory)
            if staged is None or staged.ended is not None:
                return
            staged.model_copy(update={"cancelled": True}).note(directory)
            self._seen.pop(directory, None)
            deadline = time.monotonic() + CANCEL_SECONDS
            while True:
                try:
                    answer = self._ask(cancel=[directory])
                    break
                except NoAnswerError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(1.0)
        except (OSError, ValueError) as error:
            raise DispatchError(f"{directory}: the job cannot be cancelled: {error}") from error
        if reason := answer.refused.get(directory):
            raise DispatchError(reason)
        if staged.native_id is None:  # it never got there; if it did, it is cancelled there as well
            end = JobStatus(JobState.ENDED, reason="cancelled", retryable=False)
            Staged(cancelled=True, ended=end).note(directory)

    def reach(self) -> None:
        """DispatchError, saying why, where the login node cannot be reached now."""
        said = self._login.run(["true"], "", STARTING_SECONDS)
        if said.code != 0:
            raise DispatchError(f"{self._profile.host}: no command can be run: {said.complaint}")

    # --- asking -----------------------------------------------------------------------------------

    def _states(self, staged: dict[Path, Staged]) -> dict[Path, JobStatus]:
        """The states of jobs that the cluster has or is to get, asked at most every `poll_seconds`."""
        fresh = time.monotonic() - self._asked_at < self._profile.poll_seconds
        if staged and not self._silence.lasts and not (fresh and set(staged) <= set(self._seen)):
            try:
                self._refresh(staged)
            except (DispatchError, OSError) as error:
                self._silence.note(error)
        if self._silence.lasts:
            return dict.fromkeys(staged, JobStatus(JobState.UNKNOWN, reason=self._silence.reason))
        unheard = JobStatus(JobState.UNKNOWN, reason="the login node says nothing of it")
        return {directory: self._seen.get(directory, unheard) for directory in staged}

    def _refresh(self, staged: dict[Path, Staged]) -> None:
        missing = [d for d, note in staged.items() if note.native_id is None and not note.cancelled]
        there = [directory for directory in staged if directory not in missing]
        cancelled = [directory for directory in there if staged[directory].cancelled]
        answer = self._ask(cancel=cancelled, submit=missing, poll=[*there, *missing])
        self._seen |= answer.polled
        for directory in missing:
            if reason := answer.refused.get(directory):
                self._seen[directory] = JobStatus(JobState.ENDED, reason=reason)
        over = [directory for directory in answer.polled if self._seen[directory].state in OVER]
        self._fetch(over)
        for directory in over:
            note = Staged.of(directory) or Staged()
            note.model_copy(update={"ended": self._seen[directory]}).note(directory)
        self._tidy_up(over)
        self._asked_at = time.monotonic()

    def _ask(
        self,
        cancel: Sequence[Path] = (),
        submit: Sequence[Path] = (),
        poll: Sequence[Path] = (),
    ) -> AgentAnswer:
        """Put a request; the directories of its answer are those of this side, ids are noted."""
        for parent, names in _by_parent(submit).items():
            self._login.push(parent, names, self._there, HERE_ALONE)
        request = AgentRequest(
            profile=self._profile,
            slots=Path(self._there, ".slots"),
            threads=self._threads,
            wall_time_minutes=self._wall_time_minutes,
            cancel=tuple(map(self._twin, cancel)),
            submit=tuple(map(self._twin, submit)),
            poll=tuple(map(self._twin, poll)),
        )
        # What the profile leaves open, such as the interpreter, the other side fills in by itself.
        text = request.model_dump_json(exclude_unset=True, exclude={"profile": {*REMOTE_KEYS}})
        command = [self._python, "-m", "discover.dispatch.agent"]
        seconds = 2 * self._profile.answer_seconds + STARTING_SECONDS
        said = self._login.run(command, text, seconds)
        marked = [line for line in said.out.splitlines() if line.startswith(MARK)]
        try:
            answer = AgentAnswer.model_validate_json(marked[-1].removeprefix(MARK))
        except (IndexError, ValidationError):
            problem = (
                f"{self._profile.host}: {self._python} -m discover.dispatch.agent does not work there; "
                f"is this program installed there, in the same version? {said.complaint}"
            )
            kind = NoAnswerError if PASSING.search(said.err) else DispatchError
            raise kind(problem) from None
        if answer.problem is not None:
            raise DispatchError(f"{self._profile.host}: {answer.problem}")
        self._silence.heard()
        here = {self._twin(directory): directory for directory in (*cancel, *submit, *poll)}
        for twin, native_id in answer.submitted.items():
            note = Staged.of(here[twin]) or Staged()
            note.model_copy(update={"native_id": native_id}).note(here[twin])
        return AgentAnswer(
            submitted={here[twin]: said for twin, said in answer.submitted.items()},
            polled={here[twin]: said for twin, said in answer.polled.items()},
            refused={here[twin]: said for twin, said in answer.refused.items()},
        )

    def _fetch(self, directories: Sequence[Path]) -> None:
        for parent, names in _by_parent(directories).items():
            self._login.pull(self._there, names, parent, LOCKS)

    def _tidy_up(self, directories: Sequence[Path]) -> None:
        """Remove the copies of what is over, has noted its end, and left a good result, now here.

        What cannot be removed stays.
        """
        if self._profile.keep_remote == "all":
            return
        names = [d.name for d in directories if (d / noted.EXIT).exists() and _is_done(d)]
        if names:
            with suppress(DispatchError):
                self._login.remove(self._there, names)

    def _await_end(self, directory: Path) -> None:
        """Wait for the end of a job that was cancelled; DispatchError where it does not come."""
        deadline = time.monotonic() + CANCEL_SECONDS
        while self.poll([("", directory)])[0].state not in OVER:
            if time.monotonic() > deadline:
                raise DispatchError(f"{directory}: the job was cancelled and still runs")
            time.sleep(1.0)

    @property
    def _there(self) -> str:
        """The folder on the cluster for the jobs of this campaign, by a name that moves with it."""
        note = self._slots / PLACE
        if not note.exists():
            self._slots.mkdir(parents=True, exist_ok=True)
            title = re.sub(r"[^A-Za-z0-9_.-]+", "-", self._slots.parent.parent.name).strip("-.")
            write_atomically(note, f"{title or 'jobs'}-{secrets.token_hex(4)}")
        return f"{self._parent}/{note.read_text(encoding='utf-8')}"

    def _twin(self, directory: Path) -> Path:
        return Path(self._there, directory.name)


def _is_done(directory: Path) -> bool:
    try:
        result = read_result(directory)
    except CalculationError:
        return False
    return result is not None and result.status == "done"


def _by_parent(directories: Sequence[Path]) -> dict[Path, list[str]]:
    found: dict[Path, list[str]] = defaultdict(list)
    for directory in directories:
        found[directory.parent].append(directory.name)
    return found


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "submit.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
