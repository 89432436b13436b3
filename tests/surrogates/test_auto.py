from dataclasses import replace

import numpy as np
import pytest
import torch

from discover import plugins
from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.auto import (
    FAMILIES,
    REGIMES,
    WITH_CATEGORIES,
    Auto,
    crps,
    judge_families,
    prior_of,
)
from surrogates.conformance import TabularConformance, example_data
from surrogates.gated_mixture import Blend, Gate, GatedMixture
from surrogates.gaussian import GaussianModel


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


def test_the_shares_of_the_regimes_add_up():
    data = example_data(30)
    gate = Gate.of(data)
    x = torch.cat([data.x, 5 * data.x])
    mean = torch.cat([data.y, data.y]).squeeze(-1)
    inside, edge, novel = shares = gate(x, mean)
    torch.testing.assert_close(shares.sum(dim=0), torch.ones(60).double())
    assert bool((shares >= 0).all())
    assert float(edge[mean.argmax()]) > 0.5
    middle = (mean - data.y.median()).abs() < 0.1
    assert float(inside[:30][middle[:30]].min()) > 0.3
    assert float(novel[30:][middle[30:]].min()) > 0.9


class Steady(GaussianModel):
    """The same mean and variance everywhere, each point by itself."""

    def __init__(self, mean, variance):
        super().__init__()
        self.mean, self.variance = mean, variance

    def moments(self, x, *, observation_noise=False):
        return torch.full(x.shape[:-1], self.mean).double(), self.variance * torch.eye(x.shape[-2])


def test_who_is_unsure_of_a_candidate_is_believed_less_there():
    data = example_data(30)
    members = {"sure": Steady(1.0, 0.1), "unsure": Steady(5.0, 10.0)}
    equal, scales = torch.full((len(REGIMES), 2), 0.5).double(), torch.ones(len(REGIMES)).double()
    model = GatedMixture(members, Blend(equal, scales, Gate.of(data)), {})
    mean, covariance = model.moments(data.x[:3].double())
    shares = np.array([1 / 0.1, 1 / 10.0]) / (1 / 0.1 + 1 / 10.0)
    expected = float(shares @ [1.0, 5.0])
    torch.testing.assert_close(mean, torch.full((3,), expected).double())
    spread = float(shares @ (np.array([1.0, 5.0]) - expected) ** 2)
    own = float(shares @ [0.1, 10.0])
    torch.testing.assert_close(covariance.diagonal(), torch.full((3,), own + spread).double())
    # where held-out errors were three times what all stated, no mean changes, all intervals do
    humbled, wider = GatedMixture(members, Blend(equal, 3 * scales, Gate.of(data)), {}).moments(
        data.x[:3].double()
    )
    torch.testing.assert_close(humbled, mean)
    torch.testing.assert_close(wider, 9 * covariance)


class Boastful:
    """A Bayesian ridge that states a third of its standard deviation."""

    def fit(self, data, seed):
        honest = plugins.create("surrogates", "bayesian-ridge").fit(data, seed)
        weights, scales = torch.ones(len(REGIMES), 1).double(), torch.full((len(REGIMES),), 1 / 3)
        return GatedMixture({"it": honest}, Blend(weights, scales.double(), Gate.of(data)), {})


def test_what_the_families_say_together_is_scaled_to_its_held_out_errors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = x @ np.ones((4, 1)) + rng.normal(size=(200, 1))
    data = TrainingData(torch.tensor(x), torch.tensor(y))
    found = judge_families({"boastful": Boastful()}, data, 0, 200)
    inside, _, novel = found.scales
    assert inside == pytest.approx(3, rel=0.2)
    assert 1 < novel < 4
    assert found.figures["scales"] == dict(zip(REGIMES, found.scales, strict=True))


def test_trees_need_more_evidence_at_the_edge_than_trends():
    families = ("gp-linear", "random-forest", "mine")
    assert prior_of(families, at_edge=False) == pytest.approx([3, 3, 3])
    trend, trees, mine = prior_of(families, at_edge=True)
    assert trend > mine > trees > 0
    assert trend + trees + mine == pytest.approx(9)


def test_categories_ask_for_a_family_more():
    data = example_data(40)
    held = (torch.arange(40) % 2).unsqueeze(-1).double()
    described = replace(data, x=torch.cat([data.x, held], dim=1), categorical=(data.x.shape[1],))
    assert set(Auto().fit(data, seed=0).details["judged"]["crps"]) == set(FAMILIES)
    asked = set(Auto().fit(described, seed=0).details["judged"]["crps"])
    assert asked == {*FAMILIES, *WITH_CATEGORIES}


def test_crps_against_its_definition():
    """∫ (F(t) - 1{t ≥ y})² dt, by quadrature."""
    from scipy.stats import norm

    t = np.linspace(-20, 20, 400_001)
    y, mean, std = 0.7, -0.4, 1.7
    integral = np.trapezoid((norm.cdf(t, mean, std) - (t >= y)) ** 2, t)
    found = crps(np.array([y]), np.array([mean]), np.array([std]))
    assert float(found[0]) == pytest.approx(float(integral), rel=1e-4)


class Never:
    """A family that never has an answer."""

    def fit(self, data, seed):
        raise SurrogateError("not today")


def test_a_family_that_cannot_be_fitted_changes_nothing_for_the_others():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    data = TrainingData(torch.tensor(x), torch.tensor(x @ np.ones((4, 1))))
    families = ("bayesian-ridge", "random-forest")
    of_alone = judge_families(Auto(families)._families, data, 0, 200)
    of_beside = judge_families({**Auto(families)._families, "never": Never()}, data, 0, 200)
    assert of_beside.families[:1] == of_alone.families[:1] == ("bayesian-ridge",)
    first, second = of_beside.weights[:, :2].T / of_beside.weights[:, :2].sum(axis=1)
    assert first == pytest.approx(of_alone.weights[:, 0], abs=0.1)
    assert first + second == pytest.approx(1)
    assert of_beside.scales == pytest.approx(of_alone.scales, abs=0.1)
    assert of_beside.figures["held_out_rows"] == of_alone.figures["held_out_rows"]


def test_rows_that_are_described_alike_have_no_clusters_and_are_judged_all_the_same():
    data = example_data(30)
    x = data.x.clone()
    x[:20] = x[0]
    model = Auto(families=("bayesian-ridge", "gp-linear")).fit(TrainingData(x, data.y), seed=0)
    assert set(model.members) <= {"bayesian-ridge", "gp-linear"}
