"""The workers of a campaign, made from its section `tasks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from discover.campaign import CampaignSpec
from discover.errors import CampaignError
from discover.folder import CampaignFolder
from discover.workers.base import InTurn, Threads, Workers


def check_tasks(spec: CampaignSpec) -> None:
    """What is wrong with a campaign's section `tasks`, before anything is started.

    MissingDependencyError where Dask is chosen and not installed, MachineError for the profile,
    CampaignError where workers would never have anything to do.
    """
    tasks = spec.tasks
    if tasks.runner == "dask":
        from discover.workers.clusters import check_cluster

        check_cluster(tasks)
    chunks = -(-spec.pool.batch // tasks.chunk)
    if tasks.workers > chunks:
        raise CampaignError(
            f"{tasks.workers} workers, but a batch of {spec.pool.batch} in chunks of {tasks.chunk} has "
            f"work for {chunks}: set pool.batch to at least {tasks.workers * tasks.chunk}, or make "
            "tasks.chunk smaller"
        )


@contextmanager
def open_workers(
    folder: CampaignFolder, spec: CampaignSpec, told: Callable[[str], None] = lambda _: None
) -> Iterator[Workers]:
    """The workers that a campaign asks for, while the block runs; `told` hears of those that are jobs."""
    tasks = spec.tasks
    if tasks.runner == "dask":
        from discover.workers.clusters import open_cluster

        with open_cluster(tasks, folder.workers, told) as workers:
            yield workers
    elif tasks.workers == 1:
        yield InTurn()
    else:
        with closing(Threads(tasks.workers)) as workers:
            yield workers
