"""Units of known values, converted to those of the properties."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

from discover.errors import DataError
from discover.properties import Property

SPELLINGS = {
    "w/mk": "W/m/K",
    "w/(mk)": "W/m/K",
    "w/(m k)": "W/m/K",
    "w/(m*k)": "W/m/K",
    "w/(m·k)": "W/m/K",
    "wm-1k-1": "W/m/K",
}
"""Spellings that mean something else to a parser, such as watts per millikelvin, by lower case."""
LOGARITHM = re.compile(r"log(?:10)?\s*[(\[]\s*(.*?)\s*[)\]]$")
_EXPONENT = re.compile(r"(?<=[A-Za-z])\^?(-\d+)")


class Conversion:
    """Turns values in a unit, or their decadic logarithms (`log10(S/cm)`), into a property's unit.

    Energies per mole and per molecule are converted into one another. DataError where the unit cannot
    be read or is of another kind.
    """

    def __init__(self, unit: str, target: Property) -> None:
        self.unit, self.target = unit, target
        logarithm = LOGARITHM.match(unit.strip())
        self._logarithmic = logarithm is not None
        written = logarithm[1] if logarithm else unit
        wanted, given = _parsed(target.unit), _parsed(written)
        registry = _registry()
        self._given, self._wanted = given, wanted
        self._per_mole = 0
        if given.dimensionality != wanted.dimensionality:
            mole = registry.mole
            for power, other in ((1, given / mole), (-1, given * mole)):
                if other.dimensionality == wanted.dimensionality:
                    self._per_mole = power
                    return
            raise DataError(
                f"{unit!r} is no unit of {target.name}, which is in {target.unit}: give one by --unit"
            )

    def __call__(self, value: float) -> float:
        """A value in the property's unit; ValueError where it is not finite."""
        if self._logarithmic:
            value = 10.0**value
        quantity = _registry().Quantity(value, self._given)
        if self._per_mole:
            avogadro = _registry().Quantity(1, "avogadro_constant")
            quantity = quantity * avogadro if self._per_mole > 0 else quantity / avogadro
        converted = float(quantity.to(self._wanted).magnitude)
        if not math.isfinite(converted):
            raise ValueError("is not a finite number")
        return converted


def _parsed(unit: str) -> Any:
    text = SPELLINGS.get(unit.strip().lower(), unit.strip())
    if text in {"", "1"}:
        return _registry().Unit("")
    text = re.sub(r"(?<=[A-Za-z\d])[ ·](?=[A-Za-z])", "*", _EXPONENT.sub(r"^\1", text))
    try:
        return _registry().Unit(text)
    except Exception as error:  # the parser raises whatever comes up
        raise DataError(f"{unit!r} is not a unit that can be read: {error}") from error


@cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry()
    registry.define("atom = [atoms]")  # energies per atom are told from those per cell and per mole
    return registry
