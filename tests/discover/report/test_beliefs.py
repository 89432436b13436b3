"""What `auto` decided, as its model cards tell it and as it is drawn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from discover.properties import property_named
from discover.records import ModelCard
from discover.report.beliefs import beliefs_figure, beliefs_of
from discover.report.canvas import inline_svg
from surrogates import TrainingData
from surrogates.auto import Auto
from surrogates.conformance import example_data
from surrogates.gp import GaussianProcess

FAMILIES = ("bayesian-ridge", "gp", "random-forest")


def card_of(model: Any) -> ModelCard:
    return ModelCard(
        id="a",
        surrogate="auto",
        created_at=0.0,
        data_hash="0",
        n_observations=24,
        fit_seconds=1.0,
        metrics={},
        details=json.loads(json.dumps(model.details)),
    )


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return example_data(24)


def test_the_card_of_auto_says_whom_it_believes(data: TrainingData) -> None:
    model = Auto(families=FAMILIES).fit(data, seed=0)
    (found,) = beliefs_of(card_of(model))
    judged = model.details["judged"]
    assert set(found.families) == set(FAMILIES)
    assert found.decided_on == 20
    np.testing.assert_allclose(np.nansum(found.weights, axis=0), 1.0)
    assert found.weights[0].sum() == np.nansum(found.weights, axis=1).max()
    for family, weights, errors in zip(found.families, found.weights, found.errors, strict=True):
        assert errors[0] == judged["crps"][family]["group"]
        assert errors[3] == judged["crps"][family]["cluster"]
        if family in judged["weights"]["edge"]:
            assert weights[1] == judged["weights"]["edge"][family]
        else:
            assert np.isnan(weights).all()
    svg = inline_svg(beliefs_figure([found], [property_named("thermal_conductivity")]), "beliefs")
    assert all(f">{family}</text>" in svg for family in FAMILIES)
    assert f">{found.errors[0][0]:#.2g}</text>" in svg
    assert "log₁₀" in svg


def test_of_several_properties_each_is_told(data: TrainingData) -> None:
    two = TrainingData(data.x, torch.cat([data.y, -data.y], dim=1))
    found = beliefs_of(card_of(Auto(families=FAMILIES[:2]).fit(two, seed=0)))
    assert len(found) == 2
    targets = [property_named("oxidation_potential"), property_named("dipole_moment")]
    svg = inline_svg(beliefs_figure(found, targets), "beliefs")
    assert "oxidation potential" in svg
    assert "dipole moment" in svg


def test_a_family_that_could_not_be_fitted_has_no_numbers(data: TrainingData) -> None:
    card = card_of(Auto(families=FAMILIES).fit(data, seed=0))
    judged: Any = card.details["judged"]
    judged["crps"]["gp"] = dict.fromkeys(judged["crps"]["gp"])
    for weights in judged["weights"].values():
        weights.pop("gp", None)
    (found,) = beliefs_of(card)
    assert found.families[-1] == "gp"
    assert np.isnan(found.errors[-1]).all()
    assert "–" in inline_svg(beliefs_figure([found], [property_named("bulk_modulus")]), "b")


def test_other_surrogates_have_nothing_to_tell(data: TrainingData) -> None:
    card = card_of(GaussianProcess().fit(data, seed=0))
    assert beliefs_of(card) == []
    assert beliefs_of(card.model_copy(update={"details": {"judged": {"by": "me"}}})) == []
