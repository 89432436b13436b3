"""The store's interface: the one truth of a campaign, whatever database is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Lease,
    ModelCard,
    Observation,
    Pass,
)

FORMAT_VERSION = 2
"""Version of what is on disk; a store with a higher one is refused (StoreVersionError)."""

TRANSITIONS: dict[CalculationState, frozenset[CalculationState]] = {
    CalculationState.PROPOSED: frozenset(
        {CalculationState.SUBMITTED, CalculationState.FAILED, CalculationState.CANCELLED}
    ),
    CalculationState.SUBMITTED: frozenset(
        {
            CalculationState.PROPOSED,  # lost before it began: to be submitted again
            CalculationState.RUNNING,
            CalculationState.DONE,
            CalculationState.FAILED,
            CalculationState.CANCELLED,
            CalculationState.UNKNOWN,
        }
    ),
    CalculationState.RUNNING: frozenset(
        {
            CalculationState.PROPOSED,  # lost in the middle: to be submitted again
            CalculationState.DONE,
            CalculationState.FAILED,
            CalculationState.CANCELLED,
            CalculationState.UNKNOWN,
        }
    ),
    CalculationState.UNKNOWN: frozenset(
        {
            CalculationState.PROPOSED,
            CalculationState.SUBMITTED,
            CalculationState.RUNNING,
            CalculationState.DONE,
            CalculationState.FAILED,
            CalculationState.CANCELLED,
        }
    ),
    CalculationState.DONE: frozenset(),
    CalculationState.FAILED: frozenset({CalculationState.PROPOSED}),
    CalculationState.CANCELLED: frozenset({CalculationState.PROPOSED}),
}
"""Which state of a calculation may follow which; every change is one guarded atomic update."""


class Store(ABC):
    """A campaign's memory. Every method is atomic and durable when it returns.

    All adapters pass `discover.store.conformance`. Methods raise StoreOutageError where the database
    does not answer or cannot write for now (what was asked may or may not have been done: read what is
    there before going on), UnknownRecordError where an id is unknown, StoreVersionError where a newer
    version wrote it.
    """

    # --- candidates ---------------------------------------------------------------------------

    @abstractmethod
    def add_candidates(self, candidates: Sequence[Candidate]) -> list[str]:
        """Add those whose id is new, in this order; returns the ids that were added."""

    @abstractmethod
    def update_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Replace known candidates (one transaction); StoreError for an unknown id."""

    @abstractmethod
    def candidate(self, candidate_id: str) -> Candidate:
        """One candidate; StoreError for an unknown id."""

    @abstractmethod
    def candidates(self, state: CandidateState | None = None) -> Iterator[Candidate]:
        """Candidates in the order they were added, streamed."""

    @abstractmethod
    def count_candidates(self) -> dict[CandidateState, int]:
        """Number of candidates by state, every state present."""

    @abstractmethod
    def candidate_page(
        self, offset: int, limit: int, state: CandidateState | None = None
    ) -> list[Candidate]:
        """At most `limit` candidates after the first `offset`, in the order they were added."""

    @abstractmethod
    def candidate_sample(self, n: int) -> list[Candidate]:
        """About `n` candidates, all where there are fewer, spread evenly over the order of adding.

        The same ones until more are added.
        """

    # --- calculations -------------------------------------------------------------------------

    @abstractmethod
    def add_calculation(self, calculation: Calculation) -> bool:
        """Add a calculation in state proposed; False, and no change, where its id is known."""

    @abstractmethod
    def calculation(self, calculation_id: str) -> Calculation:
        """One calculation; StoreError for an unknown id."""

    @abstractmethod
    def calculations(self, states: frozenset[CalculationState] | None = None) -> list[Calculation]:
        """Calculations in these states (all by default), by `order`."""

    @abstractmethod
    def count_calculations(self) -> dict[CalculationState, int]:
        """Number of calculations by state, every state present."""

    @abstractmethod
    def transition(
        self,
        calculation_id: str,
        expected: CalculationState,
        new: CalculationState,
        **changes: Any,
    ) -> Calculation:
        """Move a calculation from `expected` to `new`, changing other fields with it.

        One atomic update guarded by the expected state. StateConflictError where it is in another
        state (it is left alone) or where `TRANSITIONS` does not allow the move.
        """

    @abstractmethod
    def finish(
        self,
        calculation_id: str,
        expected: CalculationState,
        observations: Sequence[Observation],
        **changes: Any,
    ) -> Calculation:
        """Move to done and keep its observations; a kill in between leaves a state that can be redone.

        Observations are stored first, by id, so that doing it again changes nothing; then the guarded
        transition. Adapters with transactions do both in one.
        """

    # --- observations -------------------------------------------------------------------------

    @abstractmethod
    def add_observations(self, observations: Sequence[Observation]) -> None:
        """Keep observations; one whose id is known is replaced."""

    @abstractmethod
    def observations(
        self, property_name: str | None = None, *, quarantined: bool = False
    ) -> list[Observation]:
        """Observations in the order they first came; those in quarantine too only when asked for."""

    @abstractmethod
    def quarantine(self, observation_id: str, reason: str | None) -> None:
        """Put an observation into quarantine with a reason, or release it with None."""

    # --- models and passes --------------------------------------------------------------------

    @abstractmethod
    def add_model_card(self, card: ModelCard) -> None:
        """Keep a model card (replaced where its id is known)."""

    @abstractmethod
    def model_cards(self) -> list[ModelCard]:
        """All model cards, oldest first."""

    @abstractmethod
    def add_pass(self, record: Pass) -> None:
        """Keep the record of a pass (replaced where its number is known)."""

    @abstractmethod
    def passes(self) -> list[Pass]:
        """All passes by number."""

    @abstractmethod
    def count_passes(self) -> int:
        """Number of passes."""

    # --- who steers, and what users ask -------------------------------------------------------

    @abstractmethod
    def acquire_lease(self, lease: Lease, *, replacing: str | None = None) -> None:
        """Take the lease; LeaseHeldError where another holder's has not expired.

        A lease is expired when `lease.acquired_at` (the taker's clock) is more than `ttl_seconds` past
        the old one's heartbeat. The lease of the holder `replacing`, whom the caller knows to be dead,
        is taken anyway, while it is still that holder's: of several takers one succeeds.
        """

    @abstractmethod
    def renew_lease(self, holder: str, now: float) -> None:
        """Set the heartbeat; LeaseHeldError where this holder has lost the lease."""

    @abstractmethod
    def release_lease(self, holder: str) -> None:
        """Give the lease back; no error where it is not held any more."""

    @abstractmethod
    def lease(self) -> Lease | None:
        """The present lease, expired or not."""

    @abstractmethod
    def fence(self, holder: str | None) -> None:
        """From now on, change nothing through this object unless `holder` has the lease; None: always.

        Every method that changes something then raises LeaseHeldError where it was lost, so that a
        process that was frozen, or cut off, for longer than its lease does no harm when it wakes up.
        """

    @abstractmethod
    def set_value(self, key: str, value: Any) -> None:
        """Keep a small JSON value under a name (stop requests, generator position); None deletes it."""

    @abstractmethod
    def value(self, key: str) -> Any:
        """The JSON value under a name, None where there is none."""

    @abstractmethod
    def values(self) -> dict[str, Any]:
        """All JSON values by name, in order of the names."""

    @abstractmethod
    def close(self) -> None:
        """Release the database; the store cannot be used afterwards."""
