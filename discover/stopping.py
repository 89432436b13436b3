"""A user's request to stop, left in the store for the process that steers."""

from __future__ import annotations

from enum import StrEnum

from discover.processes import Process
from discover.store.base import Store


class StopRequest(StrEnum):
    """Let running jobs end first, or cancel them."""

    AFTER_RUNNING = "after-running"
    NOW = "now"


def ask_to_stop(store: Store, request: StopRequest, process: Process) -> None:
    """Ask the process that steers the campaign, and no later one, to stop."""
    store.set_value("stop", {"request": request.value, "process": str(process)})


def request_of(store: Store, process: Process) -> StopRequest | None:
    """What was asked of this process, None where nothing was."""
    asked = store.value("stop")
    if asked is None or asked["process"] != str(process):
        return None
    return StopRequest(asked["request"])


def clear_request(store: Store) -> None:
    """Forget what was asked, for it was done."""
    store.set_value("stop", None)
