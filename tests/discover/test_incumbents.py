"""Which candidates generators are told to build on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from discover.campaign import CampaignSpec
from discover.incumbents import incumbents
from discover.records import Observation
from discover.store import Store

Computed = Callable[..., Any]


def order(store: Store, n: int = 20, **spec: Any) -> str:
    """The orders of the incumbents' calculations, joined."""
    return "".join(c.id[-1] for c in incumbents(store, CampaignSpec.model_validate(spec), n))


def also(store: Store, number: int, **values: float) -> None:
    """More values for a candidate."""
    for name, value in values.items():
        one = Observation(
            id=f"{number}-{name}",
            candidate=f"candidate-{number}",
            calculation=None,
            property=name,
            value=value,
            unit="1",
            fidelity="known",
            source="test",
        )
        store.add_observations([one])


@pytest.fixture
def filled(store: Store, computed: Computed) -> Store:
    for number, value in enumerate((5.0, 1.0, 9.0, 3.0)):
        computed(store, number, value)
    computed(store, 4, 100.0, quarantined="looks wrong")
    return store


def test_nothing_is_known(store: Store) -> None:
    assert incumbents(store, CampaignSpec()) == ()


@pytest.mark.parametrize(
    ("goal", "expected"), [("max", "2031"), ("min", "1302"), ("extremes", "2103")]
)
def test_one_objective(filled: Store, goal: str, expected: str) -> None:
    assert order(filled, objective={"goal": goal}) == expected
    assert order(filled, 2, objective={"goal": goal}) == expected[:2]


OBJECTIVES = [
    {"property": "thermal_conductivity", "reference": 1.0},
    {"property": "bulk_modulus", "goal": "min", "reference": 100.0},
]


def test_several_objectives(filled: Store) -> None:
    """Kappa 5, 1, 9, 3 up and B 20, 5, 40 down: none dominates until B of the fourth is known."""
    for number, value in ((0, 20.0), (1, 5.0), (2, 40.0)):
        also(filled, number, bulk_modulus=value)
    assert order(filled, objectives=OBJECTIVES) == "012"
    also(filled, 3, bulk_modulus=4.0)
    assert order(filled, objectives=OBJECTIVES) == "0231"


def test_broken_constraints_come_last(filled: Store) -> None:
    also(filled, 2, debye_temperature=900.0)
    also(filled, 1, debye_temperature=100.0)
    constraints = [{"property": "debye_temperature", "below": 500.0}]
    assert order(filled, constraints=constraints) == "0312"
