"""What the tests of a store make use of: records, and settings for what is tried with any record."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings

from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Lease,
    ModelCard,
    Observation,
    Provenance,
)
from discover.store.base import Store
from discover.structures.crystal import Crystal

PROPOSED, SUBMITTED, RUNNING, DONE, FAILED, CANCELLED, UNKNOWN = CalculationState

OpenStore = Callable[[], Store]

one_store_for_all_examples = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,  # each adapter's class runs them
    ],
)


def candidate(number: int, state: CandidateState = CandidateState.PROPOSED) -> Candidate:
    """Caesium chloride under the id `candidate-<number>`."""
    return Candidate(
        id=f"candidate-{number}",
        formula="CsCl",
        spacegroup=221,
        prototype="cscl",
        structure=Crystal(
            numbers=(55, 17),
            cell_angstrom=((4.12, 0.0, 0.0), (0.0, 4.12, 0.0), (0.0, 0.0, 4.12)),
            scaled_positions=((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
        ),
        provenance=Provenance(generator="conformance", operation="decorate", draw=number),
        state=state,
    )


def calculation(number: int) -> Calculation:
    """A proposed calculation, the `number`-th pick, under the id `calculation-<number>`."""
    return Calculation(
        id=f"calculation-{number}",
        candidate=f"candidate-{number}",
        order=number,
        kind="agl",
        engine="emt",
        fidelity="agl/emt",
        picked_by="initial",
    )


def observation(number: int, property_name: str = "bulk_modulus") -> Observation:
    """A value of `number` GPa for the candidate of that number."""
    return Observation(
        id=f"observation-{number}",
        candidate=f"candidate-{number}",
        calculation=f"calculation-{number}",
        property=property_name,
        value=float(number),
        unit="GPa",
        fidelity="agl/emt",
        source="conformance",
    )


def lease(holder: str, at: float, ttl_seconds: float = 60.0) -> Lease:
    """A lease that is taken at this time."""
    return Lease(
        holder=holder,
        host="localhost",
        pid=1,
        acquired_at=at,
        heartbeat_at=at,
        ttl_seconds=ttl_seconds,
    )


def card(identity: str, created_at: float) -> ModelCard:
    """A model card under this id, made at this time."""
    return ModelCard(
        id=identity,
        surrogate="gp",
        created_at=created_at,
        data_hash="hash",
        n_observations=1,
        fit_seconds=0.5,
        metrics={"mae": 0.25, "spearman": None},
        details={"kernel": {"name": "rbf", "state": 2**100}},
    )


def start(store: Store, number: int) -> None:
    """Add the calculation of that number and set it running."""
    store.add_calculation(calculation(number))
    store.transition(f"calculation-{number}", PROPOSED, SUBMITTED)
    store.transition(f"calculation-{number}", SUBMITTED, RUNNING)
