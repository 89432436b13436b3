"""Everything that can be known to be wrong with a campaign before compute is spent."""

from __future__ import annotations

import shutil
from pathlib import Path

from discover import plugins
from discover.campaign import CampaignSpec, parse_spec, read_spec
from discover.errors import CampaignError, DiscoverError
from discover.folder import CampaignFolder

LOW_DISK_BYTES = 200 * 2**20


def check_file(path: Path) -> tuple[CampaignSpec | None, list[str]]:
    """The campaign in a file, or None, and every error of its schema, plug-ins and surroundings.

    Raises CampaignError where the file cannot be read at all.
    """
    spec, problems = parse_spec(read_spec(path), str(path), path.parent)
    if spec is not None:
        problems = _surroundings(spec, str(path), path.parent)
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


def _surroundings(spec: CampaignSpec, source: str, base: Path) -> list[str]:
    problems: list[str] = []
    generator = plugins.create("generators", spec.generator.name, spec.generator.options, base)
    used = generator.elements()
    engine = plugins.create(
        "engines", spec.calculation.engine, spec.calculation.engine_settings, base
    )
    kind = plugins.load("calculations", spec.calculation.kind, base)
    if spec.objective.property not in kind.properties:
        problems.append(
            f"{source}: calculation.kind: {spec.calculation.kind!r} does not compute "
            f"{spec.objective.property!r}; it computes: {', '.join(kind.properties)}"
        )
    try:
        engine.check()
        problems += _unknown(
            used - engine.elements(), source, "calculation.engine", spec.calculation.engine
        )
    except DiscoverError as error:
        problems.append(f"{source}: calculation.engine: {error}")
    try:
        from discover.potentials import load_potential

        potential = load_potential(spec.potential, base)
        if spec.relaxation.enabled or spec.filters.max_formation_energy_ev_per_atom is not None:
            problems += _unknown(used - potential.elements(), source, "potential", spec.potential)
    except DiscoverError as error:
        problems.append(f"{source}: potential: {error}")
    return problems


def _unknown(missing: frozenset[str], source: str, key: str, name: str) -> list[str]:
    if not missing:
        return []
    problem = (
        f"{source}: {key}: {name!r} does not know {', '.join(sorted(missing))}, which the generator "
        "may use; leave them out of generator.options.elements or choose another"
    )
    return [problem]
