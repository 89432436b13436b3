"""`python -m discover.benchmark.faults_lock SECONDS STORE...`: cut SQLite stores off for a while.

A process of its own, as POSIX locks end when their process closes any descriptor of the file.
"""

from __future__ import annotations

import fcntl
import sys
import time
from contextlib import ExitStack
from pathlib import Path

FIRST_LOCK, LOCKS = 120, 8
"""Where SQLite's locks of writers and readers lie in the `-shm` file (walIndexMap, SQLite's wal.c)."""


def lock(stores: list[Path], seconds: float) -> None:
    """Keep everybody from reading and writing these stores for so long."""
    with ExitStack() as opened:
        for store in stores:
            shared = store.with_name(f"{store.name}-shm")
            if shared.exists():
                file = opened.enter_context(shared.open("r+b"))
                fcntl.lockf(file, fcntl.LOCK_EX, LOCKS, FIRST_LOCK)
        print("locked", flush=True)  # noqa: T201 - who started this waits for it
        time.sleep(seconds)


if __name__ == "__main__":
    lock([Path(name) for name in sys.argv[2:]], float(sys.argv[1]))
