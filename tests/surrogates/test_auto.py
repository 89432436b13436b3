from dataclasses import replace

import numpy as np
import pytest
import torch

from surrogates import TrainingData
from surrogates.auto import FAMILIES, WITH_CATEGORIES, Auto
from surrogates.conformance import TabularConformance, example_data
from surrogates.judgement import REGIMES


class TestAuto(TabularConformance):
    @pytest.fixture(scope="class")
    def surrogate(self):
        return Auto(families=("bayesian-ridge", "gp-linear"))


def test_a_linear_world_is_left_to_the_linear_family_at_the_edge():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    data = TrainingData(torch.tensor(x), torch.tensor(x @ np.ones((4, 1))))
    model = Auto(families=("bayesian-ridge", "random-forest")).fit(data, seed=0)
    judged = model.details["judged"]
    assert judged["weights"]["edge"]["bayesian-ridge"] > 0.9
    figures = judged["crps"]
    for split in (name for splits in REGIMES.values() for name in splits):
        assert figures["bayesian-ridge"][split] < figures["random-forest"][split]
    with torch.no_grad():
        far = model.posterior(torch.full((1, 4), 3.0).double()).mean
    assert float(far) == pytest.approx(12, rel=0.1)


def test_a_decision_holds_for_a_while():
    surrogate = Auto(families=("bayesian-ridge",), every=20)
    data = example_data(44)
    first = surrogate.fit(data.rows(torch.arange(41)), seed=0).details["judged"]
    assert first["decided_on"] == 40
    assert surrogate.fit(data, seed=0).details["judged"] == first
    assert surrogate.fit(data.rows(torch.arange(15)), 0).details["judged"]["decided_on"] == 15


def test_categories_ask_for_a_family_more():
    data = example_data(40)
    held = (torch.arange(40) % 2).unsqueeze(-1).double()
    described = replace(data, x=torch.cat([data.x, held], dim=1), categorical=(data.x.shape[1],))
    assert set(Auto().fit(data, seed=0).details["judged"]["crps"]) == set(FAMILIES)
    asked = set(Auto().fit(described, seed=0).details["judged"]["crps"])
    assert asked == {*FAMILIES, *WITH_CATEGORIES}


def test_rows_that_are_described_alike_have_no_clusters_and_are_judged_all_the_same():
    data = example_data(30)
    x = data.x.clone()
    x[:20] = x[0]
    model = Auto(families=("bayesian-ridge", "gp-linear")).fit(TrainingData(x, data.y), seed=0)
    assert set(model.members) <= {"bayesian-ridge", "gp-linear"}
