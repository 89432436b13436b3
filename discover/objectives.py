"""What a campaign searches for: objectives, and constraints that a candidate has to meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, FiniteFloat, model_validator

from discover import plugins
from discover.properties import PROPERTIES, Property, Transform, property_named
from discover.section import Section

Goal = Literal["max", "min", "extremes"]


def is_no_result(goal: Goal, bound: Literal["below", "above"] | None) -> bool:
    """Whether a value is a bound which leaves open how much worse the true one is.

    Such a one can be learned from, but is neither the best value nor to be improved on.
    """
    return bound is not None and bound != {"max": "above", "min": "below"}.get(goal)


def _known(name: str) -> str:
    if name not in PROPERTIES:
        raise ValueError(f"unknown property {name!r}{plugins.suggestion(name, PROPERTIES)}")
    return name


PropertyName = Annotated[str, AfterValidator(_known)]


class Objective(Section):
    """What is searched for."""

    property: PropertyName = "thermal_conductivity"
    """Name of the property."""
    goal: Goal = "max"
    """Wanted end of its range: max, min, or (a single objective) extremes, which is both."""
    reference: FiniteFloat | None = None
    """Of several: the worst value, in the property's unit, from which on an improvement counts."""
    transform: Transform | None = None
    """Scale on which it is learned and improvements are measured; null: the property's own."""

    @model_validator(mode="after")
    def _has_a_logarithm(self) -> Objective:
        if self.reference is not None:
            _on_model_scale(target_of(self), self.reference, "reference")
        return self


def target_of(objective: Objective) -> Property:
    """Its property, with the transform replaced where another is asked for."""
    known = property_named(objective.property)
    return known if objective.transform is None else replace(known, transform=objective.transform)


class Constraint(Section):
    """A property that has to lie above or below a value, or between two, in its unit."""

    property: PropertyName
    """Name of the property."""
    above: FiniteFloat | None = None
    """Value that it must exceed; null: none."""
    below: FiniteFloat | None = None
    """Value that it must stay below; null: none."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Constraint:
        limited = property_named(self.property)
        low, high = limited.plausible
        if self.above is None and self.below is None:
            raise ValueError("give above, below or both")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise ValueError(
                f"contradicts itself: no {self.property} is above {self.above:g} and below "
                f"{self.below:g} {limited.unit}"
            )
        if (self.above is not None and self.above >= high) or (
            self.below is not None and self.below <= low
        ):
            raise ValueError(
                f"cannot be met: a {self.property} outside of {low:g} to {high:g} {limited.unit} "
                "is not plausible"
            )
        for name, value in (("above", self.above), ("below", self.below)):
            if value is not None:
                _on_model_scale(limited, value, name)
        return self

    def met_by(self, value: float) -> bool:
        """Whether a value, in the property's unit, is allowed."""
        above = self.above is None or value > self.above
        return above and (self.below is None or value < self.below)

    def is_decided(self, value: float, bound: Literal["below", "above"] | None) -> bool:
        """Whether a value that may be a bound tells if the constraint is met."""
        if bound == "below":
            disproved = self.above is not None and value <= self.above
            return disproved or (self.above is None and self.met_by(value))
        if bound == "above":
            disproved = self.below is not None and value >= self.below
            return disproved or (self.below is None and self.met_by(value))
        return True

    def in_words(self) -> str:
        """Such as `bulk_modulus above 50 GPa`."""
        unit = property_named(self.property).unit
        limits = (("above", self.above), ("below", self.below))
        told = " and ".join(f"{name} {value:g}" for name, value in limits if value is not None)
        return f"{self.property} {told}" + ("" if unit == "1" else f" {unit}")


def check_objectives(objectives: Sequence[Objective]) -> None:
    """ValueError naming everything that makes several objectives impossible to trade off."""
    problems = _repeated([objective.property for objective in objectives])
    for objective in objectives if len(objectives) > 1 else ():
        if objective.goal == "extremes":
            problems.append(
                f"{objective.property}: the goal 'extremes' has no trade-off with others: choose max "
                "or min"
            )
        if objective.reference is None:
            problems.append(
                f"{objective.property}: reference is missing: of several objectives each needs the "
                f"worst value ({target_of(objective).unit}) from which on an improvement counts"
            )
    if problems:
        raise ValueError("; ".join(problems))


def check_constraints(constraints: Sequence[Constraint]) -> None:
    """ValueError where a property is constrained twice."""
    problems = _repeated([constraint.property for constraint in constraints])
    if problems:
        raise ValueError("; ".join(problems) + "; give above and below in one")


def _repeated(names: Sequence[str]) -> list[str]:
    return [
        f"{name}: stands {names.count(name)} times"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]


def _on_model_scale(target: Property, value: float, key: str) -> None:
    try:
        target.to_model(value)
    except ValueError:
        raise ValueError(
            f"{key}: {value:g} {target.unit} has no logarithm, and {target.name} is learned on a "
            "logarithmic scale"
        ) from None
