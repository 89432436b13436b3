"""The job contract: what a job directory holds, and what a kind of calculation and an engine are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, FiniteFloat, JsonValue, model_validator

from discover.errors import CalculationError
from discover.properties import property_named
from discover.records import Record, content_hash, with_structure
from discover.structures.structure import Structure, sort_name, sorts_taken

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator

JOB_FORMAT = 1


class CalculationWarning(UserWarning):
    """Something a reader of the result should know; it is kept in the result."""


class JobInput(Record):
    """`input.json`: everything a job needs, so that it runs on a machine that knows nothing else."""

    format: int = JOB_FORMAT
    id: str
    kind: str
    engine: str
    settings: dict[str, JsonValue]
    engine_settings: dict[str, JsonValue]
    structure: Structure

    @model_validator(mode="before")
    @classmethod
    def _present_keys(cls, content: Any) -> Any:
        return with_structure(content)


class Value(Record):
    """One property value of a result, with its unit; `quarantined` says why it is not trusted.

    `bound` says that the true value lies below or above this one, where no more could be found out.
    `uncertainty` is one standard error on the scale on which the property is learnt: in decades where
    that is log10, else in `unit`.
    """

    property: str
    value: FiniteFloat
    unit: str
    quarantined: str | None = None
    bound: Literal["below", "above"] | None = None
    uncertainty: FiniteFloat | None = None

    @classmethod
    def of(
        cls,
        name: str,
        value: float,
        quarantined: str | None = None,
        *,
        bound: Literal["below", "above"] | None = None,
        uncertainty: float | None = None,
    ) -> Value:
        """The value of a known property in its unit, quarantined where it is not plausible."""
        known = property_named(name)
        return cls(
            property=name,
            value=value,
            unit=known.unit,
            quarantined=quarantined or known.doubt(value, bound),
            bound=bound,
            uncertainty=uncertainty,
        )


class JobResult(Record):
    """`result.json`: values with settings and versions, or a failure that a person can act on.

    Large arrays (forces, phonons) are `byproducts`, files beside it; `hashes` are the SHA-256 of each.
    """

    format: int = JOB_FORMAT
    id: str
    status: str  # "done" or "failed"
    reason: str | None = None
    fidelity: str
    values: tuple[Value, ...] = ()
    details: dict[str, JsonValue] = {}
    warnings: tuple[str, ...] = ()
    byproducts: tuple[str, ...] = ()
    hashes: dict[str, str] = {}
    kind: str
    engine: str
    settings: dict[str, JsonValue]
    engine_settings: dict[str, JsonValue]
    versions: dict[str, str]
    started_at: float
    finished_at: float
    seconds: float
    cores: int


@dataclass(frozen=True)
class Outcome:
    """What a kind's `run` hands back: values, details for the record, warnings, and by-products.

    `frames` are ASE atoms with energy (eV), forces (eV/Å) and stress (eV/Å³) where the engine gives
    them, and `info["config_type"]` that says what each is for (`strained`, `relaxation`,
    `phonon_displaced`, `perfect_supercell`); they are kept as extxyz to train potentials. `files` are
    the names of what else the kind left in the job's directory for others to read.
    """

    values: tuple[Value, ...]
    details: dict[str, JsonValue] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    frames: tuple[Atoms, ...] = ()
    files: tuple[str, ...] = ()


class Engine(Protocol):
    """A program that kinds of calculation drive; its settings are the constructor's keyword parameters.

    What it offers beside is between it and the kinds that use it: `ForceEngine` is what crystals need.
    """

    name: str

    def check(self) -> None:
        """MissingDependencyError, saying what to install, where the engine cannot run here."""
        ...

    def elements(self) -> frozenset[str]:
        """Chemical symbols it can compute."""
        ...

    def versions(self) -> dict[str, str]:
        """Names and versions of the codes behind it, and of the data it has used so far."""
        ...


@runtime_checkable
class ForceEngine(Engine, Protocol):
    """An engine that computes energies and forces, driven through an ASE calculator."""

    def calculator(self, atoms: Atoms, directory: Path) -> Calculator:
        """A calculator for this structure that writes only below `directory`."""
        ...


def is_first_principles(engine: object) -> bool:
    """Whether an engine's energies and forces are labels that potentials may learn from.

    An engine, or its class, says so by an attribute `first_principles = True`; others are not.
    """
    return bool(getattr(engine, "first_principles", False))


@runtime_checkable
class ExplainsElements(Protocol):
    """An engine that can say why it lacks an element; others are only said to lack it."""

    def why_not(self, element: str) -> str:
        """What is missing for this chemical symbol, where, and which key to change."""
        ...


def check_elements(engine: Engine, symbols: Iterable[str]) -> None:
    """CalculationError naming the elements that an engine lacks and, where it can say, why."""
    missing = sorted(set(symbols) - engine.elements())
    if missing and isinstance(engine, ExplainsElements):
        raise CalculationError("; ".join(engine.why_not(symbol) for symbol in missing))
    if missing:
        raise CalculationError(f"the engine {engine.name!r} does not know {', '.join(missing)}")


class CalculationKind(Protocol):
    """What a job computes. Its settings are the keyword parameters of its constructor.

    A class attribute `takes` names the sort of structure, such as `Molecule`, or a tuple of several;
    without one it takes crystals. Another, `drives`, is the class or protocol of the engines it can use;
    without one that is `ForceEngine`.
    """

    name: str
    properties: tuple[str, ...]

    def run(self, structure: Any, engine: Any, directory: Path, /) -> Outcome:
        """Compute; CalculationError with a reason that a person can act on where it cannot be done.

        The error takes the `frames` that were computed before, which are kept like an outcome's.
        """
        ...


def check_engine(kind: object, engine: Engine) -> None:
    """CalculationError where a kind of calculation cannot use this engine."""
    if not isinstance(engine, getattr(kind, "drives", ForceEngine)):
        raise CalculationError(
            f"{getattr(kind, 'name', kind)!r} cannot use the engine {engine.name!r}: choose another"
        )


def check_structure(kind: object, structure: Structure) -> None:
    """CalculationError where a kind of calculation does not take this sort of structure."""
    if not isinstance(structure, sorts_taken(kind)):
        wanted = " or ".join(f"a {sort_name(sort)}" for sort in sorts_taken(kind))
        raise CalculationError(
            f"{getattr(kind, 'name', kind)!r} takes {wanted}, not a {sort_name(structure)}"
        )


def job_id(
    structure: Structure,
    kind: str,
    settings: BaseModel,
    engine: str,
    engine_settings: BaseModel,
) -> str:
    """The content hash of the question: the same structure, kind, engine and settings, the same id.

    Settings are complete (defaults filled in); numbers of the structure are rounded to 1e-6.
    """
    return content_hash(
        {
            "kind": kind,
            "settings": settings.model_dump(mode="json"),
            "engine": engine,
            "engine_settings": engine_settings.model_dump(mode="json"),
            **structure.content(),
        }
    )


def fidelity_of(kind: str, engine: str) -> str:
    """The name under which values of this kind and engine are comparable, such as `agl/gpaw`."""
    return f"{kind}/{engine}"
