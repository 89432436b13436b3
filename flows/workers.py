"""Workers that show each chunk of a batch as a Prefect task, run by Prefect's own task runners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from discover.campaign import CampaignSpec
from discover.folder import CampaignFolder
from discover.workers.base import InTurn, Lost, Work, Workers


class PrefectWorkers:
    """The workers of one of Prefect's task runners."""

    in_processes = False

    def __init__(self, runner: TaskRunner[Any]) -> None:
        self._runner = runner

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`; one task run a chunk, called as the work is."""
        shown = Task(
            work, name=work.__name__, cache_policy=NO_CACHE, persist_result=False, log_prints=False
        )
        futures = [self._runner.submit(shown, {"asked": chunk}) for chunk in chunks]
        return [self._answer(future) for future in futures]

    def _answer(self, future: Any) -> str | Lost:
        return str(future.result())


class PrefectDaskWorkers(PrefectWorkers):
    """The workers of a Dask cluster, which does a chunk again whose worker died."""

    in_processes = True

    def _answer(self, future: Any) -> str | Lost:
        from discover.workers.clusters import answer_of

        return answer_of(future)


@contextmanager
def prefect_workers(folder: CampaignFolder, spec: CampaignSpec) -> Iterator[Workers]:
    """The workers that a campaign asks for, while the block runs; inside of a flow run."""
    tasks = spec.tasks
    if tasks.runner == "dask":
        from prefect_dask.task_runners import DaskTaskRunner

        from discover.workers.clusters import open_cluster

        with (
            open_cluster(tasks, folder.workers) as cluster,
            DaskTaskRunner(cluster=cluster) as runner,
        ):
            yield PrefectDaskWorkers(runner)
    elif tasks.workers == 1:
        yield InTurn()
    else:
        threads: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=tasks.workers)
        with threads:
            yield PrefectWorkers(threads)
