"""What a rung costs, and what is unstable."""

from __future__ import annotations

import pytest

from discover.campaign import CalculationSettings
from discover.ladder import core_hours, rung_costs, rung_index, unstable
from discover.records import Calculation, CalculationState, Observation

RUNGS = (
    CalculationSettings(kind="agl", engine="potential", name="rough"),
    CalculationSettings(kind="agl", engine="gpaw", cost_core_seconds=100.0),
)


def calculation(order: int, fidelity: str, **changes: object) -> Calculation:
    fields: dict[str, object] = {
        "id": f"c{order}",
        "candidate": f"candidate-{order}",
        "order": order,
        "kind": "agl",
        "engine": "potential",
        "fidelity": fidelity,
        "picked_by": "initial",
        "state": CalculationState.DONE,
        "seconds": 4.0,
        "cores": 2,
    }
    return Calculation.model_validate(fields | changes)


def observation(of: Calculation, name: str, value: float) -> Observation:
    return Observation(
        id=f"{of.id}-{name}",
        candidate=of.candidate,
        calculation=of.id,
        property=name,
        value=value,
        unit="THz",
        fidelity=of.fidelity,
        source="test",
    )


def test_rungs_are_named_by_kind_and_engine_or_as_told() -> None:
    assert rung_index(RUNGS) == {"rough": 0, "agl/gpaw": 1}


def test_a_cost_is_measured_in_seconds_times_cores_to_a_power_of_two() -> None:
    measured = [
        calculation(0, "rough", seconds=4.0, cores=2),
        calculation(1, "rough", seconds=1.5, cores=2),
        calculation(2, "rough", state=CalculationState.FAILED, seconds=7.0, cores=1),
        calculation(3, "rough", state=CalculationState.RUNNING, seconds=None),
        calculation(4, "static/gpaw", seconds=1e6),
    ]
    assert rung_costs(measured, RUNGS) == [8.0, 128.0]  # (8 + 3 + 7)/3 = 6, and the prior of 100


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_a_machine_that_is_a_little_slower_changes_no_cost(factor: float) -> None:
    assert rung_costs([calculation(0, "rough", seconds=4.0 * factor)], RUNGS)[0] == 8.0


def test_unknown_costs_are_guessed_from_their_neighbours() -> None:
    bare = tuple(CalculationSettings(name=name) for name in ("a", "b", "c"))
    cheap, middle, dear = rung_costs([], bare)
    assert cheap < middle < dear
    known = rung_costs([calculation(0, "b", seconds=512.0, cores=1)], bare)
    assert known == [64.0, 512.0, 4096.0]  # 51.2 and 5120, to powers of two


def test_core_hours_are_those_of_what_is_over() -> None:
    over = [calculation(0, "rough", seconds=900.0), calculation(1, "rough", seconds=None)]
    running = calculation(2, "rough", state=CalculationState.RUNNING, seconds=900.0)
    assert core_hours([*over, running]) == 0.5


def test_what_is_done_without_a_value_and_has_imaginary_modes_is_unstable() -> None:
    soft, stiff, odd, failed = (
        calculation(0, "rough"),
        calculation(1, "rough"),
        calculation(2, "rough"),
        calculation(3, "rough", state=CalculationState.FAILED),
    )
    observations = [
        observation(soft, "minimum_frequency", -2.1),
        observation(stiff, "minimum_frequency", 0.0),
        observation(odd, "minimum_frequency", -0.01),
        observation(odd, "thermal_conductivity", 3.0),
        observation(failed, "minimum_frequency", -1.0),
    ]
    found = unstable([soft, stiff, odd, failed], observations, "thermal_conductivity")
    assert found == {soft.id: -2.1}
