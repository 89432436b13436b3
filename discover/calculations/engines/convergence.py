"""What every engine does where its self-consistent field does not converge: one retry, no more."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TypeVar

from discover.calculations.base import CalculationWarning
from discover.errors import CalculationError

_Settings = TypeVar("_Settings")
_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class UnconvergedError(CalculationError):
    """A self-consistent field that did not converge with the settings it was given."""


def with_one_retry(
    compute: Callable[[_Settings], _Result], usual: _Settings, safer: _Settings, advice: str
) -> _Result:
    """What `compute` gives with the usual settings or, if that does not converge, with the safer ones.

    `compute` raises UnconvergedError, saying after how many steps. A retry is noted as a
    CalculationWarning; where it does not converge either, CalculationError gives the reason and the
    advice. Any other error passes through at once: other settings would not help it.
    """
    try:
        return compute(usual)
    except UnconvergedError as error:
        reason = str(error)
        _log.info("%s: once more with %s", reason, safer)
    try:
        result = compute(safer)
    except UnconvergedError as error:
        raise CalculationError(f"{error}, even with safer settings ({safer}): {advice}") from error
    warnings.warn(f"{reason}; it did with {safer}", CalculationWarning, stacklevel=2)
    return result
