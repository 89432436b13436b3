"""What the store keeps: frozen, JSON-serializable records, one word for one thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, model_validator

from discover.errors import StructureError
from discover.structures.composition import Composition
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule
from discover.structures.structure import Structure, sort_name

S = TypeVar("S", Crystal, Molecule, Formulation)
Bound = Literal["below", "above"]
"""Where the true value lies, of which only a bound is known."""


def content_hash(content: Mapping[str, Any], length: int = 16) -> str:
    """Hex digest of a JSON-serializable mapping; equal content, equal hash, whatever the key order."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


class Record(BaseModel):
    """Base of all records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def with_structure(content: Any) -> Any:
    """A record's content under its present keys: `structure` was `crystal` before there were others."""
    if isinstance(content, Mapping) and "crystal" in content and "structure" not in content:
        return {"structure" if key == "crystal" else key: v for key, v in content.items()}
    return content


class CandidateState(StrEnum):
    """proposed -> ready (relaxed, passed every filter, featurized) | rejected (with its reason)."""

    PROPOSED = "proposed"
    READY = "ready"
    REJECTED = "rejected"


class Provenance(Record):
    """Where a candidate comes from: the generator, what it did, and to which parents."""

    generator: str
    operation: str
    parents: tuple[str, ...] = ()
    draw: int = Field(0, ge=0, description="position in the generator's stream")


class Relaxation(Record):
    """How a candidate's structure was relaxed by a potential."""

    potential: str
    energy_ev_per_atom: FiniteFloat
    max_force_ev_per_angstrom: FiniteFloat
    max_stress_gpa: FiniteFloat
    volume_ratio: FiniteFloat = Field(description="relaxed volume over the proposed one")
    steps: int
    converged: bool
    seconds: float


class Candidate(Record):
    """A crystal, molecule or formulation that might be computed.

    `structure` is the proposed one until the candidate is relaxed, the relaxed one after. The id is made
    from what was proposed, so that it never changes and equal proposals collide.
    """

    id: str
    formula: str = Field(description="reduced formula of a crystal, Hill formula of a molecule")
    spacegroup: int | None = Field(
        None, ge=1, le=230, description="international number, of crystals"
    )
    prototype: str | None = Field(None, description="structure type, of crystals that have a name")
    structure: Structure
    provenance: Provenance
    state: CandidateState = CandidateState.PROPOSED
    reason: str | None = Field(None, description="why it was rejected")
    relaxation: Relaxation | None = None
    formation_energy_ev_per_atom: FiniteFloat | None = None
    features: tuple[FiniteFloat, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _present_keys(cls, content: Any) -> Any:
        return with_structure(content)

    @model_validator(mode="after")
    def _consistent(self) -> Candidate:
        known = self.spacegroup is not None
        if isinstance(self.structure, Crystal) and not known:
            raise ValueError("a crystal needs spacegroup")
        if isinstance(self.structure, Molecule | Formulation) and known:
            raise ValueError(f"a {sort_name(self.structure)} has no spacegroup")
        return self

    @classmethod
    def of(
        cls, structure: Structure, provenance: Provenance, prototype: str | None = None
    ) -> Candidate:
        """The candidate that a structure makes, with formula, space group and an id of its content.

        Equal molecules and equal formulations have equal ids; crystals where all numbers are equal to
        1e-6 (Å for the cell). StructureError where a crystal has no space group.
        """
        if isinstance(structure, Crystal):
            from discover.structures.fingerprint import reduced_formula
            from discover.structures.symmetry import spacegroup

            return cls(
                id=content_hash(structure.content()),
                formula=reduced_formula(structure),
                spacegroup=spacegroup(structure),
                prototype=prototype,
                structure=structure,
                provenance=provenance,
            )
        return cls(
            id=structure.fingerprint
            if isinstance(structure, Molecule)
            else content_hash({sort_name(structure): structure.fingerprint}),
            formula=structure.formula,
            spacegroup=structure.spacegroup if isinstance(structure, Composition) else None,
            structure=structure,
            provenance=provenance,
        )

    @property
    def crystal(self) -> Crystal:
        """Its crystal; StructureError where it is something else."""
        return self._as(Crystal)

    @property
    def molecule(self) -> Molecule:
        """Its molecule; StructureError where it is something else."""
        return self._as(Molecule)

    @property
    def formulation(self) -> Formulation:
        """Its formulation; StructureError where it is something else."""
        return self._as(Formulation)

    @property
    def title(self) -> str:
        """Its structure in words: the prototype or space group, the SMILES, or the mixture's parts."""
        if isinstance(self.structure, Crystal):
            return self.prototype or f"space group {self.spacegroup}"
        return self.structure.title

    @property
    def fingerprint(self) -> str:
        """Equal for duplicates: of crystals reduced formula and space group, almost always distinct.

        For molecules and formulations it is the whole answer (see there).
        """
        if isinstance(self.structure, Crystal):
            return f"{self.formula}-{self.spacegroup}"
        return self.structure.fingerprint

    def _as(self, sort: type[S]) -> S:
        if not isinstance(self.structure, sort):
            raise StructureError(
                f"candidate {self.id} is a {sort_name(self.structure)}, not a {sort_name(sort)}"
            )
        return self.structure


class CalculationState(StrEnum):
    """proposed -> submitted -> running -> done | failed | cancelled; unknown while nobody answers."""

    PROPOSED = "proposed"
    SUBMITTED = "submitted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


ACTIVE_STATES = frozenset(
    {
        CalculationState.PROPOSED,
        CalculationState.SUBMITTED,
        CalculationState.RUNNING,
        CalculationState.UNKNOWN,
    }
)
"""States of a calculation that still occupies, or will occupy, a job slot."""


class PropertyPrediction(Record):
    """What was expected of one more property, on its model's scale."""

    mean: FiniteFloat
    std: FiniteFloat


class Prediction(Record):
    """What the surrogate expected when the candidate was picked, on the model's scale."""

    mean: FiniteFloat
    std: FiniteFloat
    score: FiniteFloat
    model: str = Field(description="id of the model card")
    others: dict[str, PropertyPrediction] = Field(
        {}, description="of the other objectives and constrained properties, by name"
    )

    def interval_90(self) -> tuple[float, float, float]:
        """5 %, 50 % and 95 % quantiles of the normal distribution with this mean and std."""
        return interval_90(self.mean, self.std)


def interval_90(mean: float, std: float) -> tuple[float, float, float]:
    """5 %, 50 % and 95 % quantiles of a normal distribution."""
    return mean - 1.6449 * std, mean, mean + 1.6449 * std


class Calculation(Record):
    """One DFT job: its id is the content hash of structure, kind, engine and settings."""

    id: str
    candidate: str
    order: int = Field(
        ge=0, description="0 for the first pick of the campaign, 1 for the next, ..."
    )
    kind: str
    engine: str
    fidelity: str
    picked_by: str = Field(
        description="acquisition that chose it; 'initial' before there is a model"
    )
    prediction: Prediction | None = None
    state: CalculationState = CalculationState.PROPOSED
    attempts: int = Field(0, ge=0)
    native_id: str | None = None
    reason: str | None = None
    submitted_at: float | None = Field(None, description="seconds since the epoch")
    started_at: float | None = None
    finished_at: float | None = None
    seconds: float | None = Field(None, description="wall time of the job itself")
    cores: int | None = None


class Observation(Record):
    """A property value of a candidate, with unit, fidelity and source.

    `bound` says that the true value lies below or above this one; `uncertainty` is one standard error on
    the scale on which the property is learnt.
    """

    id: str
    candidate: str
    calculation: str | None
    property: str
    value: FiniteFloat
    unit: str
    fidelity: str
    source: str
    citation: str | None = Field(None, description="of a value that was not computed here")
    bound: Bound | None = None
    uncertainty: FiniteFloat | None = None
    quarantined: str | None = Field(None, description="why it is not trained on")


class ModelCard(Record):
    """What one retraining produced and how good it was on held-out data."""

    id: str
    surrogate: str
    created_at: float
    data_hash: str
    n_observations: int
    observations: tuple[str, ...] = Field((), description="ids of what it was fitted on")
    fit_seconds: float
    metrics: dict[str, float | None] = Field(
        description="cross-validated mae, spearman, coverage_50, coverage_90, ... on the model's scale"
    )
    details: dict[str, JsonValue] = {}


class Pass(Record):
    """One turn of the loop: what was done before it waited again."""

    number: int
    started_at: float
    finished_at: float
    actions: tuple[str, ...]
    collected: tuple[str, ...] = ()
    picked: tuple[str, ...] = ()
    proposed: int = 0
    rejected: int = 0
    model: str | None = None
    stopped: str | None = None


class Lease(Record):
    """Which process steers a campaign, and when it last said so."""

    holder: str
    host: str
    pid: int
    process_ticks: int | None = Field(None, description="start of the process, in ticks since boot")
    acquired_at: float
    heartbeat_at: float
    ttl_seconds: float
