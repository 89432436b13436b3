"""What a campaign does while its store or its disk is away: it waits, and goes on from the store."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from discover.errors import DiskFullError, OutageError
from discover.lease import SteeringLease

Result = TypeVar("Result")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
ROOM_BYTES = 2**20
"""What must fit into a job's directory before the job is started: its question, its answer, its log."""


def outlast(
    work: Callable[[], Result], lease: SteeringLease, folder: Path, told: Callable[[str], None]
) -> Result:
    """Do the work; where the store or the disk goes away, wait for it with back-off and do it again.

    The work must begin by reading from the store where it is, as after a kill: what was under way when
    the store went away may or may not have been done. LeaseHeldError where another process has taken
    the campaign over meanwhile.
    """
    while True:
        try:
            return work()
        except OutageError as error:
            reason: Exception = error
        except OSError as error:
            if error.errno not in FULL:
                raise
            reason = error
        told(f"waiting, nothing is lost: {reason}")
        _wait_until_back(lease, folder)
        told("going on")


def check_room(directory: Path) -> None:
    """DiskFullError where a job could not write its files there, by disk or by quota."""
    probe = directory / f".room-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(bytes(ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"{directory}: {error.strerror}: make room") from error
        raise
    finally:
        probe.unlink(missing_ok=True)


def _wait_until_back(lease: SteeringLease, folder: Path) -> None:
    """Return once the store takes a heartbeat and the disk a file."""
    pause = FIRST_WAIT_SECONDS
    while True:
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_WAIT_SECONDS)
        try:
            lease.renew()
            check_room(folder)
        except OutageError:
            continue
        return
