from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from discover.records import Prediction
from discover.report.findings import Findings
from discover.results import ranking

Make = Callable[..., Any]


def findings_of(campaign: Any) -> Findings:
    return Findings(campaign.spec, campaign.store, now=1.8e9)


def test_forecasts_are_the_picks_of_a_model(reported: Any) -> None:
    findings = findings_of(reported)
    assert [row.order for row in findings.forecasts] == list(range(5, 14))
    assert len(findings.picked) == 14


def test_z_scores_are_in_predicted_standard_deviations(reported: Any) -> None:
    z_scores = findings_of(reported).z_scores
    assert z_scores[3] == pytest.approx(2.2)  # the ninth pick: its mean was 2.2 std too low
    assert all(abs(z) < 0.9 for i, z in enumerate(z_scores) if i != 3)


def test_rejections_are_grouped_whatever_their_numbers(reported: Any) -> None:
    groups = findings_of(reported).rejections
    assert [(group.n, group.formulas) for group in groups] == [
        (3, ("NaF", "KF", "RbF")),
        (1, ("SrO",)),
    ]
    assert groups[0].example == "formation energy 0.13 eV/atom is above the limit 0.0"


def test_failures_keep_their_reason(reported: Any) -> None:
    assert [(f.formula, f.calculation.reason) for f in findings_of(reported).failures] == [
        ("MgS", "no minimum between -3 % and +3 % in length <after two widenings>"),
        ("LiCl", "no result after 2 attempt(s): exit code 137"),
    ]


def test_quarantined_values_are_apart_and_in_no_figure(campaign: Any) -> None:
    worst = ranking(campaign.store, campaign.spec)[-1]
    campaign.store.quarantine(f"{worst.calculation}-thermal_conductivity", "fit residual 2 meV")
    findings = findings_of(campaign)
    assert [row.formula for row in findings.quarantined] == [worst.formula]
    assert worst.formula not in {row.formula for row in findings.picked}


def test_figures_appear_when_there_is_enough_to_show(
    campaign_of: Make,
) -> None:
    campaign = campaign_of()
    appeared: dict[str, int] = {}
    for order in range(12):
        for name in findings_of(campaign).figures():
            appeared.setdefault(name, order)
        campaign.add_result(order)
        if order >= 5:
            campaign.add_card(order)
    assert appeared == {"search": 2, "parity": 6, "models": 7, "calibration": 10}


def test_a_certain_prediction_that_was_wrong_is_infinitely_far_off(
    campaign_of: Make,
) -> None:
    campaign = campaign_of()
    campaign.add_result(6, Prediction(mean=1.0, std=0.0, score=0.0, model="m"))
    assert findings_of(campaign).z_scores == [float("inf")]
