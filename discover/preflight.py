"""Everything that can be known to be wrong with a campaign before compute is spent."""

from __future__ import annotations

import inspect
import itertools
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from discover import plugins
from discover.calculations.base import Engine, ExplainsElements, check_engine
from discover.campaign import CalculationSettings, CampaignSpec, Learning, parse_schema, read_spec
from discover.dispatch.cluster import ClusterDispatcher
from discover.dispatch.creation import make_dispatcher
from discover.dispatch.machines import machine_file
from discover.errors import CampaignError, DiscoverError, MachineError
from discover.folder import CampaignFolder
from discover.picking import Picker
from discover.potentials import load_potential
from discover.potentials.base import Potential
from discover.structures.crystal import Crystal
from discover.structures.formulation import Formulation
from discover.structures.molecule import Molecule
from discover.structures.molecule_validity import pattern
from discover.structures.structure import sort_made, sort_name, sorts_taken
from discover.workers import check_tasks
from surrogates.descriptors import descriptors_named

LOW_DISK_BYTES = 200 * 2**20
SOUGHT = ("objective", "objectives", "constraints", "learn")
"""The keys that say what is to be known of a candidate."""


def check_file(path: Path) -> tuple[CampaignSpec | None, list[str]]:
    """The campaign in a file, or None, and every error of its schema, plug-ins and surroundings.

    What has an error is left out of the further checks. Raises CampaignError where the file cannot be
    read at all.
    """
    spec, in_schema = parse_schema(read_spec(path), str(path))
    of_plugins = _plugin_problems(spec, str(path), path.parent)
    faulty = {key.split(".", maxsplit=1)[0] for key in (*in_schema, *of_plugins)}
    problems = [
        *in_schema.values(),
        *of_plugins.values(),
        *_surroundings(spec, str(path), path.parent, faulty),
    ]
    return (None if problems else spec), problems


def check_folder(folder: CampaignFolder) -> CampaignSpec:
    """The campaign of a folder that is about to run; CampaignError listing every problem."""
    spec, problems = check_file(folder.spec_file)
    if spec is None:
        raise CampaignError("\n".join(problems))
    folder.check_writable()
    free = shutil.disk_usage(folder.root).free
    if free < LOW_DISK_BYTES:
        raise CampaignError(
            f"{folder.root}: only {free / 2**20:.0f} MB are free on this disk; make room for at least "
            f"{LOW_DISK_BYTES / 2**20:.0f} MB"
        )
    return spec


def _keyed_rungs(spec: CampaignSpec) -> list[tuple[str, CalculationSettings]]:
    """Every calculation of the campaign and its key in the file, in the order of `spec.rungs`."""
    below = [(f"ladder.{number}", rung) for number, rung in enumerate(spec.ladder)]
    beside = [(f"calculations.{number}", rung) for number, rung in enumerate(spec.calculations)]
    return [*below, *beside, ("calculation", spec.calculation)]


def _plugin_problems(spec: CampaignSpec, source: str, base: Path) -> dict[str, str]:
    """What is wrong with plug-ins and their options, by key; imports them, makes nothing."""
    chosen: list[tuple[str, str, str, str, dict[str, Any]]] = [
        (
            "generator",
            "generators",
            spec.generator.name,
            "generator.options",
            spec.generator.options,
        ),
        (
            "surrogate",
            "surrogates",
            spec.surrogate.name,
            "surrogate.options",
            spec.surrogate.options,
        ),
        *(
            (f"descriptors.{i}", "descriptors", name, "descriptors.options", {})
            for i, name in enumerate(spec.descriptors)
        ),
    ]
    for key, rung in _keyed_rungs(spec):
        chosen += [
            (f"{key}.kind", "calculations", rung.kind, f"{key}.settings", rung.settings),
            (
                f"{key}.engine",
                "engines",
                rung.engine,
                f"{key}.engine_settings",
                rung.engine_settings,
            ),
        ]
    problems: dict[str, str] = {}
    try:
        dispatcher = make_dispatcher(spec.dispatch, CampaignFolder(base).slots, base)
        if isinstance(dispatcher, ClusterDispatcher) and spec.dispatch.machine is not None:
            kinds = {(rung.kind, rung.engine): None for rung in spec.rungs}
            if refused := dispatcher.refusals(kinds):
                file = machine_file(spec.dispatch.machine)
                problems["dispatch.machine"] = "; ".join(f"{file}: {one}" for one in refused)
    except DiscoverError as error:
        key = "dispatch.machine" if isinstance(error, MachineError) else "dispatch.name"
        problems[key] = str(error)
    for key, kind, name, options_key, options in chosen:
        try:
            factory = plugins.load(kind, name, base)
        except DiscoverError as error:
            problems[key] = str(error)
            continue
        for option, message in plugins.option_problems(factory, options):
            problems[f"{options_key}.{option}"] = message
        if kind == "surrogates" and spec.ladder and not getattr(factory, "multi_fidelity", False):
            problems["surrogate.name"] = (
                f"{name!r} learns from one fidelity only; with a ladder choose 'multi-fidelity' "
                "or 'fidelity-stack'"
            )
        if kind == "surrogates" and (wrong := _outputs_problem(spec, factory)):
            problems["surrogate.options.outputs"] = wrong
    problems |= _ladder_problems(spec)
    try:
        Picker.asking(spec, base)
    except DiscoverError as error:
        problems["acquisition"] = str(error)
    return {key: f"{source}: {key}: {message}" for key, message in problems.items()}


def _outputs_problem(spec: CampaignSpec, factory: Any) -> str | None:
    """Why a surrogate that may answer for the first property alone does not do here."""
    takes = inspect.signature(factory).parameters
    if len(spec.modelled) == 1 or "outputs" not in takes:
        return None
    given = spec.surrogate.options.get("outputs", takes["outputs"].default)
    if given == "all":
        return None
    return f"set it to all: there are {len(spec.modelled)} properties to predict"


def _ladder_problems(spec: CampaignSpec) -> dict[str, str]:
    """Rungs that cannot be told apart, or that have more than one property to be compared by."""
    problems: dict[str, str] = {}
    if spec.ladder and len(spec.modelled) > 1:
        problems["ladder"] = (
            "takes one objective and no constraints: with several properties list cheap calculations "
            "under calculations, each of which gives some of them"
        )
    seen: dict[str, str] = {}
    for key, rung in _keyed_rungs(spec):
        fidelity = rung.fidelity
        if fidelity in seen:
            problems[f"{key}.name"] = (
                f"the fidelity {fidelity!r} is that of {seen[fidelity]} too; give one of them a "
                "name of its own"
            )
        seen.setdefault(fidelity, key)
    same = {"name", "cost_core_seconds"}
    rungs = _keyed_rungs(spec)
    for (key, rung), (other, below) in itertools.combinations(reversed(rungs), 2):
        if rung.model_dump(exclude=same) == below.model_dump(exclude=same):
            problems[other] = f"asks for the very same calculation as {key}; remove one"
    return problems


def _surroundings(spec: CampaignSpec, source: str, base: Path, faulty: set[str]) -> list[str]:
    """What is wrong with the parts once they are made, and with how they fit together.

    Top-level keys in `faulty` are left out: their errors are known.
    """
    problems: list[str] = []
    broken = set(faulty)

    def part(key: str, make: Callable[[], Any]) -> Any:
        """What `make` gives, or None with its error noted under this key."""
        if key.split(".", maxsplit=1)[0] in faulty:
            return None
        try:
            return make()
        except DiscoverError as error:
            problems.append(f"{source}: {key}: {error}")
            broken.add(key)
            return None

    def plugin(key: str, kind: str, name: str, options: dict[str, Any]) -> Any:
        return part(key, lambda: plugins.create(kind, name, options, base))

    generator = plugin("generator", "generators", spec.generator.name, spec.generator.options)
    plugin("surrogate", "surrogates", spec.surrogate.name, spec.surrogate.options)
    part("tasks", partial(check_tasks, spec))
    made = sort_made(generator)
    asked = spec.relaxation.enabled or (
        made is Crystal and spec.filters.max_formation_energy_ev_per_atom is not None
    )
    potential = None
    if made is Crystal or asked:
        potential = part("potential", lambda: load_potential(spec.potential, base))
    if generator:
        problems += _sort_problems(spec, source, base, broken, made, potential if asked else None)
    used = generator.elements() if generator else frozenset()
    kinds: list[Any] = []
    for section, rung in _keyed_rungs(spec):
        kind = plugin(f"{section}.kind", "calculations", rung.kind, rung.settings)
        engine = plugin(f"{section}.engine", "engines", rung.engine, rung.engine_settings)
        if kind and not faulty & set(SOUGHT):
            kinds.append(kind)
            problems += _not_given(spec, source, section, rung, kind)
        if kind and generator and made not in sorts_taken(kind):
            problems.append(
                f"{source}: {section}.kind: {rung.kind!r} takes {_named(sorts_taken(kind))}, and the "
                f"generator {spec.generator.name!r} makes {_named((made,))}: choose another of the two"
            )
        if kind and engine:
            part(f"{section}.engine", partial(check_engine, kind, engine))
        if engine:
            known = part(f"{section}.engine", partial(_elements_of, engine)) or used
            if isinstance(engine, ExplainsElements):
                problems += [
                    f"{source}: {section}.{engine.why_not(symbol)}"
                    for symbol in sorted(used - known)
                ]
            else:
                problems += _unknown(used - known, source, f"{section}.engine", rung.engine)
    if len(kinds) == len(spec.rungs):
        problems += _nowhere_given(spec, source, kinds)
    if spec.learning and not faulty & {"learning", "calculation", "ladder"}:
        problems += _learning_problems(spec, spec.learning, source, base, potential)
    if potential and asked:
        known = part("potential", potential.elements) or used
        problems += _unknown(used - known, source, "potential", spec.potential)
    return problems


def _not_given(
    spec: CampaignSpec, source: str, section: str, rung: CalculationSettings, kind: Any
) -> list[str]:
    """Where a kind of calculation has nothing to do with what the campaign wants to know."""
    given = ", ".join(kind.properties)
    told = f"{source}: {section}.kind: {rung.kind!r} does not compute"
    if len(spec.modelled) == 1 and not spec.calculations:
        missing = spec.objective.property not in kind.properties
        return [f"{told} {spec.objective.property!r}; it computes: {given}"] if missing else []
    names = [target.name for target in spec.modelled]
    if set(names) & set(kind.properties):
        return []
    return [f"{told} any of {', '.join(names)}; it computes: {given}"]


def _nowhere_given(spec: CampaignSpec, source: str, kinds: list[Any]) -> list[str]:
    """Properties that are asked for and that none of the campaign's calculations gives."""
    if len(spec.modelled) == 1 and not spec.calculations:
        return []  # said of the kind itself
    given = sorted({name for kind in kinds for name in kind.properties})
    asked = [
        *((f"objectives.{i}.property", one.property) for i, one in enumerate(spec.sought)),
        *((f"constraints.{i}.property", one.property) for i, one in enumerate(spec.constraints)),
        *((f"learn.{i}", name) for i, name in enumerate(spec.learn)),
    ]
    return [
        f"{source}: {key if spec.objectives else key.replace('objectives.0', 'objective')}: no "
        f"calculation of this campaign gives {name!r}; they give: {', '.join(given)}"
        for key, name in asked
        if name not in given
    ]


def _sort_problems(
    spec: CampaignSpec,
    source: str,
    base: Path,
    faulty: set[str],
    made: type,
    potential: Potential | None,
) -> list[str]:
    """Descriptors, potential and filters that do not fit the sort of structure that is made."""
    problems = []
    for number, name in enumerate(spec.descriptors if "descriptors" not in faulty else ()):
        takes = sorts_taken(plugins.load("descriptors", name, base))
        if made not in takes:
            problems.append(
                f"{source}: descriptors.{number}: {name!r} describes {_named(takes)}, and the generator "
                f"{spec.generator.name!r} makes {_named((made,))}"
            )
        elif "potential" not in faulty:
            try:
                descriptors_named([name], base, spec.potential)
            except DiscoverError as error:
                problems.append(f"{source}: descriptors.{number}: {error}")
    if made is Formulation and spec.relaxation.enabled:
        problems.append(
            f"{source}: relaxation.enabled: a formulation has no geometry to relax: set it to false"
        )
    elif potential is not None and made not in sorts_taken(potential):
        problems.append(
            f"{source}: potential: {spec.potential!r} relaxes {_named(sorts_taken(potential))}, and the "
            f"generator {spec.generator.name!r} makes {_named((made,))}: choose another, or set "
            "relaxation.enabled to false"
        )
    if made is Molecule and "filters" not in faulty:
        for number, smarts in enumerate(spec.filters.molecules.forbidden_groups):
            try:
                pattern(smarts)
            except DiscoverError as error:
                problems.append(f"{source}: filters.molecules.forbidden_groups.{number}: {error}")
    return problems


def _named(sorts: tuple[type, ...]) -> str:
    return " or ".join(f"{sort_name(sort)}s" for sort in sorts)


def _learning_problems(
    spec: CampaignSpec, learning: Learning, source: str, base: Path, potential: Potential | None
) -> list[str]:
    """Why the campaign's potential could not learn."""
    from discover.potentials.learning.campaign import check_trainable
    from discover.potentials.learning.labels import labelling_engines

    problems = []
    if not labelling_engines(spec, base):
        problems.append(
            f"{source}: learning: no engine of this campaign computes from first principles, so that "
            "there is nothing to learn from; choose gpaw, espresso or vasp, or remove the section"
        )
    if potential is not None:
        try:
            check_trainable(potential, spec.potential)
        except DiscoverError as error:
            problems.append(f"{source}: learning: {error}")
    asks = learning.max_force_uncertainty_ev_per_angstrom is not None
    if asks and learning.committee < 2:
        problems.append(
            f"{source}: learning.committee: an uncertainty needs at least two models; set it to 2 or more"
        )
    return problems


def _elements_of(engine: Engine) -> frozenset[str]:
    engine.check()
    return engine.elements()


def _unknown(missing: frozenset[str], source: str, key: str, name: str) -> list[str]:
    if not missing:
        return []
    problem = (
        f"{source}: {key}: {name!r} does not know {', '.join(sorted(missing))}, which the generator "
        "may use; leave them out of generator.options.elements or choose another"
    )
    return [problem]
