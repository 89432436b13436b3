"""What every store must do, as tests that the author of an adapter runs.

Subclass `StoreConformance` in a test module and give it two fixtures:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "store")

        @pytest.fixture
        def make_newer(self, tmp_path):
            return lambda: write_format_version(tmp_path / "store", FORMAT_VERSION + 1)

Needs pytest and hypothesis. Concurrency between processes is the adapter's own to test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from discover.store.base import Store
from discover.store.conformance.calculations import CalculationClauses
from discover.store.conformance.candidates import CandidateClauses
from discover.store.conformance.durability import DurabilityClauses
from discover.store.conformance.examples import (
    OpenStore,
    calculation,
    candidate,
    lease,
    observation,
)
from discover.store.conformance.leases import LeaseClauses
from discover.store.conformance.results import ResultClauses

__all__ = ["StoreConformance", "calculation", "candidate", "lease", "observation"]


class StoreConformance(
    CandidateClauses, CalculationClauses, ResultClauses, LeaseClauses, DurabilityClauses
):
    """The contract of `discover.store.base.Store`, clause by clause."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Opens the store of this test; every call opens the same one."""
        raise NotImplementedError("give a fixture that opens the store")

    @pytest.fixture
    def make_newer(self) -> Callable[[], None]:
        """Marks the store of this test, while nobody has it open, as written by a newer version."""
        raise NotImplementedError("give a fixture that raises the format version of the store")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Store]:
        """An empty store."""
        store = open_store()
        yield store
        store.close()
