"""Which values of a property are plausible."""

from __future__ import annotations

from typing import Any

import pytest

from discover.properties import property_named


@pytest.mark.parametrize(
    ("value", "bound", "plausible"),
    [
        (1e-3, None, True),
        (1e-3, "below", True),
        (20.0, None, False),
        (20.0, "below", True),  # it may be anything that is plausible
        (20.0, "above", False),
        (1e-22, None, False),
        (1e-22, "above", True),
        (1e-22, "below", False),
        (float("nan"), None, False),
    ],
)
def test_a_bound_is_plausible_where_a_value_beyond_it_is(
    value: float, bound: Any, plausible: bool
) -> None:
    told = property_named("ionic_conductivity").doubt(value, bound)
    assert (told is None) is plausible
    assert plausible or "S/cm is outside the plausible 1e-20 to 10" in str(told)
