"""The map of the candidate space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from discover.page.catalogue import OpenCampaign
from discover.page.space import principal_axes, space_map


@settings(max_examples=25)
@given(st.integers(3, 60), st.integers(2, 12), st.integers(0, 10**6))
def test_the_axes_are_those_of_scikit_learn(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + rng.normal(size=d)
    ours = principal_axes(features)
    theirs = PCA(2).fit(StandardScaler().fit_transform(features))
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_, abs=1e-9)
    places = ours.project(features)
    expected = theirs.transform(StandardScaler().fit_transform(features))
    assert np.abs(places) == pytest.approx(np.abs(expected), abs=1e-6)


@pytest.mark.parametrize("features", [np.ones((5, 3)), np.arange(6.0)[:, None], np.eye(2)])
def test_degenerate_descriptors_have_places_too(features: np.ndarray) -> None:
    axes = principal_axes(features)
    assert np.isfinite(axes.project(features)).all()
    assert 0 <= sum(axes.explained) <= 1 + 1e-12


def test_every_candidate_is_on_the_map_by_what_became_of_it(campaign: OpenCampaign) -> None:
    told = space_map(campaign.findings)
    assert told.candidates == told.sampled == len(told.points) == 40
    states = [point.state for point in told.points]
    assert states.count("computed") == 23
    assert "rejected" in states
    values = {row.candidate: row.value for row in campaign.findings.rows}
    assert {p.candidate: p.value for p in told.points if p.value is not None} == values
    assert told == space_map(campaign.findings)
