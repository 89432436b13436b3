"""What the page's JSON API answers about candidates, jobs and labels."""

from __future__ import annotations

from typing import Literal

from discover.page.answers import Answer
from discover.records import Bound, CalculationState, CandidateState, Provenance, Relaxation


class CandidateRow(Answer):
    """A candidate in the list."""

    id: str
    sort: Literal["crystal", "molecule", "formulation"]
    formula: str
    title: str
    spacegroup: int | None
    state: CandidateState
    reason: str | None
    generator: str
    operation: str
    formation_energy_ev_per_atom: float | None


class Candidates(Answer):
    """A part of the candidates, in the order they were proposed."""

    total: int
    offset: int
    rows: tuple[CandidateRow, ...]


class JobRow(Answer):
    """A calculation in the job table."""

    id: str
    candidate: str
    formula: str
    title: str
    order: int
    fidelity: str
    state: CalculationState
    attempts: int
    reason: str | None
    picked_by: str
    started_at: float | None
    finished_at: float | None
    seconds: float | None
    cores: int | None
    value: float | None
    bound: Bound | None
    """Whether the true value lies below or above `value`."""
    quarantined: str | None
    has_log: bool


class Jobs(Answer):
    """A part of the job table, the latest pick first."""

    total: int
    offset: int
    counts: dict[str, int]
    rows: tuple[JobRow, ...]


class JobFile(Answer):
    """A file in a job's directory."""

    name: str
    bytes: int
    text: bool


class JobAnswer(Answer):
    """One job with what lies in its directory."""

    job: JobRow
    files: tuple[JobFile, ...]


class Label(Answer):
    """An observed value, trusted or in quarantine."""

    id: str
    candidate: str
    formula: str
    calculation: str | None
    property: str
    value: float
    bound: Bound | None
    """Whether the true value lies below or above `value`."""
    unit: str
    fidelity: str
    quarantined: str | None
    discarded: bool
    """Whether a person decided that it stays out."""


class ProvenanceStep(Answer):
    """A link of the chain from generator to observation."""

    kind: Literal["generator", "relaxation", "job", "observation", "filter"]
    title: str
    told: str
    state: str | None = None
    calculation: str | None = None


class CandidateAnswer(Answer):
    """A candidate with its history."""

    row: CandidateRow
    provenance: Provenance
    relaxation: Relaxation | None
    chain: tuple[ProvenanceStep, ...]
    jobs: tuple[JobRow, ...]
    labels: tuple[Label, ...]
    phonons: tuple[str, ...]
    """Calculations whose phonons can be drawn."""
    viewable: bool
    """Whether there is a structure to look at."""


class Atom(Answer):
    """An atom of the viewer: symbol, place in Å, and the atoms (by index) that it is bonded to."""

    symbol: str
    x: float
    y: float
    z: float
    bonds: tuple[int, ...] = ()
    orders: tuple[float, ...] = ()


class Shape(Answer):
    """A structure for the viewer; crystals as the conventional cell, with the atoms on its faces."""

    title: str
    atoms: tuple[Atom, ...]
    cell: tuple[tuple[float, float, float], ...] = ()
    """The three cell vectors in Å; empty for molecules."""
    repeats: tuple[int, int, int] = (1, 1, 1)
