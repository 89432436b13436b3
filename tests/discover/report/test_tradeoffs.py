"""The figures of several objectives."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from discover.folder import CampaignFolder
from discover.report.findings import Findings
from discover.report.tradeoffs import random_growth


def test_every_figure_is_drawn_and_names_the_candidates(several: CampaignFolder) -> None:
    spec = several.load()
    with closing(several.open_existing_store(spec)) as store:
        drawn = Findings(spec, store, now=100.0).figures()
    assert {"front", "parallel", "hypervolume"} <= drawn.keys()
    (pair,) = (axes for axes in drawn["front"].axes if axes.get_visible())
    points = {label.get_label(): label.get_offsets() for label in pair.collections}
    assert {name: len(np.asarray(at)) for name, at in points.items()} == {
        "on the front": 2,
        "dominated": 1,
        "misses a constraint": 1,
    }
    lines = [line for line in drawn["parallel"].axes[0].lines if line.get_url()]
    assert len(lines) == 4
    assert all(len(np.asarray(line.get_xdata())) == 3 for line in lines)


def test_random_orders_end_where_everything_is_known(several: CampaignFolder) -> None:
    spec = several.load()
    with closing(several.open_existing_store(spec)) as store:
        findings = Findings(spec, store, now=100.0)
        ordered = sorted(findings.complete, key=lambda one: one.order)
        told = findings.status.tradeoff
        low, mean, high = random_growth(spec, ordered, np.empty((0, 3)))
    assert told is not None
    assert [mean[-1], low[-1], high[-1]] == pytest.approx([told.hypervolume] * 3)
    assert (np.diff(mean) > -1e-9).all()
    better = np.tile([[3.0, 0.0, 2.0]], (40, 1))  # what a model believes of those never computed
    assert random_growth(spec, ordered, better)[1][-1] > mean[-1]
