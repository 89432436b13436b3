"""Processes of this machine, named so that a name is never used again."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process by its id and its start, in clock ticks since boot; written `pid:ticks`.

    A process id alone is used again; together with the start it is not (`man 5 proc`).
    """

    pid: int
    ticks: int | None

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this id now."""
        return cls(pid, process_ticks(pid))

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """The process written as `pid:ticks`, None where the text is something else."""
        pid, _, ticks = text.partition(":")
        return cls(int(pid), int(ticks)) if pid.isdecimal() and ticks.isdecimal() else None

    def __str__(self) -> str:
        return f"{self.pid}:{self.ticks}"

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.ticks is not None and process_ticks(self.pid) == self.ticks

    def send(self, signal_number: int) -> None:
        """Send it a signal; nothing where it is gone, whoever has its id now."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal_number)

    def send_to_group(self, signal_number: int) -> None:
        """Send a signal to the process group that it leads; nothing where it is gone."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal_number)


def process_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None where it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])
