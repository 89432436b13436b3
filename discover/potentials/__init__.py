"""Machine-learning interatomic potentials: which there are, relaxation, screening."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path

from discover import plugins
from discover.errors import PotentialError
from discover.potentials.base import Potential
from discover.potentials.factories import is_factory, potential_from_factory

__all__ = ["Potential", "load_potential", "unknown_elements"]


def load_potential(name: str, base: Path | None = None) -> Potential:
    """The potential that a campaign calls `name`: `chgnet`, `mace:<model>`, `sevennet:<model>`, ...

    What follows a colon is handed to the potential's `model` parameter; where it is a path, it starts
    at `base` (the campaign's folder). `path/to/file.py:Name` is a plug-in, and `package.module:factory`
    whatever that makes (see `discover.potentials.factories`); both run code, the latter only what is
    installed. Raises PluginError for an unknown name, PotentialError for a model that cannot be used,
    and MissingDependencyError where a package, or a potential's own environment, is not installed.
    """
    if is_factory(name):
        return potential_from_factory(name)
    kind, _, model = name.partition(":")
    if plugins.is_file_plugin(kind):
        kind, options = name, {}
    else:
        options = _model_option(kind, model, base)
    potential: Potential = plugins.create("potentials", kind, options, base)
    return potential


def unknown_elements(potential: Potential, elements: Iterable[str]) -> list[str]:
    """Those of `elements` (chemical symbols) that the potential was not trained on, sorted."""
    return sorted(set(elements) - potential.elements())


def _model_option(kind: str, model: str, base: Path | None) -> dict[str, str]:
    parameter = inspect.signature(plugins.load("potentials", kind, base)).parameters.get("model")
    if model and parameter is None:
        raise PotentialError(
            f"potential {kind!r} has no models to choose from: write {kind!r}, not '{kind}:{model}'"
        )
    if not model:
        if parameter is not None and parameter.default is parameter.empty:
            raise PotentialError(f"potential {kind!r} needs a model: '{kind}:<path or name>'")
        return {}
    file = (base or Path()) / Path(model).expanduser()
    is_path = file.is_file() or len(Path(model).parts) > 1
    return {"model": str(file.resolve()) if is_path else model}
