"""Machine profiles: which scheduler a machine has, and what each kind of calculation asks it for."""

from __future__ import annotations

import math
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from discover import plugins
from discover.campaign import read_spec
from discover.errors import CampaignError, MachineError

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Line = Annotated[str, Field(pattern=r"^[^\n]*$")]
Word = Annotated[str, Field(pattern=r"^[^\s'\"\\]+$")]


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Resources(Section):
    """What one job asks the scheduler for, and what its script does around the calculation."""

    nodes: int = Field(1, ge=1)
    """Nodes of a job."""
    tasks_per_node: int = Field(1, ge=1)
    """MPI ranks on each node."""
    cores_per_task: int | None = Field(None, ge=1)
    """Cores (and threads) of each rank; null: the campaign's `dispatch.threads`."""
    memory_per_node_gb: float | None = Field(None, gt=0)
    """Memory on each node, in GB; null: what the scheduler gives unasked."""
    wall_time_minutes: float | None = Field(None, gt=0)
    """Minutes after which a job is ended; null: the campaign's `dispatch.wall_time_minutes`."""
    queue: Word | None = None
    """Queue (Slurm: partition); null: the scheduler's default."""
    account: Word | None = None
    """Account (project) that pays."""
    qos: Word | None = None
    """Quality of service (Slurm only)."""
    gpus_per_node: int = Field(0, ge=0)
    """Graphics processors on each node."""
    directives: tuple[Line, ...] = ()
    """Further lines for the scheduler, such as `#SBATCH --constraint=skylake`."""
    modules: tuple[Word, ...] = ()
    """Environment modules to load, after a `module purge`."""
    environment: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Line] = {}
    """Environment variables to set."""
    pre: tuple[Line, ...] = ()
    """Shell lines before the calculation."""
    post: tuple[Line, ...] = ()
    """Shell lines after it, however it ended."""
    launcher: Line = ""
    """What stands before the command, such as `apptainer exec discover.sif`."""
    python: Line = sys.executable
    """Interpreter on the compute node; by default the one that runs this."""


class Retry(Section):
    """How a job is tried again that ran out of time or memory."""

    times: int = Field(1, ge=0)
    """Times a job may ask for more."""
    wall_time_factor: float = Field(2.0, ge=1)
    """More time, after its wall time was over."""
    memory_factor: float = Field(2.0, ge=1)
    """More memory, after it was killed for using too much."""
    max_wall_time_minutes: float | None = Field(None, gt=0)
    """Longest time to ask for; null: no limit."""
    max_memory_per_node_gb: float | None = Field(None, gt=0)
    """Most memory to ask for, in GB; null: no limit."""


class Bulk(Section):
    """Small jobs packed into allocations of one node, where they run beside and after one another."""

    kinds: tuple[str, ...] = ()
    """Kinds (`agl`) or kinds with an engine (`agl/gpaw`) that are packed; empty: all."""
    allocations: int = Field(1, ge=1)
    """Allocations at once; those that are missing are asked for together, as a job array."""
    resources: Resources
    """What each allocation asks for; `cores_per_task` and `wall_time_minutes` must be given."""
    idle_seconds: float = Field(120.0, ge=0)
    """Time without work after which an allocation ends by itself."""
    gather_seconds: float = Field(2.0, ge=0)
    """Time without a new job before allocations are asked for, so that they are asked for together."""
    save_seconds: float = Field(60.0, ge=5)
    """Time before its end at which an allocation stops what runs and gives it back to the queue."""
    cut_offs: int = Field(5, ge=0)
    """Times a job may be cut off by the end of its allocation and go on in another one."""

    @property
    def cores(self) -> int:
        """Cores of an allocation."""
        return self.resources.tasks_per_node * (self.resources.cores_per_task or 1)

    @property
    def wall_seconds(self) -> int:
        """Time of an allocation."""
        return math.ceil(60 * (self.resources.wall_time_minutes or 0))

    def packs(self, kind: str, engine: str) -> bool:
        """Whether a job of this kind and engine is packed."""
        return not self.kinds or bool({kind, f"{kind}/{engine}"} & set(self.kinds))

    @model_validator(mode="after")
    def _is_one_node_for_a_known_time(self) -> Bulk:
        asked = self.resources
        if asked.nodes != 1:
            raise ValueError(
                "bulk.resources.nodes: an allocation has one node; raise bulk.allocations"
            )
        for key in ("cores_per_task", "wall_time_minutes"):
            if getattr(asked, key) is None:
                raise ValueError(f"bulk.resources.{key}: say how much each allocation has")
        if self.wall_seconds < 2 * self.save_seconds:
            raise ValueError(
                "bulk.save_seconds: must be less than half of bulk.resources.wall_time_minutes"
            )
        return self


class MachineProfile(Section):
    """A machine with a scheduler; the file is `NAME.yaml`."""

    scheduler: Literal["slurm", "pbs"]
    """Its scheduler: slurm, or pbs (PBS Pro, OpenPBS)."""
    description: str = ""
    """A line for people."""
    host: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:-]*$")
    """Login node, as in `ssh HOST`, where it is reached by SSH alone; null: this runs on one."""
    remote_dir: str | None = Field(None, pattern=r"^/[A-Za-z0-9_./@+-]*$")
    """Folder on the cluster, seen by login and compute nodes, to which jobs are copied."""
    remote_python: Word | None = None
    """Interpreter on the cluster that has this program installed."""
    keep_remote: Literal["failed", "all"] = "failed"
    """Which job folders stay in `remote_dir` once all is here: those without a good result, or all."""
    ssh_options: tuple[Line, ...] = ()
    """Options beside those in `~/.ssh/config`, as after `ssh -o`."""
    resources: Resources = Resources()
    """What every job asks for."""
    kinds: dict[str, Resources] = {}
    """What jobs of one kind (`agl`) or of a kind with an engine (`agl/gpaw`) ask for instead."""
    bulk: Bulk | None = None
    """How small jobs are packed into allocations; null: each is a job of the scheduler."""
    retry: Retry = Retry()
    poll_seconds: float = Field(10.0, ge=0.1)
    """Time between two questions to the scheduler, each about all jobs."""
    answer_seconds: float = Field(60.0, ge=1)
    """Time after which the scheduler counts as not answering."""
    settle_seconds: float = Field(30.0, ge=0)
    """Time for files of a compute node to show up here, once its job is gone."""

    @model_validator(mode="after")
    def _host_has_a_folder(self) -> MachineProfile:
        for key in ("remote_dir", "remote_python"):
            given = getattr(self, key) is not None
            if self.host is not None and not given:
                raise ValueError(f"{key}: needed where host is given")
            if self.host is None and given:
                raise ValueError(f"{key}: without host it means nothing; give host, or remove it")
        return self

    @model_validator(mode="after")
    def _fits_the_scheduler(self) -> MachineProfile:
        sections = {"resources": self.resources, **self.kinds}
        if self.bulk:
            sections["bulk.resources"] = self.bulk.resources
        for key, asked in sections.items():
            if asked.qos and self.scheduler == "pbs":
                raise ValueError(f"{key}.qos: pbs has none; remove it")
            mark = {"slurm": "#SBATCH ", "pbs": "#PBS "}[self.scheduler]
            for line in asked.directives:
                if not line.startswith(mark):
                    raise ValueError(f"{key}.directives: {line!r} must begin with {mark!r}")
        return self

    @model_validator(mode="after")
    def _kinds_are_known(self) -> MachineProfile:
        for key in self.kinds:
            _check_kind(f"kinds.{key}", key)
        for key in self.bulk.kinds if self.bulk else ():
            _check_kind("bulk.kinds", key)
        return self

    @model_validator(mode="after")
    def _fits_into_an_allocation(self) -> MachineProfile:
        if self.bulk is None:
            return self
        packed = self.bulk.kinds or tuple(self.kinds)
        asked = {key: self.asked(*_kind_and_engine(key)) for key in packed}
        if not self.bulk.kinds:
            asked[""] = self.resources
        for key, job in asked.items():
            name = f"kinds.{key}" if key else "resources"
            leave = "leave it out of bulk.kinds"
            if job.nodes > 1:
                raise ValueError(f"{name}.nodes: a packed job has a part of one node; {leave}")
            if job.gpus_per_node > self.bulk.resources.gpus_per_node:
                raise ValueError(
                    f"{name}.gpus_per_node: more than bulk.resources.gpus_per_node; {leave}"
                )
            if (cores := job.tasks_per_node * (job.cores_per_task or 1)) > self.bulk.cores:
                raise ValueError(
                    f"{name}.cores_per_task: {cores} cores do not fit into the {self.bulk.cores} of "
                    f"bulk.resources; {leave}"
                )
        return self

    def asked(self, kind: str, engine: str) -> Resources:
        """What a job of this kind and engine asks for: the most special key that gives a value wins."""
        resources = self.resources
        for key in (kind, f"{kind}/{engine}"):
            if special := self.kinds.get(key):
                given = {name: getattr(special, name) for name in special.model_fields_set}
                resources = resources.model_copy(update=given)
        return resources


@dataclass(frozen=True)
class Listed:
    """A profile that can be chosen by name, or why it cannot be used."""

    name: str
    path: Path
    profile: MachineProfile | None
    problem: str | None = None


def folders() -> tuple[Path, ...]:
    """Where profiles are looked for: the user's own first, then those that come with a checkout."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    shipped = Path(__file__).resolve().parents[2] / "deploy" / "machines"
    return config / "discover" / "machines", shipped


def load_machine(name: str) -> MachineProfile:
    """The profile called `name`; MachineError where there is none, or listing every error in it."""
    return read_machine(machine_file(name))


def machine_file(name: str) -> Path:
    """The file of the profile called `name`; MachineError where there is none."""
    for folder in folders():
        path = folder / f"{name}.yaml"
        if re.match(NAME, name) and path.is_file():
            return path
    known = [listed.name for listed in machines()]
    raise MachineError(
        f"there is no machine profile {name!r}{plugins.suggestion(name, known)}; "
        f"write one as {folders()[0] / 'NAME.yaml'}"
    )


def read_machine(path: Path) -> MachineProfile:
    """The profile in a file; MachineError listing every error, each naming file and key."""
    try:
        return MachineProfile.model_validate(read_spec(path))
    except CampaignError as error:
        raise MachineError(str(error)) from error
    except ValidationError as error:
        raise MachineError("\n".join(_described(path, error))) from error


def machines() -> list[Listed]:
    """Every profile by name; one of the user's own hides one that comes with a checkout."""
    found: dict[str, Listed] = {}
    for folder in reversed(folders()):
        for path in sorted(folder.glob("*.yaml")):
            try:
                found[path.stem] = Listed(path.stem, path, read_machine(path))
            except MachineError as error:
                found[path.stem] = Listed(path.stem, path, None, str(error))
    return [found[name] for name in sorted(found)]


def _described(path: Path, error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        section = _section_of(problem["loc"])
        key, message = plugins.describe(problem, tuple(section.model_fields))
        lines.append(f"{path}: {key}: {message}" if key else f"{path}: {message}")
    return lines


def _section_of(location: tuple[Any, ...]) -> type[Section]:
    if len(location) < 2:
        return MachineProfile
    sections: dict[Any, type[Section]] = {"retry": Retry, "bulk": Bulk}
    return Resources if location[1] == "resources" else sections.get(location[0], Resources)


def _kind_and_engine(key: str) -> tuple[str, str]:
    kind, _, engine = key.partition("/")
    return kind, engine


def _check_kind(where: str, key: str) -> None:
    kind, engine = _kind_and_engine(key)
    for plural, name in (("calculations", kind), *([("engines", engine)] * ("/" in key))):
        known = plugins.available(plural)
        if name not in known:
            prefix = where if where.endswith(key) else f"{where}: {key!r}"
            raise ValueError(
                f"{prefix}: there is no such {plural[:-1]}{plugins.suggestion(name, known)}"
            )
