"""Elements that a calculation without spin polarization may get wrong."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from discover.calculations.base import CalculationWarning

OPEN_SHELL = "V Cr Mn Fe Co Ni Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Pa U Np Pu Am"
"""Elements whose d or f shell is often open, so that a non-magnetic calculation may be wrong."""


def warn_of_open_shells(symbols: Iterable[str]) -> None:
    """CalculationWarning where one of these elements often has an open d or f shell."""
    magnetic = sorted(set(symbols).intersection(OPEN_SHELL.split()))
    if magnetic:
        warnings.warn(
            f"computed without spin polarization, which may be wrong for {', '.join(magnetic)}",
            CalculationWarning,
            stacklevel=3,
        )
