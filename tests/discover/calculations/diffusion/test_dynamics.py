from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator

from discover.calculations.diffusion.dynamics import RESTART, Run, Trajectory, advance
from discover.errors import CalculationError

RUN = Run("nvt", 900.0, 2.0, 60, 5, 20, 10.0, seed=3)


class KilledError(Exception):
    """In place of a signal."""


def dying(ions: type[Calculator], calls: int) -> Callable[[], Any]:
    left = [calls]

    class Dying(ions):  # type: ignore[misc]
        def calculate(self, *args: Any, **kwargs: Any) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            super().calculate(*args, **kwargs)

    return Dying


def same(one: Trajectory, other: Trajectory) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in (
            "positions",
            "volume_angstrom3",
            "kinetic_temperature_k",
            "potential_energy_ev",
        )
    )


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_a_killed_run_goes_on_to_the_same_trajectory(
    ensemble: Any, hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    run = replace(RUN, ensemble=ensemble)
    whole = advance(hopping_lattice(), hopping_ions, run, tmp_path / "whole")
    assert whole.positions.shape == (12, 16, 3)
    for calls in (3, 30, 15):
        with pytest.raises(KilledError):
            advance(hopping_lattice(), dying(hopping_ions, calls), run, tmp_path / "killed")
    again = advance(hopping_lattice(), hopping_ions, run, tmp_path / "killed")
    assert same(again, whole)
    assert np.array_equal(again.last.get_momenta(), whole.last.get_momenta())
    assert same(advance(hopping_lattice(), dying(hopping_ions, 0), run, tmp_path / "killed"), whole)


def test_a_chunk_that_was_written_before_its_restart_is_written_again(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    whole = advance(hopping_lattice(), hopping_ions, RUN, tmp_path)
    (tmp_path / RESTART).unlink()
    (tmp_path / "frames-000000060.npz").unlink()
    assert same(advance(hopping_lattice(), hopping_ions, RUN, tmp_path), whole)


def test_a_longer_run_goes_on_from_a_shorter_one(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    advance(hopping_lattice(), hopping_ions, replace(RUN, steps=20), tmp_path / "short")
    longer = advance(hopping_lattice(), hopping_ions, RUN, tmp_path / "short")
    assert same(longer, advance(hopping_lattice(), hopping_ions, RUN, tmp_path / "whole"))


def test_langevin_keeps_its_temperature(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    run = replace(RUN, steps=1500, chunk_steps=1500, temperature_k=600)
    found = advance(hopping_lattice(3), hopping_ions, run, tmp_path)
    assert found.kinetic_temperature_k[60:].mean() == pytest.approx(600, rel=0.05)
    assert np.ptp(found.volume_angstrom3) == 0


def test_what_is_squeezed_expands_at_no_pressure(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    squeezed = hopping_lattice()
    wanted = squeezed.get_volume()
    squeezed.set_cell(squeezed.cell * 0.97, scale_atoms=True)
    run = replace(RUN, ensemble="npt", steps=1000, chunk_steps=500, temperature_k=10)
    found = advance(squeezed, lambda: hopping_ions(0.2, wanted), run, tmp_path)
    assert found.volume_angstrom3[0] < 0.95 * wanted
    assert found.volume_angstrom3[-40:].mean() == pytest.approx(wanted, rel=0.01)


def test_a_dynamics_that_blows_up_is_a_failure(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    run = replace(RUN, timestep_fs=60.0, steps=200, friction_per_ps=0.1)
    with pytest.raises(CalculationError, match="blew up"):
        advance(hopping_lattice(), lambda: hopping_ions(50.0), run, tmp_path)


def test_a_damaged_restart_is_named(
    hopping_ions: Any, hopping_lattice: Callable[..., Atoms], tmp_path: Path
) -> None:
    (tmp_path / RESTART).write_text("{}")
    with pytest.raises(CalculationError, match=r"restart\.json is damaged"):
        advance(hopping_lattice(), hopping_ions, RUN, tmp_path)
