"""What a store must do with observations, model cards, passes and named values."""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

import pytest

from discover.errors import StoreError
from discover.records import Pass
from discover.store.base import Store
from discover.store.conformance.examples import card, observation


class ResultClauses:
    """How what the loop learned is kept, found and corrected."""

    def test_observations_keep_the_order_they_first_came_in(self, store: Store) -> None:
        store.add_observations([observation(2), observation(1)])
        store.add_observations([])
        corrected = observation(2).model_copy(update={"value": 99.0})
        store.add_observations([observation(3), corrected])
        assert store.observations() == [corrected, observation(1), observation(3)]

    def test_observations_are_found_by_property(self, store: Store) -> None:
        store.add_observations([observation(1), observation(2, "debye_temperature")])
        assert store.observations("debye_temperature") == [observation(2, "debye_temperature")]
        assert store.observations("thermal_conductivity") == []

    def test_quarantine_hides_an_observation_until_it_is_released(self, store: Store) -> None:
        store.add_observations([observation(1), observation(2)])
        store.quarantine("observation-1", "not converged")
        hidden = observation(1).model_copy(update={"quarantined": "not converged"})
        assert store.observations() == [observation(2)]
        assert store.observations(quarantined=True) == [hidden, observation(2)]
        assert store.observations("bulk_modulus", quarantined=True) == [hidden, observation(2)]
        store.quarantine("observation-1", None)
        assert store.observations() == [observation(1), observation(2)]

    def test_model_cards_come_oldest_first(self, store: Store) -> None:
        cards = [card(f"card-{at}", at) for at in (30.0, 10.0, 20.0)]
        for one in cards:
            store.add_model_card(one)
        newer = cards[0].model_copy(update={"fit_seconds": 7.0})
        store.add_model_card(newer)
        assert store.model_cards() == [cards[1], cards[2], newer]

    def test_passes_come_by_number(self, store: Store) -> None:
        passes = [
            Pass(number=n, started_at=0.0, finished_at=1.0, actions=("train",)) for n in (10, 2, 1)
        ]
        for one in passes:
            store.add_pass(one)
        changed = passes[0].model_copy(update={"picked": ("calculation-1",)})
        store.add_pass(changed)
        assert store.passes() == [passes[2], passes[1], changed]
        assert store.count_passes() == 3

    def test_values_are_set_replaced_and_deleted(self, store: Store) -> None:
        store.set_value("stop", {"by": "user", "at": [1, 2.5, None]})
        assert store.value("stop") == {"by": "user", "at": [1, 2.5, None]}
        store.set_value("stop", False)
        store.set_value("other", 1)
        assert store.value("stop") is False
        store.set_value("stop", None)
        store.set_value("never there", None)
        assert store.value("stop") is None
        assert store.value("other") == 1
        store.set_value("more", [None])
        assert list(store.values().items()) == [("more", [None]), ("other", 1)]

    @pytest.mark.parametrize("value", [float("nan"), {"a": float("inf")}, {1, 2}, b"bytes"])
    def test_a_value_that_is_not_json_is_refused(self, store: Store, value: object) -> None:
        store.set_value("key", "before")
        with pytest.raises(StoreError, match="key"):
            store.set_value("key", value)
        assert store.value("key") == "before"

    def test_a_record_that_is_not_json_is_refused(self, store: Store) -> None:
        with pytest.raises(StoreError, match="ModelCard"):
            store.add_model_card(
                card("card", 1.0).model_copy(update={"metrics": {"mae": float("nan")}})
            )
        assert store.model_cards() == []
