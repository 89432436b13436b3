"""What a store must do with the lease."""

# ruff: noqa: D102 -- the name of a test says what it shows

from __future__ import annotations

import pytest

from discover.errors import LeaseHeldError
from discover.store.base import Store
from discover.store.conformance.examples import calculation, candidate, lease, observation


class LeaseClauses:
    """Who may steer, and what is refused to all others."""

    def test_one_holder_has_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        with pytest.raises(LeaseHeldError, match="localhost"):
            store.acquire_lease(lease("second", 160.0))
        assert store.lease() == lease("first", 100.0)

    def test_the_holder_may_take_its_lease_again(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.acquire_lease(lease("first", 120.0))
        assert store.lease() == lease("first", 120.0)

    def test_an_expired_lease_is_taken_over(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.acquire_lease(lease("second", 160.5))
        assert store.lease() == lease("second", 160.5)
        with pytest.raises(LeaseHeldError, match="first"):
            store.renew_lease("first", 161.0)
        assert store.lease() == lease("second", 160.5)

    def test_a_heartbeat_keeps_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.renew_lease("first", 150.0)
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("second", 205.0))
        assert store.lease() == lease("first", 100.0).model_copy(update={"heartbeat_at": 150.0})

    def test_expiry_is_measured_by_the_lease_that_is_held(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0, ttl_seconds=10.0))
        store.acquire_lease(lease("second", 111.0, ttl_seconds=1000.0))
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("third", 500.0, ttl_seconds=1.0))

    def test_of_two_that_replace_a_dead_holder_the_second_is_refused(self, store: Store) -> None:
        store.acquire_lease(lease("dead", 100.0))
        store.acquire_lease(lease("second", 101.0), replacing="dead")
        assert store.lease() == lease("second", 101.0)
        with pytest.raises(LeaseHeldError):
            store.acquire_lease(lease("third", 101.5), replacing="dead")
        with pytest.raises(LeaseHeldError):
            store.renew_lease("dead", 102.0)
        assert store.lease() == lease("second", 101.0)

    def test_a_lease_is_free_when_the_dead_holder_is_gone_or_expired(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0), replacing="dead")
        store.acquire_lease(lease("second", 160.5), replacing="dead")
        assert store.lease() == lease("second", 160.5)

    def test_a_fenced_store_changes_nothing_without_the_lease(self, store: Store) -> None:
        store.acquire_lease(lease("first", 100.0))
        store.fence("first")
        store.add_candidates([candidate(1)])
        store.renew_lease("first", 101.0)
        store.acquire_lease(lease("second", 102.0), replacing="first")
        for change in (
            lambda: store.add_candidates([candidate(2)]),
            lambda: store.update_candidates([candidate(1)]),
            lambda: store.add_calculation(calculation(1)),
            lambda: store.add_observations([observation(1)]),
            lambda: store.set_value("stopped", "now"),
            lambda: store.renew_lease("first", 103.0),
        ):
            with pytest.raises(LeaseHeldError):
                change()
        assert list(store.candidates()) == [candidate(1)]
        assert not store.calculations()
        assert not store.observations()
        store.fence(None)
        store.set_value("stopped", "now")
        assert store.value("stopped") == "now"

    def test_only_the_holder_releases_the_lease(self, store: Store) -> None:
        store.release_lease("nobody")
        store.acquire_lease(lease("first", 100.0))
        store.release_lease("second")
        assert store.lease() == lease("first", 100.0)
        store.release_lease("first")
        assert store.lease() is None
        with pytest.raises(LeaseHeldError):
            store.renew_lease("first", 101.0)
        store.acquire_lease(lease("second", 102.0))
