"""What every adapter decides alike: which transition, lease and JSON value is accepted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from discover.errors import LeaseHeldError, StateConflictError, StoreError, StoreVersionError
from discover.records import Calculation, CalculationState, Lease
from discover.store.base import FORMAT_VERSION, TRANSITIONS


def check_version(version: int, where: str) -> None:
    """StoreVersionError where what is stored there is newer than what this package reads."""
    if version > FORMAT_VERSION:
        raise StoreVersionError(
            f"{where}: was written in format {version}, and this version of discover reads formats"
            f" up to {FORMAT_VERSION}: update discover"
        )


def to_json(content: Any, what: str) -> str:
    """Content as JSON text; StoreError where it is not JSON (NaN and infinities are not)."""
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{what} cannot be kept as JSON: {error}") from error


def advance(
    calculation: Calculation,
    expected: CalculationState,
    new: CalculationState,
    changes: Mapping[str, Any],
) -> Calculation:
    """The calculation after a transition.

    StateConflictError where it is not in the expected state or may not go where it should,
    StoreError where the changes do not fit a calculation.
    """
    if calculation.state != expected:
        raise StateConflictError(
            f"calculation {calculation.id} is {calculation.state}, not {expected}: left as it is"
        )
    if new not in TRANSITIONS[expected]:
        raise StateConflictError(
            f"calculation {calculation.id} may not go from {expected} to {new};"
            f" allowed: {', '.join(sorted(TRANSITIONS[expected])) or 'nothing'}"
        )
    fixed = {"id", "state"} & changes.keys()
    if fixed:
        raise StoreError(f"a transition cannot set {', '.join(sorted(fixed))} as a change")
    try:
        return Calculation.model_validate(calculation.model_dump() | dict(changes) | {"state": new})
    except ValidationError as error:
        raise StoreError(f"changes do not fit calculation {calculation.id}: {error}") from error


def check_proposed(calculation: Calculation) -> None:
    """StoreError where a calculation that is to be added has already left its first state."""
    if calculation.state != CalculationState.PROPOSED:
        raise StoreError(
            f"calculation {calculation.id} is {calculation.state}: add it as proposed, then move it"
        )


def check_lease_free(present: Lease | None, wanted: Lease, replacing: str | None) -> None:
    """LeaseHeldError where a holder other than `replacing` has not expired by the taker's clock."""
    if present is None or present.holder in {wanted.holder, replacing}:
        return
    silent_seconds = wanted.acquired_at - present.heartbeat_at
    if silent_seconds <= present.ttl_seconds:
        raise LeaseHeldError(
            f"process {present.pid} on {present.host} steers this campaign (heartbeat"
            f" {silent_seconds:.0f} s ago): stop it, or wait until it has been silent for"
            f" {present.ttl_seconds:.0f} s"
        )


def check_lease_kept(present: Lease | None, holder: str) -> Lease:
    """The present lease; LeaseHeldError where it is not this holder's any more."""
    if present is None:
        raise LeaseHeldError(
            f"the lease of {holder} is gone: it was given back, or another process has steered this"
            " campaign meanwhile"
        )
    if present.holder != holder:
        raise LeaseHeldError(
            f"{holder} has lost its lease to process {present.pid} on {present.host}"
        )
    return present
