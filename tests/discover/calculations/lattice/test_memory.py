"""Memory: what is needed against what there is."""

import pytest

from discover.calculations.lattice import memory
from discover.errors import CalculationError


def test_estimates_bound_what_was_measured():
    """Peak memory in GB of fits that were run: rocksalt 3x3x3, wurtzite 3x3x2, rocksalt 4x4x4."""
    for atoms, basis, measured in [(54, 650, 0.26), (72, 7776, 2.43), (128, 2900, 1.12)]:
        assert measured < memory.fit_bytes(atoms, basis) / 1e9 < 2.5 * measured


def test_the_direct_solution_takes_more():
    relaxation_time = memory.conductivity_bytes(12, (15, 15, 9))
    direct = memory.conductivity_bytes(12, (15, 15, 9), 300)
    assert direct - relaxation_time == pytest.approx(2 * 8 * (3 * 300 * 12) ** 2)


def test_more_than_there_is_is_refused_with_the_way_out():
    available = memory.available_bytes()
    assert 1e8 < available < 1e14
    memory.require(0.5 * available, "it", "less")
    with pytest.raises(
        CalculationError, match=r"it needs about .* GiB of memory.*: choose less, or"
    ):
        memory.require(2 * available, "it", "choose less")
