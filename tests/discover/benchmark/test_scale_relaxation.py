"""Relaxations a minute by workers, on a few structures."""

from __future__ import annotations

from pathlib import Path

import pytest

from discover.benchmark import scale_relaxation


@pytest.mark.parametrize("n", [1, 2])
def test_structures_are_relaxed_by_each_way_of_working(tmp_path: Path, n: int) -> None:
    row = scale_relaxation.relaxed_a_minute(
        "emt", "threads", n, structures=4, folder=tmp_path, seed=0
    )
    assert (row["runner"], row["workers"], row["structures"]) == ("threads", n, 4)
    assert 0 < row["converged"] <= 4
    assert row["structures_per_minute"] > 0
    assert 0 < row["batch_overhead_seconds"] < 1
