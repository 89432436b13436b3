"""What all tests share: one thread, reproducible examples, and where the benchmark data lie."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("discover", deadline=None, derandomize=True)
settings.load_profile("discover")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of benchmark data beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"benchmark data are absent: {SHARED_DATA}")
    return SHARED_DATA
