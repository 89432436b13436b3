"""When a launched campaign that nobody steers is launched again."""

from __future__ import annotations

from typing import Any

import pytest

from discover.records import Lease
from flows.launched import STARTING_SECONDS, Run

BEGAN = 1000.0


def lease(acquired_at: float) -> Lease:
    fields: dict[str, Any] = {"holder": "h", "host": "here", "pid": 1, "process_ticks": 1}
    return Lease(**fields, acquired_at=acquired_at, heartbeat_at=acquired_at, ttl_seconds=60.0)


@pytest.mark.parametrize(
    ("state", "taken", "seconds", "starting"),
    [
        ("RUNNING", None, 5.0, True),
        ("PENDING", None, 5.0, True),
        ("RUNNING", BEGAN - 1.0, 5.0, True),  # by the run before
        ("RUNNING", BEGAN + 1.0, 5.0, False),  # it has steered, and was killed
        ("RUNNING", None, STARTING_SECONDS + 1.0, False),
        ("CRASHED", None, 5.0, False),
    ],
)
def test_a_run_that_has_steered_does_not_start(
    state: str, taken: float | None, seconds: float, *, starting: bool
) -> None:
    held = None if taken is None else lease(taken)
    assert Run(state, BEGAN).may_be_starting(held, BEGAN + seconds) is starting
