"""Dask's workers as jobs of a scheduler, kept queued or running while there is work."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from discover.dispatch.base import JobState
from discover.dispatch.scheduler import NoAnswerError, Scheduler
from discover.errors import MachineError

IN_VAIN = 3
"""Jobs that may end in a row before their worker reached this process, while no other works."""
TELL_SECONDS = 60.0
"""So long without a worker, and people are told what is waited for."""
LOG_CHARACTERS = 500


class WorkerJobs:
    """Replaces jobs of dask-jobqueue's `cluster` that ended: killed, preempted, out of time, broken.

    dask-jobqueue itself waits for ever for a job that ended before its worker began, or that was refused.
    `folder` is where the jobs leave their logs; `told` is called with a line for people.
    """

    def __init__(
        self,
        cluster: Any,
        scheduler: Scheduler,
        workers: int,
        folder: Path,
        poll_seconds: float,
        told: Callable[[str], None],
    ) -> None:
        self._cluster, self._scheduler, self._workers = cluster, scheduler, workers
        self._folder, self._poll_seconds, self._told = folder, poll_seconds, told
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._in_vain = 0
        self._without_since: float | None = None

    def look(self) -> None:
        """Ask for what is missing; at most every `poll_seconds`.

        MachineError where no worker works and the scheduler refuses their jobs, or these end again and
        again before they have begun to work.
        """
        with self._lock:
            now = time.monotonic()
            if now < self._next_look:
                return
            self._remove_ended()
            self._ask_for_missing()
            self._tell_of_waiting(now)
            self._next_look = time.monotonic() + self._poll_seconds

    def _connected(self) -> set[Any]:
        """Names of the workers that this process has reached."""
        return {worker["name"] for worker in self._cluster.scheduler_info["workers"].values()}

    def _remove_ended(self) -> None:
        connected = self._connected()
        if connected:
            self._in_vain, self._without_since = 0, None
        absent = {
            name: job.job_id
            for name, job in self._cluster.workers.items()
            if name not in connected and job.job_id
        }
        try:
            seen = self._scheduler.look(list(absent.values()))
        except NoAnswerError:
            return
        states = {_number(native_id): one for native_id, one in seen.items()}
        for name, native_id in absent.items():
            state = states.get(_number(native_id))
            if state is not None and state.state is not JobState.ENDED:
                continue
            why = state.cause or state.said if state else "the scheduler has forgotten it"
            self._told(f"a worker's job, {native_id}, has ended ({why}): another is asked for")
            self._in_vain += not connected
            if self._in_vain >= IN_VAIN:
                raise MachineError(
                    f"tasks.machine: {IN_VAIN} jobs of workers in a row ended before they began to work, "
                    f"the last, {native_id}, with {why}: {self._log(native_id)}"
                )
            self._cluster.sync(self._cluster.scale_down, [name])

    def _ask_for_missing(self) -> None:
        from distributed import Status

        cluster = self._cluster

        async def corrected() -> None:
            while len(cluster.worker_spec) < self._workers:
                cluster.worker_spec.update(cluster.new_worker_spec())
            await cluster

        try:
            cluster.sync(corrected)
        except RuntimeError as error:
            complaint = " ".join(str(error).partition("stderr:")[2].split()) or str(error)
            refused = {name: job for name, job in cluster.workers.items() if not job.job_id}
            for job in refused.values():
                job.status = Status.failed  # without it the cluster would not let itself be closed
            cluster.sync(cluster.scale_down, list(refused))
            waiting = any(job.job_id for job in cluster.workers.values())
            if not waiting and not self._scheduler.outage.search(complaint):
                raise MachineError(
                    f"tasks.machine: {self._scheduler.name} refuses the jobs of workers: {complaint}"
                ) from error

    def _tell_of_waiting(self, now: float) -> None:
        if self._connected():
            return
        if self._without_since is None:
            self._without_since = now
        elif now >= self._without_since + TELL_SECONDS:
            self._without_since = float("inf")
            ids = ", ".join(str(job.job_id) for job in self._cluster.workers.values())
            self._told(f"no worker yet: their jobs wait for {self._scheduler.name} ({ids})")

    def _log(self, native_id: str) -> str:
        """The end of what a job wrote, in one line, and where all of it is."""
        own = re.compile(rf"(?<!\d){_number(native_id)}(?!\d)")
        logs = sorted(log for log in self._folder.iterdir() if own.search(log.name))
        text = " ".join(" ".join(log.read_text(errors="replace") for log in logs).split())
        return f"{text[-LOG_CHARACTERS:] or 'it wrote nothing'} (logs: {self._folder})"


def _number(native_id: str) -> str:
    """An id without the name of its server, which qstat shows and dask-jobqueue leaves out."""
    return re.split(r"\D", native_id, maxsplit=1)[0]
