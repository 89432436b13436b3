"""A login node that is reached by SSH: commands by OpenSSH, files by rsync over it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from discover.dispatch.scheduler import Answer, NoAnswerError
from discover.errors import DispatchError, MissingDependencyError

NO_CONNECTION = 255
# man rsync, EXIT VALUES: the connection, a full disk (11), files that changed meanwhile (24).
RSYNC_NO_ANSWER = frozenset({5, 10, 11, 12, 20, 24, 30, 35, NO_CONNECTION})
OPTIONS = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=10", "ServerAliveCountMax=3")
STALLED_SECONDS = 60


@dataclass(frozen=True)
class Login:
    """A login node, as `ssh HOST` finds it; keys, user, jump hosts and sharing of connections are those
    of the user's own SSH configuration. `options` are further ones, as after `ssh -o`.
    """

    host: str
    options: tuple[str, ...] = ()

    def check(self) -> None:
        """MissingDependencyError where a program is not installed here."""
        missing = [program for program in ("ssh", "rsync") if shutil.which(program) is None]
        if missing:
            raise MissingDependencyError(
                f"{self.host} cannot be reached from here: {', '.join(missing)} cannot be found in PATH; "
                "on Debian: apt-get install openssh-client rsync"
            )

    def run(self, command: Sequence[str], text: str, seconds: float) -> Answer:
        """Run a command there and give it `text`; NoAnswerError where the connection fails or is lost."""
        answer = _run([*self._ssh(), self.host, shlex.join(command)], text, seconds)
        if answer.code == NO_CONNECTION:
            raise NoAnswerError(f"{self.host} cannot be reached: {answer.complaint}")
        return answer

    def push(self, parent: Path, names: Iterable[str], there: str, skip: Sequence[str]) -> None:
        """Copy folders in `parent` into the folder `there`; what is there already is left as it is.

        `skip`: patterns of files that stay here. NoAnswerError where the connection fails or is lost,
        DispatchError where files cannot be read or written.
        """
        make = f"mkdir -p {shlex.quote(there)} && rsync"  # --mkpath is newer than many clusters
        more = ["--ignore-existing", f"--rsync-path={make}"]
        more += [f"--exclude={pattern}" for pattern in skip]
        self._copy(names, f"{parent}/", f"{self.host}:{there}/", more)

    def pull(self, there: str, names: Iterable[str], parent: Path, skip: Sequence[str]) -> None:
        """Copy folders in the folder `there` into `parent`, those that exist; errors as for `push`."""
        more = ["--ignore-missing-args"]
        more += [f"--exclude={pattern}" for pattern in skip]
        self._copy(names, f"{self.host}:{there}/", f"{parent}/", more)

    def remove(self, there: str, names: Sequence[str]) -> None:
        """Remove folders in the folder `there`; DispatchError where they cannot be removed."""
        command = f"cd {shlex.quote(there)} && rm -rf -- {shlex.join(names)}"
        answer = self.run(["sh", "-c", command], "", STALLED_SECONDS)
        if answer.code != 0:
            raise DispatchError(f"{self.host}: {there} cannot be tidied up: {answer.complaint}")

    def _copy(self, names: Iterable[str], source: str, target: str, more: Sequence[str]) -> None:
        command = ["rsync", "--archive", "--recursive", "--no-owner", "--no-group", *more]
        command += ["--files-from=-", f"--timeout={STALLED_SECONDS}"]
        command += [f"--rsh={shlex.join(self._ssh())}", source, target]
        answer = _run(command, "".join(f"{name}\n" for name in names), None)
        if answer.code in RSYNC_NO_ANSWER:
            raise NoAnswerError(f"{self.host}: files cannot be copied: {answer.complaint}")
        if answer.code != 0:
            raise DispatchError(f"{self.host}: files cannot be copied: {answer.complaint}")

    def _ssh(self) -> list[str]:
        """With the user's own options first: of several the first one counts."""
        return ["ssh", *(part for one in (*self.options, *OPTIONS) for part in ("-o", one))]


def _run(command: list[str], text: str, seconds: float | None) -> Answer:
    """Run a program here; its complaints go to a file, which a shared connection may keep open."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            errors="replace",
            process_group=0,
        )
        try:
            out, _ = process.communicate(text, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise NoAnswerError(f"{command[0]}: no answer within {seconds:g} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        complaints.seek(0)
        return Answer(process.returncode, out, complaints.read().decode(errors="replace"))
