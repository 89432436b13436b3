"""What a campaign is: the schema of `campaign.yaml`, and every error of one at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    Field,
    FiniteFloat,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from discover import plugins
from discover.calculations.base import fidelity_of
from discover.errors import CampaignError
from discover.objectives import (
    Constraint,
    Objective,
    PropertyName,
    check_constraints,
    check_objectives,
    target_of,
)
from discover.objectives import Goal as Goal  # noqa: PLC0414 - imported from here
from discover.properties import Property, property_named
from discover.section import Section
from discover.structures.molecule_validity import MoleculeFilters


class Plugin(Section):
    """A replaceable part: a built-in name, an entry point, or `path/to/file.py:Name`."""

    name: str
    """Name of the plug-in (`discover plugins` lists them)."""
    options: dict[str, JsonValue] = {}
    """Its own options."""


class Pool(Section):
    """The candidates that are kept relaxed and ready to be picked."""

    size: int = Field(64, ge=1)
    """Ready candidates to aim for."""
    batch: int = Field(16, ge=1)
    """Candidates proposed and relaxed in one go."""


class RelaxationSettings(Section):
    """How structures are relaxed with the potential before they are scored."""

    enabled: bool = True
    """Whether to relax at all."""
    fmax_ev_per_angstrom: float = Field(0.03, gt=0)
    """Largest force (and cell gradient) left, in eV/Å."""
    max_steps: int = Field(150, ge=1)
    """Steps after which a relaxation counts as not converged."""
    max_volume_change: float = Field(0.6, gt=0)
    """Relative volume change beyond which it exploded or collapsed."""


class Filters(Section):
    """Hard limits on candidates; what fails one is kept with its reason."""

    min_distance_ratio: float = Field(0.6, gt=0, lt=1)
    """Shortest distance allowed in a crystal, as a share of the sum of the covalent radii."""
    max_formation_energy_ev_per_atom: FiniteFloat | None = 0.0
    """Formation energy from the elements with the same potential, in eV/atom; null: no limit."""
    molecules: MoleculeFilters = MoleculeFilters()
    """Limits on molecules, where those are what is searched."""


class CalculationSettings(Section):
    """The job that a pick runs as."""

    kind: str = "agl"
    """What is computed."""
    settings: dict[str, JsonValue] = {}
    """Settings of the kind."""
    engine: str = "gpaw"
    """The program that computes it."""
    engine_settings: dict[str, JsonValue] = {}
    """Settings of the engine."""
    name: str | None = Field(None, min_length=1)
    """Name of its fidelity; null: kind and engine, such as `agl/gpaw`."""
    cost_core_seconds: float | None = Field(None, gt=0)
    """Seconds x cores that one takes, for a ladder, until the first is measured; null: a guess."""

    @property
    def fidelity(self) -> str:
        """The name under which its values are comparable."""
        return self.name or fidelity_of(self.kind, self.engine)


class Dispatch(Section):
    """Where jobs run and how many at once."""

    name: str = "local"
    """Name of the dispatcher."""
    machine: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """Profile of the machine for slurm and pbs (`discover machines list` shows them)."""
    jobs: int = Field(1, ge=1)
    """Jobs at once (the slots that the loop keeps busy)."""
    queued: int = Field(0, ge=0)
    """Picks handed over before a slot is free, so that none idles while the model is retrained."""
    threads: int = Field(1, ge=1)
    """Threads of each job; where the machine profile says how many cores, that holds."""
    wall_time_minutes: float = Field(60.0, gt=0)
    """Minutes after which a job is ended; where the machine profile says when, that holds."""
    attempts: int = Field(3, ge=1)
    """Times a job that was lost or killed is started in all."""


class Tasks(Section):
    """Who relaxes and describes candidates, and cross-validates models, beside the jobs."""

    runner: Literal["threads", "dask"] = "threads"
    """`threads` of this process, or the processes of a `dask` cluster (extra `cluster`)."""
    workers: int = Field(1, ge=1)
    """How many of them."""
    chunk: int = Field(16, ge=1)
    """Candidates that a worker gets at a time; picks depend on it, not on who works."""
    machine: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    """Profile of the machine on which Dask's workers are jobs; null: processes of this machine."""

    @field_validator("machine")
    @classmethod
    def _for_dask(cls, machine: str | None, info: ValidationInfo) -> str | None:
        if machine is not None and info.data.get("runner") == "threads":
            raise ValueError("threads run on this machine: set runner to dask, or remove the key")
        return machine


class Budget(Section):
    """When to stop."""

    calculations: int = Field(20, ge=1)
    """Calculations in all."""
    hours: float | None = Field(None, gt=0)
    """Hours of steering in all, over all runs; null: no limit."""
    core_hours: float | None = Field(None, gt=0)
    """Hours x cores of the calculations that are over, as measured; null: no limit."""
    failures_in_a_row: int = Field(5, ge=1)
    """Failed calculations in a row after which the campaign stops."""


class Learning(Section):
    """How the campaign's potential, a MACE, learns from what first-principles jobs leave behind."""

    every: int = Field(10, ge=1)
    """First-principles results after which it is fine-tuned again, on all of them."""
    epochs: int = Field(30, ge=1)
    """Passes over the data."""
    replay: int = Field(200, ge=0)
    """Frames that it labels itself and learns beside the new ones, so that it does not forget."""
    committee: int = Field(1, ge=1, le=8)
    """Models trained with different seeds, whose disagreement is the uncertainty of forces."""
    max_force_uncertainty_ev_per_angstrom: float | None = Field(None, gt=0)
    """Uncertainty beyond which a candidate gets a first-principles label of its own; null: none does."""
    labels: int = Field(2, ge=1)
    """Candidates, the most uncertain ones, that get such a label after each fine-tuning."""


def _first_objective(given: dict[str, Any]) -> Objective:
    several = given.get("objectives")
    return several[0] if several else Objective()


class CampaignSpec(Section):
    """A campaign: what to search, where, with which models, and for how long."""

    format: Literal[1] = 1
    """Version of this schema."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = "campaign"
    """Name of the campaign: letters, digits, `.`, `_`, `-`."""
    objectives: tuple[Objective, ...] = ()
    """Several objectives to trade off against one another, in the place of `objective`."""
    objective: Objective = Field(default_factory=_first_objective)
    constraints: tuple[Constraint, ...] = ()
    """Limits that a candidate has to meet, whatever it is worth otherwise."""
    learn: tuple[PropertyName, ...] = ()
    """Properties that the surrogate learns beside, because they tell of the others."""
    generator: Plugin = Plugin(name="prototypes")
    """Source of candidates."""
    pool: Pool = Pool()
    potential: str = "chgnet"
    """Potential that relaxes candidates: `chgnet`, `mace:<path or foundation name>`, `emt`."""
    relaxation: RelaxationSettings = RelaxationSettings()
    filters: Filters = Filters()
    descriptors: tuple[str, ...] = Field(("composition", "structure"), min_length=1)
    """Descriptors that feed the surrogate."""
    surrogate: Plugin = Plugin(name="auto")
    """Model that predicts the property."""
    acquisition: Plugin = Plugin(name="informed-ucb")
    """What to compute next, given the model."""
    selection_seconds: float | None = Field(None, gt=0)
    """Time after which scoring a large pool ends with the best so far; the picks then depend on it."""
    initial: int = Field(4, ge=1)
    """First candidates, picked at random before the surrogate is asked; on a ladder at every rung."""
    retrain_every: int = Field(1, ge=1)
    """New observations after which the surrogate is fitted again."""
    ladder: tuple[CalculationSettings, ...] = ()
    """Cheaper rungs below `calculation`, cheap to dear: they tell what is worth computing dearly."""
    calculation: CalculationSettings = CalculationSettings()
    """The calculation that counts: its values are ranked."""
    calculations: tuple[CalculationSettings, ...] = ()
    """Others beside it that give properties of their own; each is asked for where it is worth it."""
    learning: Learning | None = None
    """Fine-tune the potential while the campaign runs; null: it stays as it is."""
    dispatch: Dispatch = Dispatch()
    tasks: Tasks = Tasks()
    budget: Budget = Budget()
    store: str | None = Field(None, pattern=r"^mongodb(\+srv)?://")
    """`mongodb://host/database` for a server; null keeps the store in the campaign's folder."""
    seed: int = Field(0, ge=0)
    """Same campaign, seed and data: same picks."""

    @field_validator("objectives")
    @classmethod
    def _objectives_agree(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        check_objectives(objectives)
        return objectives

    @field_validator("objective")
    @classmethod
    def _not_both(cls, objective: Objective, info: ValidationInfo) -> Objective:
        if (several := info.data.get("objectives")) and objective != several[0]:
            raise ValueError("there are objectives already: remove one of the two keys")
        return objective

    @field_validator("constraints")
    @classmethod
    def _constraints_agree(cls, constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        check_constraints(constraints)
        return constraints

    @field_validator("calculations")
    @classmethod
    def _no_ladder(
        cls, calculations: tuple[CalculationSettings, ...], info: ValidationInfo
    ) -> tuple[CalculationSettings, ...]:
        if calculations and info.data.get("ladder"):
            raise ValueError("a campaign has a ladder or several calculations: remove one of them")
        return calculations

    @property
    def target(self) -> Property:
        """The property searched for; of several objectives the first one's."""
        return target_of(self.objective)

    @property
    def sought(self) -> tuple[Objective, ...]:
        """All objectives, one or several."""
        return self.objectives or (self.objective,)

    @property
    def modelled(self) -> tuple[Property, ...]:
        """What the surrogate learns: the objectives, what is constrained, and what helps beside."""
        found = {objective.property: target_of(objective) for objective in self.sought}
        for name in (*(c.property for c in self.constraints), *self.learn):
            found.setdefault(name, property_named(name))
        return tuple(found.values())

    @property
    def rungs(self) -> tuple[CalculationSettings, ...]:
        """All calculations that a candidate may have, `calculation` last; of a ladder cheap to dear."""
        return (*self.ladder, *self.calculations, self.calculation)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error, not a silent choice of the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def read_spec(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; CampaignError where there is none or it cannot be parsed."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)  # noqa: S506 - is safe
    except FileNotFoundError:
        raise CampaignError(f"{path}: there is no such file") from None
    except OSError as error:
        raise CampaignError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CampaignError(f"{path}: is not UTF-8 text: {error}") from None
    except yaml.YAMLError as error:
        raise CampaignError(f"{path}: is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise CampaignError(f"{path}: must hold keys and values, has {type(content).__name__}")
    return content


def parse_schema(content: dict[str, Any], source: str) -> tuple[CampaignSpec, dict[str, str]]:
    """The campaign and every error of its schema by key, each error naming source and key.

    Top-level keys with an error have their defaults in the campaign, so that the others can be used.
    """
    try:
        return CampaignSpec.model_validate(content), {}
    except ValidationError as error:
        # a default that other keys decide is not at fault where those are
        found = [p for p in error.errors() if p["type"] != "default_factory_not_called"]
        problems = {
            key: f"{source}: {key}: {message}"
            for key, message in (_describe(problem) for problem in found)
        }
        faulty = {problem["loc"][0] for problem in found}
        sound = {key: value for key, value in content.items() if key not in faulty}
        return CampaignSpec.model_validate(sound), problems


def file_plugins(spec: CampaignSpec) -> list[str]:
    """Keys of the campaign whose value names a file: refused where a launch comes from remote.

    Every string outside the campaign's name and store counts, options included: a path in any of them
    may end up as code that is run or a model file that is unpickled.
    """
    content = spec.model_dump(mode="json", exclude={"name", "store"})
    return [key for key, text in _strings(content) if plugins.is_file_plugin(text)]


def _strings(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, str):
        yield key, content
    elif isinstance(content, dict | list | tuple):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for part, value in items:
            yield from _strings(value, f"{key}.{part}" if key else str(part))


def load_campaign(path: Path) -> CampaignSpec:
    """The campaign in a file; CampaignError listing every error of its schema.

    Enough to look at a campaign: whether it can run is for `discover.preflight` to say.
    """
    spec, problems = parse_schema(read_spec(path), str(path))
    if problems:
        raise CampaignError("\n".join(problems.values()))
    return spec


def _describe(problem: Any) -> tuple[str, str]:
    section: Any = CampaignSpec
    for part in problem["loc"][:-1]:
        if isinstance(part, int):  # within a tuple of sections
            section = (get_args(section) or (None,))[0]
            continue
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        section = field.annotation if field else None
    allowed = tuple(section.model_fields) if hasattr(section, "model_fields") else ()
    return plugins.describe(problem, allowed)
