"""What is known of each candidate, as a table: a row a candidate and rung, a column a property."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from discover.campaign import CampaignSpec
from discover.ladder import rung_index
from discover.objectives import is_no_result
from discover.records import Observation
from discover.store.base import Store


@dataclass(frozen=True)
class KnownRows:
    """Values (k x p) of `spec.modelled`, on the model's scale and not a number where one is missing.

    `candidates` (k) are ids, `rungs` (k) places on the ladder (all 0 without one).
    `observations` are those that the values come from, row by row. Where imported values of another
    fidelity are among them, `own` (k) says which ones the campaign's calculation gave, or might have.
    """

    candidates: list[str]
    rungs: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    observations: list[tuple[Observation, ...]]
    own: npt.NDArray[np.bool_] | None = None

    def only(self, rung: int) -> KnownRows:
        """The rows at one rung."""
        return self._rows(np.flatnonzero(self.rungs == rung))

    def comparable(self) -> KnownRows:
        """The rows that results are to be measured by: the campaign's own, as soon as there is one."""
        if self.own is None or not self.own.any():
            return self
        return self._rows(np.flatnonzero(self.own))

    def sure(self, spec: CampaignSpec) -> npt.NDArray[np.float64]:
        """Values (k x p) without bounds that leave open how good a result is, or if a limit is met."""
        values = self.values.copy()
        columns = {target.name: column for column, target in enumerate(spec.modelled)}
        goals = {objective.property: objective.goal for objective in spec.sought}
        limits = {constraint.property: constraint for constraint in spec.constraints}
        for row, observations in enumerate(self.observations):
            for one in observations:
                goal, limit = goals.get(one.property), limits.get(one.property)
                unsure = goal is not None and is_no_result(goal, one.bound)
                if unsure or (limit is not None and not limit.is_decided(one.value, one.bound)):
                    values[row, columns[one.property]] = np.nan
        return values

    def _rows(self, kept: npt.NDArray[np.intp]) -> KnownRows:
        return KnownRows(
            [self.candidates[row] for row in kept],
            self.rungs[kept],
            self.values[kept],
            [self.observations[row] for row in kept],
            None if self.own is None else self.own[kept],
        )


def usable_observations(store: Store, spec: CampaignSpec) -> list[Observation]:
    """Observations of the modelled properties outside quarantine, at any rung, as they were picked.

    The order of picks does not depend on which job ended first, so a resumed campaign fits the very
    same model.
    """
    order = {calculation.id: calculation.order for calculation in store.calculations()}
    rungs = rung_index(spec.rungs)
    names = {target.name for target in spec.modelled}
    observations = store.observations(spec.target.name) if len(names) == 1 else store.observations()
    return sorted(
        # without a ladder, whatever was observed is of its one fidelity
        (
            o
            for o in observations
            if o.property in names and (o.fidelity in rungs or not spec.ladder)
        ),
        key=lambda o: (order.get(o.calculation or "", -1), o.id),
    )


def is_own(spec: CampaignSpec, observation: Observation) -> bool:
    """Whether a value was computed here, or imported as being of the fidelity of such a calculation."""
    return observation.calculation is not None or observation.fidelity in rung_index(spec.rungs)


def has_foreign(spec: CampaignSpec, observations: Sequence[Observation]) -> bool:
    """Whether the surrogate is to tell values of another fidelity, which were imported, from own ones.

    It does by a column beside the descriptors (`with_source`): what another method or an experiment says
    may be off by more than chance, and by how much is for it to learn. With a ladder values are of its
    rungs; of several properties those of any fidelity are taken as they are.
    """
    single = len(spec.modelled) == 1 and not spec.ladder and not spec.calculations
    return single and not all(is_own(spec, observation) for observation in observations)


def with_source(
    features: npt.NDArray[np.float64], own: npt.NDArray[np.bool_] | bool | None
) -> npt.NDArray[np.float64]:
    """Descriptors (n x d) with a column that is 1 for the campaign's own values; None: without it."""
    if own is None:
        return features
    return np.column_stack([features, np.broadcast_to(own, len(features)).astype(np.float64)])


def results_in(observations: Sequence[Observation]) -> int:
    """How many results these values are: those of one calculation are one."""
    return len({o.calculation or o.id for o in observations})


def known_rows(spec: CampaignSpec, observations: Sequence[Observation]) -> KnownRows:
    """The table of these observations, in their order.

    A value that came twice, from two sources, gets a row of its own. Of a property that several of the
    campaign's `calculations` give, the value of the last one in the file counts.
    """
    columns = {target.name: column for column, target in enumerate(spec.modelled)}
    rungs = rung_index(spec.rungs)
    last = len(rungs) - 1
    rows: list[dict[int, Observation]] = []
    places: dict[tuple[str, int], list[int]] = {}
    keys: list[tuple[str, int]] = []
    for observation in observations:
        rung = rungs.get(observation.fidelity, last)
        key = (observation.candidate, rung if spec.ladder else 0)
        column = columns[observation.property]
        for row in places.setdefault(key, []):
            present = rows[row].get(column)
            if present is None:
                rows[row][column] = observation
                break
            if spec.calculations and present.fidelity != observation.fidelity:
                if rungs.get(present.fidelity, last) < rung:
                    rows[row][column] = observation
                break
        else:
            places[key].append(len(rows))
            keys.append(key)
            rows.append({column: observation})
    values = np.full((len(rows), len(columns)), np.nan)
    for row, known in enumerate(rows):
        for column, observation in known.items():
            values[row, column] = spec.modelled[column].to_model(observation.value)
    return KnownRows(
        candidates=[candidate for candidate, _ in keys],
        rungs=np.array([rung for _, rung in keys], dtype=np.int64),
        values=values,
        observations=[tuple(known.values()) for known in rows],
        own=np.array([all(is_own(spec, o) for o in known.values()) for known in rows], dtype=bool)
        if has_foreign(spec, observations)
        else None,
    )
