"""Objectives and constraints of a campaign file: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from discover.campaign import CampaignSpec, parse_schema
from discover.objectives import Constraint, Objective, target_of

TWO = [
    {"property": "bulk_modulus", "reference": 10},
    {"property": "debye_temperature", "goal": "min", "reference": 900},
]


def problems_of(**content: Any) -> str:
    return "\n".join(parse_schema(content, "f")[1].values())


def test_one_objective_is_a_list_of_one() -> None:
    one = CampaignSpec.model_validate({"objective": {"goal": "min"}})
    assert one.sought == (one.objective,)
    several = CampaignSpec.model_validate({"objectives": TWO})
    assert several.objective == several.sought[0] == several.objectives[0]
    assert several.target.name == "bulk_modulus"
    assert CampaignSpec.model_validate_json(several.model_dump_json()) == several


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"objectives": TWO, "objective": {"goal": "min"}},
            "objective: there are objectives already",
        ),
        ({"objectives": [TWO[0], TWO[0]]}, "objectives: bulk_modulus: stands 2 times"),
        ({"objectives": [TWO[0], {"property": "density"}]}, "density: reference is missing"),
        (
            {"objectives": [TWO[0], {"property": "density", "goal": "extremes", "reference": 1}]},
            "'extremes' has no trade-off",
        ),
        ({"objectives": [{"property": "bulk_modulus", "reference": -1}]}, "has no logarithm"),
        ({"objectives": [{"property": "bulk_moduls"}]}, "did you mean 'bulk_modulus'"),
        ({"constraints": [{"property": "density"}]}, "constraints.0: give above, below or both"),
        (
            {"constraints": [{"property": "density", "above": 3, "below": 2}]},
            "no density is above 3 and below 2 g/cm³",
        ),
        ({"constraints": [{"property": "density", "above": 1e3}]}, "is not plausible"),
        (
            {
                "constraints": [
                    {"property": "density", "above": 1},
                    {"property": "density", "below": 2},
                ]
            },
            "stands 2 times; give above and below in one",
        ),
        (
            {"ladder": [{}], "calculations": [{}]},
            "calculations: a campaign has a ladder or several",
        ),
        ({"learn": ["densty"]}, "learn.0: unknown property"),
    ],
)
def test_what_makes_no_sense_is_refused(content: dict[str, Any], told: str) -> None:
    assert told in problems_of(**content)


def test_everything_wrong_is_told_at_once() -> None:
    found = problems_of(
        objectives=[TWO[0], {"property": "density", "goal": "extremes"}],
        constraints=[{"property": "density"}, {"property": "x"}],
        learn=["y"],
    )
    assert len(found.splitlines()) == 4
    assert "reference is missing" in found
    assert "extremes" in found


def test_what_meets_a_constraint() -> None:
    limit = Constraint(property="bulk_modulus", above=10, below=20)
    assert [limit.met_by(value) for value in (10.0, 15.0, 20.0)] == [False, True, False]
    assert limit.in_words() == "bulk_modulus above 10 and below 20 GPa"


def test_a_scale_of_ones_own() -> None:
    assert target_of(Objective(property="bulk_modulus")).transform == "log10"
    assert target_of(Objective(property="bulk_modulus", transform="none")).transform == "none"
