"""A user's request to stop, left in the store for the process that steers."""

from __future__ import annotations

import time
from enum import StrEnum

from discover.store.base import Store

PROCESS_STARTED_AT = time.time()
"""An older request was meant for a process that was killed before it could answer."""


class StopRequest(StrEnum):
    """Let running jobs end first, or cancel them."""

    AFTER_RUNNING = "after-running"
    NOW = "now"


def ask_to_stop(store: Store, request: StopRequest) -> None:
    """Ask whoever steers the campaign to stop."""
    store.set_value("stop", {"request": request.value, "asked_at": time.time()})


def request_of(store: Store) -> StopRequest | None:
    """What was asked of this process, None where nothing was."""
    asked = store.value("stop")
    if asked is None or asked["asked_at"] < PROCESS_STARTED_AT:
        return None
    return StopRequest(asked["request"])


def clear_request(store: Store) -> None:
    """Forget what was asked, for it was done."""
    store.set_value("stop", None)
