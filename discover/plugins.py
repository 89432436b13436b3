"""One registry for every replaceable part: built-in names, entry points, `path/to/file.py:Name`.

An installed package offers a plug-in by an entry point in the group `discover.<kind>`, for example
`[project.entry-points."discover.acquisitions"]  mine = "my_package:MyAcquisition"`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from discover.errors import DiscoverError, MissingDependencyError, PluginError

BUILT_IN: dict[str, dict[str, str]] = {
    "generators": {
        "prototypes": "generators.prototypes:PrototypeGenerator",
        "structures": "generators.structure_files:StructureFiles",
        "enumerate": "generators.functionalization:EnumerationGenerator",
        "mutate": "generators.mutation:MutationGenerator",
        "formulation": "generators.mixtures:FormulationGenerator",
    },
    "potentials": {
        "chgnet": "discover.potentials.chgnet:CHGNetPotential",
        "mace": "discover.potentials.mace:MACEPotential",
        "sevennet": "discover.potentials.sevennet:SevenNetPotential",
        "mattersim": "discover.potentials.mattersim:MatterSimPotential",
        "fairchem": "discover.potentials.fairchem:FAIRChemPotential",
        "emt": "discover.potentials.emt:EMTPotential",
        "xtb": "discover.potentials.xtb:XTBPotential",
    },
    "descriptors": {
        "composition": "surrogates.descriptors:CompositionDescriptor",
        "structure": "surrogates.descriptors:StructureDescriptor",
        "local-structure": "surrogates.structure_descriptors:LocalStructureDescriptor",
        "compound": "surrogates.compound_descriptor:CompoundDescriptor",
        "physical": "surrogates.physical_descriptors:PhysicalDescriptor",
        "embedding": "surrogates.embedding:EmbeddingDescriptor",
        "crystal": "surrogates.graph_descriptor:CrystalDescriptor",
        "molecule": "surrogates.molecule_descriptors:MoleculeDescriptor",
        "morgan": "surrogates.molecule_descriptors:MorganDescriptor",
        "xtb": "surrogates.xtb_descriptor:XTBDescriptor",
        "formulation": "surrogates.formulation_descriptor:FormulationDescriptor",
    },
    "surrogates": {
        "gp": "surrogates.gp:GaussianProcess",
        "gp-ard": "surrogates.kernel_families:ARDGaussianProcess",
        "gp-linear": "surrogates.kernel_families:LinearGaussianProcess",
        "gp-ard-linear": "surrogates.kernel_families:ARDLinearGaussianProcess",
        "bayesian-ridge": "surrogates.kernel_families:BayesianRidge",
        "ard-ridge": "surrogates.kernel_families:ARDRidge",
        "ilr": "surrogates.kernel_families:InteractiveLinear",
        "random-forest": "surrogates.trees:RandomForest",
        "gradient-boosting": "surrogates.trees:GradientBoosting",
        "sparse-gp": "surrogates.sparse_gp:SparseGaussianProcess",
        "calibrated": "surrogates.calibration:Calibrated",
        "auto": "surrogates.auto:Auto",
        "deep-ensemble": "surrogates.deep_ensemble:DeepEnsemble",
        "graph-ensemble": "surrogates.graph_ensemble:GraphDeepEnsemble",
        "episodic": "surrogates.episodic:Episodic",
        "transfer": "surrogates.transfer:Transfer",
        "multitask": "surrogates.multitask:MultiTask",
        "mixture": "surrogates.mixture:Mixture",
        "multi-fidelity": "surrogates.multi_fidelity:MultiFidelityGP",
        "fidelity-stack": "surrogates.fidelity_stack:FidelityStack",
    },
    "acquisitions": {
        "logei": "discover.acquisition.functions:log_expected_improvement",
        "ucb": "discover.acquisition.functions:upper_confidence_bound",
        "informed-ucb": "discover.acquisition.informed:informed_upper_bound",
        "thompson": "discover.acquisition.functions:thompson",
        "std": "discover.acquisition.functions:standard_deviation",
        "greedy": "discover.acquisition.functions:greedy",
        "random": "discover.acquisition.functions:random_choice",
        "extremes": "discover.acquisition.functions:extremes",
        "qlognehvi": "discover.acquisition.multi.hypervolume:NoisyHypervolumeImprovement",
        "qlogei": "discover.acquisition.multi.scalarized:ScalarizedImprovement",
        "parego": "discover.acquisition.multi.scalarized:ParEGO",
        "desirability": "discover.acquisition.multi.desirability:Desirability",
    },
    "calculations": {
        "agl": "discover.calculations.agl:AGL",
        "molecule": "discover.calculations.molecule:MolecularProperties",
        "stability": "discover.calculations.stability:PhaseStability",
        "static": "discover.calculations.static:Static",
        "phonons": "discover.calculations.phonons:Phonons",
        "transport": "discover.calculations.transport:Transport",
    },
    "engines": {
        "gpaw": "discover.calculations.engines.gpaw:GPAWEngine",
        "espresso": "discover.calculations.engines.espresso:EspressoEngine",
        "vasp": "discover.calculations.engines.vasp:VASPEngine",
        "emt": "discover.calculations.engines.emt:EMTEngine",
        "potential": "discover.calculations.engines.potential:PotentialEngine",
        "pyscf": "discover.calculations.engines.pyscf:PySCFEngine",
    },
    "dispatchers": {
        "local": "discover.dispatch.local:LocalDispatcher",
        "slurm": "discover.dispatch.slurm:SlurmDispatcher",
        "pbs": "discover.dispatch.pbs:PBSDispatcher",
    },
}

_FILE = re.compile(r"^(?P<path>.+\.py):(?P<attribute>[A-Za-z_]\w*)$")


@dataclass(frozen=True)
class PluginInfo:
    """A plug-in that can be chosen by name, and where it comes from."""

    kind: str
    name: str
    target: str
    source: str


def is_file_plugin(name: str) -> bool:
    """Whether `name` points at a Python file rather than at something installed."""
    return _FILE.match(name) is not None or name.endswith(".py") or "/" in name or "\\" in name


def resolved(name: str, base: Path) -> str:
    """`name` as it is or, for a file plug-in, with its path made absolute from `base`."""
    match = _FILE.match(name)
    return f"{(base / match['path']).resolve()}:{match['attribute']}" if match else name


def available(kind: str) -> dict[str, PluginInfo]:
    """Every installed plug-in of a kind by name; an entry point may not shadow a built-in."""
    found = {
        entry.name: PluginInfo(kind, entry.name, entry.value, _distribution_of(entry))
        for entry in importlib.metadata.entry_points(group=f"discover.{kind}")
    }
    built_in = {
        name: PluginInfo(kind, name, target, "built in") for name, target in BUILT_IN[kind].items()
    }
    return found | built_in


def load(kind: str, name: str, base: Path | None = None) -> Any:
    """The object called `name`; a file path is relative to `base`.

    Raises PluginError where nothing has that name or it cannot be imported, MissingDependencyError
    where it needs a package that is not installed.
    """
    if is_file_plugin(name):
        return _load_file(kind, name, base or Path())
    known = available(kind)
    if name not in known:
        raise PluginError(f"no {kind[:-1]} is called {name!r}{suggestion(name, known)}")
    module, _, attribute = known[name].target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{kind[:-1]} {name!r} needs the package {error.name!r}, which is not installed"
        ) from error
    except (ImportError, AttributeError) as error:
        raise PluginError(f"{kind[:-1]} {name!r} cannot be loaded: {error}") from error


def create(
    kind: str, name: str, options: Mapping[str, Any] | None = None, base: Path | None = None
) -> Any:
    """An instance of the plug-in `name` with its options checked against its signature.

    Raises PluginError where it is no class or function, for options that do not fit it, and for whatever
    a file plug-in raises.
    """
    factory = load(kind, name, base)
    if not callable(factory):
        raise PluginError(f"{kind[:-1]} {name!r} is {factory!r}, not a class or a function")
    checked, problems = _checked(factory, options or {})
    if checked is None:
        listed = "; ".join(f"{key}: {problem}" for key, problem in problems)
        raise PluginError(f"{kind[:-1]} {name!r}: {listed}")
    with named(kind, name, "cannot be made"):
        return factory(**checked.__dict__)


@contextmanager
def named(kind: str, name: str, what: str = "fails") -> Iterator[None]:
    """Turns what the code of a file plug-in raises inside into a PluginError that names it."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiscoverError) or not is_file_plugin(name):
            raise
        raise PluginError(f"{kind[:-1]} {name!r} {what}: {error!r}") from error


def options_model(factory: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of the keyword parameters of a plug-in's constructor, unknown keys refused."""
    hints = typing.get_type_hints(
        factory.__init__ if inspect.isclass(factory) else factory, include_extras=True
    )
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(factory).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    return create_model(
        f"{factory.__name__}Options",
        __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True),
        **fields,
    )


def option_problems(
    factory: Callable[..., Any], options: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """What is wrong with `options` for this plug-in, as (key, problem) pairs; empty when all is well."""
    return _checked(factory, options)[1]


def describe(problem: Mapping[str, Any], allowed: tuple[str, ...]) -> tuple[str, str]:
    """One pydantic error as (dotted key, sentence that says what is wrong and what is allowed)."""
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return key, f"unknown key{suggestion(str(problem['loc'][-1]), allowed)}"
    if problem["type"] == "missing":
        return key, "is missing and has no default"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool | None) else ""
    return key, message[:1].lower() + message[1:] + shown


def suggestion(name: str, known: typing.Iterable[str]) -> str:
    """`; did you mean 'x'?` for a close misspelling, and the list of what is allowed."""
    names = sorted(known)
    lowered = {known_name.lower(): known_name for known_name in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    listed = f" (allowed: {', '.join(names)})" if names else " (nothing is allowed here)"
    return (f"; did you mean {lowered[close[0]]!r}?" if close else "") + listed


def _checked(
    factory: Callable[..., Any], options: Mapping[str, Any]
) -> tuple[BaseModel | None, list[tuple[str, str]]]:
    model = options_model(factory)
    try:
        return model(**options), []
    except ValidationError as error:
        allowed = tuple(model.model_fields)
        return None, [describe(problem, allowed) for problem in error.errors()]


def _load_file(kind: str, name: str, base: Path) -> Any:
    match = _FILE.match(name)
    if match is None:
        raise PluginError(f"{kind[:-1]} {name!r}: write a file plug-in as path/to/file.py:Name")
    path = (base / match["path"]).resolve()
    if not path.is_file():
        raise PluginError(f"{kind[:-1]} {name!r}: there is no file {path}")
    try:
        module = _module_of(path)
    except Exception as error:
        raise PluginError(f"{kind[:-1]} {name!r}: {path} fails on import: {error!r}") from error
    if not hasattr(module, match["attribute"]):
        public = [n for n in vars(module) if not n.startswith("_")]
        raise PluginError(
            f"{kind[:-1]} {name!r}: {path} defines no {match['attribute']!r}"
            f"{suggestion(match['attribute'], public)}"
        )
    return getattr(module, match["attribute"])


def _module_of(path: Path) -> ModuleType:
    """The module of a file, executed once for as long as the file does not change.

    Its name depends on the path alone, so that another process knows its classes by the same name.
    """
    name = f"discover_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    stat = path.stat()
    version = (stat.st_mtime_ns, stat.st_size)
    loaded = sys.modules.get(name)
    if loaded is not None and loaded.__spec__ and loaded.__spec__.loader_state == version:
        return loaded
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    spec.loader_state = version
    return module


def _distribution_of(entry: importlib.metadata.EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist else "entry point"
