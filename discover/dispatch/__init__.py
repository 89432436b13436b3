"""Where a job runs: one module a scheduler."""

from discover.dispatch.base import Dispatcher, JobState, JobStatus

__all__ = ["Dispatcher", "JobState", "JobStatus"]
