"""Workers that show each chunk of a batch as a Prefect task run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.workers import InTurn, Lost, Work, Workers, open_workers

THREADS_EACH = 2
"""Threads that wait for each of Dask's workers, so that none waits for a thread."""


class PrefectWorkers:
    """Tasks of a Prefect task runner, in each of which `workers` do one chunk.

    The task runs are of this process, wherever the workers are: those need neither Prefect nor a way to
    its server, and what crosses to them is the chunk alone.
    """

    def __init__(self, runner: TaskRunner[Any], workers: Workers) -> None:
        self.in_processes = workers.in_processes
        self._runner, self._workers = runner, workers

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`; one task run a chunk, called as the work is."""

        def one(asked: str) -> str | Lost:
            return self._workers.map(work, [asked])[0]

        shown = Task(one, name=work.__name__, cache_policy=NO_CACHE, persist_result=False)
        shown.task_key = work.__name__
        futures = [self._runner.submit(shown, {"asked": chunk}) for chunk in chunks]
        return [future.result() for future in futures]


@contextmanager
def prefect_workers(
    folder: CampaignFolder, spec: CampaignSpec, told: Callable[[str], None]
) -> Iterator[Workers]:
    """The workers that a campaign asks for, while the block runs; inside of a flow run."""
    tasks = spec.tasks
    if tasks.runner == "threads" and tasks.workers == 1:
        yield InTurn()
        return
    if tasks.runner == "threads":
        runner: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=tasks.workers)
        with runner:
            yield PrefectWorkers(runner, InTurn())
        return
    runner = ThreadPoolTaskRunner(max_workers=THREADS_EACH * tasks.workers)
    with open_workers(folder, spec, told) as workers, runner:
        yield PrefectWorkers(runner, workers)
