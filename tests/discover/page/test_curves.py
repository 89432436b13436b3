"""The numbers of the figures."""

from __future__ import annotations

import numpy as np
import pytest

from discover.page.catalogue import OpenCampaign
from discover.page.curves import model_rows, predictions, ranked, search_curve, thinned
from discover.records import ModelCard


def test_the_search_curve(campaign: OpenCampaign) -> None:
    curve = search_curve(campaign.findings)
    assert len(curve.points) == 23  # one of 24 results is in quarantine
    (tail,) = curve.tails
    values = [point.value for point in curve.points]
    assert tail.end == "highest"
    assert tail.best == pytest.approx(np.maximum.accumulate(values))
    assert all(
        low <= middle <= high
        for low, middle, high in zip(
            tail.expected_low, tail.expected, tail.expected_high, strict=True
        )
    )
    assert curve.unpicked > 0


@pytest.mark.parametrize("goal", ["min", "extremes"])
def test_the_search_curve_for_the_low_end(goal: str, campaign: OpenCampaign) -> None:
    spec = campaign.spec.model_copy(
        update={"objective": campaign.spec.objective.model_copy(update={"goal": goal})}
    )
    campaign.findings.__dict__.update(spec=spec)
    tail = search_curve(campaign.findings).tails[-1]
    assert tail.end == "lowest"
    assert tail.best[-1] == min(row.value for row in campaign.findings.rows)
    assert tail.expected[0] > tail.expected[-1]
    assert all(low <= high for low, high in zip(tail.expected_low, tail.expected_high, strict=True))


def test_predictions_and_their_calibration(campaign: OpenCampaign) -> None:
    told = predictions(campaign.findings)
    assert len(told.rows) == 19  # all but the initial picks, which are one less for the quarantine
    assert 0 <= told.inside <= len(told.rows)
    assert told.calibration is not None
    assert told.calibration.n == len(told.rows)
    assert {(d.where, d.n_observations) for d in told.domain} == {
        (where, n) for where in ("inside", "outside") for n in (11, 21)
    }


def test_the_ranking_with_what_the_last_model_says(campaign: OpenCampaign) -> None:
    rows = ranked(campaign.findings, campaign.findings.rows)
    known = [row for row in rows if row.now is not None]
    assert len(known) == 20  # the last card is of 21 observations, one of them in quarantine now
    for row in known:
        assert row.now_low is not None
        assert row.now_high is not None
        assert row.now_low < row.now < row.now_high  # type: ignore[operator]
        assert np.log10(row.now_high / row.now_low) == pytest.approx(2 * 1.6449 * 0.25)


def test_model_cards_leave_out_what_is_long(campaign: OpenCampaign) -> None:
    rows = model_rows(campaign.findings.cards)
    assert [row.n_observations for row in rows] == [11, 21]
    assert all({"held_out", "unpicked"}.isdisjoint(row.details) for row in rows)


def test_many_cards_are_thinned_and_odd_ones_left_out(campaign: OpenCampaign) -> None:
    card = campaign.findings.cards[0]
    many = [card.model_copy(update={"id": str(i)}) for i in range(1000)]
    kept = thinned(many)
    assert len(kept) == 400
    assert (kept[0].id, kept[-1].id) == ("0", "999")
    odd: list[ModelCard] = [
        card.model_copy(update={"details": details})
        for details in ({}, {"domain": 3}, {"domain": {"inside": None, "outside": {"rows": 0}}})
    ]
    campaign.findings.__dict__["judged"] = odd
    assert predictions(campaign.findings).domain == ()
    assert ranked(campaign.findings, campaign.findings.rows)[0].now is None
