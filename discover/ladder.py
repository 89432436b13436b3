"""What the store says of a campaign's rungs: which a value belongs to, and what one costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from discover.campaign import CalculationSettings
from discover.records import Calculation, CalculationState, Observation

STABILITY = "minimum_frequency"
"""Property (THz) whose negative value says that a crystal is dynamically unstable."""
LABEL = "static"
"""Kind of the calculations that only teach the potential: they stand on no rung."""
COST_RATIO = 10.0
"""What a rung is guessed to cost over the one below, where neither a file nor a job has told."""

OVER = frozenset({CalculationState.DONE, CalculationState.FAILED})


def rung_index(rungs: Sequence[CalculationSettings]) -> dict[str, int]:
    """The place of each fidelity on the ladder, 0 for the cheapest."""
    return {rung.fidelity: index for index, rung in enumerate(rungs)}


def on_ladder(calculations: Iterable[Calculation]) -> list[Calculation]:
    """Without those that only teach the potential."""
    return [calculation for calculation in calculations if calculation.kind != LABEL]


def core_seconds(calculation: Calculation) -> float:
    """Wall time x cores of a calculation that told its time, 0 of one that did not."""
    return (calculation.seconds or 0.0) * (calculation.cores or 1)


def core_hours(calculations: Iterable[Calculation]) -> float:
    """What the calculations that are over took, in hours x cores."""
    return sum(core_seconds(c) for c in calculations if c.state in OVER) / 3600.0


def measured_costs(
    calculations: Iterable[Calculation], rungs: Sequence[CalculationSettings]
) -> list[float | None]:
    """Mean core seconds of the calculations that are over, failed ones too, for each rung."""
    taken: dict[str, list[float]] = {rung.fidelity: [] for rung in rungs}
    for calculation in calculations:
        if calculation.state in OVER and calculation.seconds and calculation.fidelity in taken:
            taken[calculation.fidelity].append(core_seconds(calculation))
    return [math.fsum(seconds) / len(seconds) if seconds else None for seconds in taken.values()]


def rung_costs(
    calculations: Iterable[Calculation], rungs: Sequence[CalculationSettings]
) -> list[float]:
    """Core seconds of a calculation at each rung, to a power of two: as measured, else as the file says.

    Run times differ from run to run; rounded like this they hardly ever change what is picked.
    Where nothing is known, a rung is guessed from its neighbours by `COST_RATIO`.
    """
    known = [
        measured or rung.cost_core_seconds
        for measured, rung in zip(measured_costs(calculations, rungs), rungs, strict=True)
    ]
    return [2.0 ** round(math.log2(cost)) for cost in _guessed(known)]


def _guessed(known: Sequence[float | None]) -> list[float]:
    places = [i for i, cost in enumerate(known) if cost is not None]
    if not places:
        return [COST_RATIO**i for i in range(len(known))]
    costs = []
    for i, cost in enumerate(known):
        nearest = min(places, key=lambda place: abs(place - i))
        costs.append(cost or (known[nearest] or 1.0) * COST_RATIO ** (i - nearest))
    return costs


def unstable(
    calculations: Iterable[Calculation], observations: Iterable[Observation], target: str
) -> dict[str, float]:
    """Lowest frequency (THz) of each calculation that found its crystal dynamically unstable.

    It is done, its lowest frequency is negative, and it gave no value of the property `target`.
    """
    lowest: dict[str, float] = {}
    valued = set()
    for observation in observations:
        if observation.calculation and observation.property == STABILITY:
            lowest[observation.calculation] = observation.value
        elif observation.calculation and observation.property == target:
            valued.add(observation.calculation)
    return {
        c.id: lowest[c.id]
        for c in calculations
        if c.state is CalculationState.DONE and c.id not in valued and lowest.get(c.id, 0.0) < 0.0
    }
