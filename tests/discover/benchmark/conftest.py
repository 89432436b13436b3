"""A small data set with a target that its descriptors explain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from discover.benchmark.datasets import DataSet
from discover.benchmark.features import Features


@pytest.fixture(scope="session")
def make_data() -> Callable[..., DataSet]:
    """N rows of three descriptors, in groups of two, with elements, space groups and years."""

    def make(n: int = 30, seed: int = 0, **changes: Any) -> DataSet:
        rng = np.random.default_rng(seed)
        x = rng.random((n, 3))
        elements = ("Li", "Na", "K")
        fields: dict[str, Any] = {
            "source": "made up",
            "target": "y",
            "transform": "none",
            "ids": tuple(f"r{i}" for i in range(n)),
            "rows": np.arange(n),
            "y": 2 * x[:, 0] + x[:, 1] + 0.05 * rng.standard_normal(n),
            "censored": np.zeros(n, dtype=np.int8),
            "features": Features(x, ("a", "b", "c"), (), ("a", "b", "c")),
            "groups": np.arange(n) // 2,
            "grouped_by": "formula",
            "formulas": tuple(f"{elements[i // 2 % 3]}F" for i in range(n)),
            "elements": tuple(frozenset({elements[i // 2 % 3], "F"}) for i in range(n)),
            "spacegroups": tuple("225" if i % 3 else "216" for i in range(n)),
            "years": np.arange(1990, 1990 + n, dtype=float),
        }
        return DataSet(**{**fields, **changes})

    return make
