"""Who does the work of a batch of candidates: threads of this process, or a Dask cluster."""

from discover.workers.base import InTurn, Lost, Work, Workers, spread
from discover.workers.creation import check_tasks, open_workers

__all__ = ["InTurn", "Lost", "Work", "Workers", "check_tasks", "open_workers", "spread"]
