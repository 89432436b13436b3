from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from discover.calculations.diffusion.displacements import (
    collective_conductivity,
    diffusion,
    effective_hops,
    mean_square_displacement,
    nernst_einstein,
)


def brownian(
    frames: int, particles: int, step_angstrom: float, seed: int = 0
) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    steps = random.normal(0, step_angstrom, (frames, particles, 3))
    return np.asarray(np.cumsum(steps, axis=0))


def test_mean_square_displacement_is_that_of_the_definition() -> None:
    positions = brownian(40, 3, 1.0)
    for lag in (0, 1, 7, 39):
        moved = positions[lag:] - positions[: 40 - lag]
        expected = np.square(moved).sum(axis=2).mean()
        assert mean_square_displacement(positions)[lag] == pytest.approx(expected, abs=1e-9)


def test_a_straight_flight_has_the_square_of_its_length() -> None:
    flight = np.arange(50)[:, None, None] * np.array([[[0.3, 0.0, 0.4]]])
    assert mean_square_displacement(flight) == pytest.approx((0.5 * np.arange(50)) ** 2, abs=1e-8)


def test_brownian_motion_has_its_coefficient_within_its_error() -> None:
    """D = s²/2Δt of each coordinate: 0.5 Å²/ps for steps of 0.1 Å each 10 fs, which is 5e-5 cm²/s."""
    errors, off = [], []
    for seed in range(20):
        found = diffusion(brownian(2000, 10, 0.1, seed), 0.01, 5)
        assert found.resolved
        errors.append(found.error)
        off.append(found.coefficient - 5e-5)
    assert np.mean(off) == pytest.approx(0, abs=3 * np.std(off) / np.sqrt(20))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(off), rel=0.35)


def test_vibration_is_no_diffusion() -> None:
    random = np.random.default_rng(0)
    found = diffusion(random.normal(0, 0.2, (1000, 20, 3)), 0.02, 5)
    assert not found.resolved
    assert found.hops < 1
    # three hops of 2.5 Å among 20 ions in 20 ps
    assert found.upper == pytest.approx(1e-4 * 3 * 2.5**2 / (6 * 20 * 20), rel=0.2)


def test_swinging_in_place_does_not_tilt_a_short_trajectory() -> None:
    """Motion that forgets itself in 0.06 ps, on top of Brownian motion: short lags tell its slope."""
    random = np.random.default_rng(3)
    interval, frames, ions = 0.02, 180, 200
    walk = np.cumsum(random.normal(0, np.sqrt(2 * 0.05 * interval), (frames, ions, 3)), axis=0)
    memory = np.exp(-interval / 0.06)
    swing = np.zeros((frames, ions, 3))
    for frame in range(1, frames):
        kick = random.normal(0, 0.4 * np.sqrt(1 - memory**2), (ions, 3))
        swing[frame] = memory * swing[frame - 1] + kick
    found = diffusion(walk + swing, interval, 3)
    assert found.coefficient == pytest.approx(0.05e-4, rel=0.25)


def test_hops_are_counted() -> None:
    positions = np.zeros((100, 4, 3))
    positions[50:, 0, 0] = 2.5
    positions[30:, 1, 2] = -5.0
    assert effective_hops(positions) == pytest.approx(1 + 4)


def test_blocks_that_are_too_short_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than ten"):
        diffusion(np.zeros((40, 1, 3)), 1.0, 5)


def test_nernst_einstein_by_hand() -> None:
    """1 mol/l of ions of charge 1 with 1e-5 cm²/s at 298.15 K: F² c D/RT."""
    faraday, gas = 96485.332, 8.314462618
    expected = faraday**2 * 1e-3 * 1e-5 / (gas * 298.15)  # mol/cm³, S/cm
    one_molar = 6.02214076e23 * 1e-27  # ions per Å³
    assert nernst_einstein(1e-5, 1, 1, 1 / one_molar, 298.15) == pytest.approx(expected, rel=1e-6)
    assert nernst_einstein(1e-5, 2, -2, 100, 300) == pytest.approx(
        8 * nernst_einstein(1e-5, 1, 1, 100, 300)
    )


def test_independent_ions_conduct_alike_by_both_ways_and_pairs_do_not() -> None:
    free = [
        collective_conductivity(brownian(1000, 8, 0.1, seed), np.ones(8), 0.01, 5, 1e3, 300)[0]
        for seed in range(100)
    ]
    assert np.mean(free) == pytest.approx(
        nernst_einstein(5e-5, 8, 1, 1e3, 300), abs=3 * np.std(free) / np.sqrt(100)
    )
    ions = brownian(1000, 1, 0.1)
    pair = np.concatenate([ions, ions], axis=1)
    together = collective_conductivity(pair, np.array([1.0, -1.0]), 0.01, 5, 1e3, 300)
    assert together[0] == pytest.approx(0, abs=1e-12)
