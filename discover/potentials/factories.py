"""Potentials made by any importable function or class, named `package.module:factory`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from discover import plugins
from discover.errors import MissingDependencyError, PluginError, PotentialError

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from discover.potentials.base import Potential

_FACTORY = re.compile(r"^(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<attribute>[A-Za-z_]\w*)$")


def is_factory(name: str) -> bool:
    """Whether `name` is `module:factory` of an importable module, and no potential known by name."""
    match = _FACTORY.match(name)
    if match is None or plugins.is_file_plugin(name):
        return False
    if match["module"] in plugins.available("potentials"):
        return False
    return "." in match["module"] or importlib.util.find_spec(match["module"]) is not None


def potential_from_factory(name: str) -> Potential:
    """What the factory gives: a potential, or one around its ASE calculator.

    A factory is a Python function or class that needs no arguments. One that gives a calculator must
    have an attribute `elements`, the chemical symbols that the calculator was made for: a calculator
    does not tell, and a wrong answer is worse than none. Raises PluginError, or MissingDependencyError
    where a package is not installed, or PotentialError where it cannot be used.
    """
    factory = _load(name)
    if not (inspect.isfunction(factory) or inspect.isclass(factory)):
        raise PluginError(f"potential {name!r} is no Python function or class")
    try:
        inspect.signature(factory).bind()
    except (TypeError, ValueError) as error:
        raise PluginError(f"potential {name!r}: it must need no arguments ({error})") from error
    made = _call(factory, name)
    if _is_potential(made):
        return cast("Potential", made)
    if not hasattr(made, "get_potential_energy"):
        raise PluginError(
            f"potential {name!r} gives a {type(made).__name__}, neither a potential nor an ASE calculator"
        )
    return _FactoryPotential(name, factory, _elements(factory, name))


class _FactoryPotential:
    """A potential whose calculators come from a factory."""

    def __init__(self, name: str, factory: Callable[[], Any], elements: frozenset[str]) -> None:
        self._factory_name = name
        self._factory = factory
        self._elements = elements

    @cached_property
    def name(self) -> str:
        """`module:factory`, with the version of the package that it comes from, where it has one."""
        top = self._factory_name.split(":")[0].split(".")[0]
        distributions = importlib.metadata.packages_distributions().get(top, [])
        version = f"@{importlib.metadata.version(distributions[0])}" if distributions else ""
        return self._factory_name + version

    def elements(self) -> frozenset[str]:
        """What the factory's attribute says."""
        return self._elements

    def calculator(self) -> Calculator:
        """A new calculator of the factory; PotentialError where it raises anything."""
        return cast("Calculator", _call(self._factory, self._factory_name))


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"potential {name!r} needs the package {error.name!r}, which is not installed"
        ) from error
    except Exception as error:  # importing runs the author's code
        raise PluginError(f"potential {name!r}: {module} fails on import: {error!r}") from error
    if not hasattr(loaded, attribute):
        public = [key for key in vars(loaded) if not key.startswith("_")]
        close = plugins.suggestion(attribute, public).partition(" (allowed")[0]
        raise PluginError(f"potential {name!r}: {module} has no {attribute!r}{close}")
    return getattr(loaded, attribute)


def _call(factory: Callable[[], Any], name: str) -> Any:
    try:
        return factory()
    except Exception as error:  # it is the author's code
        raise PotentialError(f"potential {name!r} cannot be made: {error!r}") from error


def _is_potential(made: Any) -> bool:
    return callable(getattr(made, "elements", None)) and callable(getattr(made, "calculator", None))


def _elements(factory: Callable[[], Any], name: str) -> frozenset[str]:
    from ase.data import chemical_symbols

    stated = getattr(factory, "elements", None)
    if not isinstance(stated, list | tuple | set | frozenset) or not stated:
        attribute = name.partition(":")[2]
        raise PotentialError(
            f"potential {name!r} gives a calculator and does not say for which elements: state them as"
            f" {attribute}.elements = {{'Na', 'Cl'}}, or give an object with elements() and calculator()"
        )
    unknown = sorted({str(symbol) for symbol in stated}.difference(chemical_symbols[1:]))
    if unknown:
        raise PotentialError(f"potential {name!r}: no elements are called {', '.join(unknown)}")
    return frozenset(stated)
