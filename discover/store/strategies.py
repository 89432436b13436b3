"""Hypothesis strategies for everything a store keeps: any valid record can be drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from discover.records import (
    Calculation,
    CalculationState,
    Candidate,
    CandidateState,
    Lease,
    ModelCard,
    Observation,
    Pass,
    Prediction,
    Provenance,
    Relaxation,
)
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.formulation import Component, Formulation, Role
from discover.structures.molecule import Molecule

COUNTS = st.integers(0, 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.floats(0, 4e9)
STATES = st.sampled_from(CalculationState)
TEXTS = st.text(max_size=20)
IDS = st.text("0123456789abcdef", min_size=1, max_size=16)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def crystals(draw: st.DrawFn) -> Crystal:
    """A crystal of one to four atoms with any cell that spans a volume."""
    vectors = st.tuples(*[st.floats(-20, 20)] * 3)
    cell = draw(st.tuples(vectors, vectors, vectors).filter(lambda c: abs(np.linalg.det(c)) > 1e-3))
    numbers = draw(st.lists(st.integers(1, 118), min_size=1, max_size=4))
    positions = st.lists(
        st.tuples(FLOATS, FLOATS, FLOATS), min_size=len(numbers), max_size=len(numbers)
    )
    return Crystal(
        numbers=tuple(numbers), cell_angstrom=cell, scaled_positions=tuple(draw(positions))
    )


@st.composite
def molecules(draw: st.DrawFn) -> Molecule:
    """A molecular ion with an even number of electrons; its SMILES need not fit its atoms."""
    numbers = draw(st.lists(st.integers(1, 118), min_size=1, max_size=4))
    positions = st.tuples(*[st.tuples(FLOATS, FLOATS, FLOATS)] * len(numbers))
    return Molecule(
        smiles=draw(st.text(min_size=1, max_size=9)),
        numbers=tuple(numbers),
        positions_angstrom=draw(positions),
        charge=sum(numbers) % 2,
    )


@st.composite
def formulations(draw: st.DrawFn) -> Formulation:
    """A mixture of one or two uncharged molecules."""
    neutral = molecules().filter(lambda molecule: molecule.charge == 0)
    chosen = draw(
        st.lists(neutral, min_size=1, max_size=2, unique_by=lambda molecule: molecule.smiles)
    )
    role = st.sampled_from(Role)
    return Formulation(
        components=tuple(
            Component(role=draw(role), molecule=one, mole_fraction=1 / len(chosen))
            for one in chosen
        )
    )


RELAXATIONS = st.builds(
    Relaxation,
    potential=TEXTS,
    energy_ev_per_atom=FLOATS,
    max_force_ev_per_angstrom=FLOATS,
    max_stress_gpa=FLOATS,
    volume_ratio=FLOATS,
    steps=COUNTS,
    converged=st.booleans(),
    seconds=FLOATS,
)


def _candidates(
    structures: st.SearchStrategy[Any], spacegroups: st.SearchStrategy[int | None]
) -> st.SearchStrategy[Candidate]:
    return st.builds(
        Candidate,
        id=IDS,
        formula=TEXTS,
        spacegroup=spacegroups,
        prototype=st.none() | TEXTS,
        structure=structures,
        provenance=st.builds(
            Provenance,
            generator=TEXTS,
            operation=TEXTS,
            parents=st.lists(IDS, max_size=3).map(tuple),
            draw=COUNTS,
        ),
        state=st.sampled_from(CandidateState),
        reason=st.none() | TEXTS,
        relaxation=st.none() | RELAXATIONS,
        formation_energy_ev_per_atom=st.none() | FLOATS,
        features=st.none() | st.lists(FLOATS, max_size=5).map(tuple),
    )


COMPOSITIONS = st.builds(
    Composition,
    amounts=st.dictionaries(TEXTS, st.floats(1e-3, 1e3), min_size=1, max_size=3),
    spacegroup=st.none() | st.integers(1, 230),
)
CANDIDATES = (
    _candidates(crystals(), st.integers(1, 230))
    | _candidates(molecules() | formulations(), st.none())
    | _candidates(COMPOSITIONS, st.none() | st.integers(1, 230))
)


def calculations(states: st.SearchStrategy[CalculationState]) -> st.SearchStrategy[Calculation]:
    """Calculations in the given states."""
    return st.builds(
        Calculation,
        id=IDS,
        candidate=IDS,
        order=COUNTS,
        kind=TEXTS,
        engine=TEXTS,
        fidelity=TEXTS,
        picked_by=TEXTS,
        prediction=st.none()
        | st.builds(Prediction, mean=FLOATS, std=FLOATS, score=FLOATS, model=IDS),
        state=states,
        attempts=COUNTS,
        native_id=st.none() | TEXTS,
        reason=st.none() | TEXTS,
        submitted_at=st.none() | TIMES,
        started_at=st.none() | TIMES,
        finished_at=st.none() | TIMES,
        seconds=st.none() | TIMES,
        cores=st.none() | COUNTS,
    )


OBSERVATIONS = st.builds(
    Observation,
    id=IDS,
    candidate=IDS,
    calculation=st.none() | IDS,
    property=TEXTS,
    value=FLOATS,
    unit=TEXTS,
    fidelity=TEXTS,
    source=TEXTS,
    citation=st.none() | TEXTS,
    bound=st.sampled_from([None, "below", "above"]),
    uncertainty=st.none() | FLOATS,
    quarantined=st.none() | TEXTS,
)

MODEL_CARDS = st.builds(
    ModelCard,
    id=IDS,
    surrogate=TEXTS,
    created_at=TIMES,
    data_hash=IDS,
    n_observations=COUNTS,
    observations=st.lists(IDS, max_size=3).map(tuple),
    fit_seconds=FLOATS,
    metrics=st.dictionaries(st.sampled_from(["mae", "coverage_0.5"]), st.none() | FLOATS),
    details=st.dictionaries(TEXTS, JSON, max_size=3),
)

PASSES = st.builds(
    Pass,
    number=COUNTS,
    started_at=TIMES,
    finished_at=TIMES,
    actions=st.lists(TEXTS, max_size=3).map(tuple),
    collected=st.lists(IDS, max_size=3).map(tuple),
    picked=st.lists(IDS, max_size=3).map(tuple),
    proposed=COUNTS,
    rejected=COUNTS,
    model=st.none() | IDS,
    stopped=st.none() | TEXTS,
)

LEASES = st.builds(
    Lease,
    holder=IDS,
    host=TEXTS,
    pid=COUNTS,
    process_ticks=st.none() | COUNTS,
    acquired_at=TIMES,
    heartbeat_at=TIMES,
    ttl_seconds=st.floats(0, 1e6),
)
