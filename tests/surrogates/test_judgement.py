import numpy as np
import pytest
import torch

from discover import plugins
from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.gated_mixture import Blend, Gate, GatedMixture
from surrogates.gaussian import GaussianModel
from surrogates.judgement import REGIMES, crps, judge_families, prior_of


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


class Ignorant(GaussianModel):
    """Foresees the same of all, and is right about how far that is off."""

    def fit(self, data, seed):
        return self

    def moments(self, x, *, observation_noise=False):
        return torch.zeros(x.shape[:-1]).double(), torch.eye(x.shape[-2]).double()


def test_ends_of_the_range_that_nobody_foresaw_do_not_make_the_inside_less_certain():
    rng = np.random.default_rng(1)
    data = TrainingData(
        torch.tensor(rng.normal(size=(200, 4))), torch.tensor(rng.normal(size=(200, 1)))
    )
    found = judge_families({"ignorant": Ignorant()}, data, 0, 200)
    inside, _, novel = found.scales
    assert (inside, novel) == pytest.approx((1, 1), abs=0.1)
    edge = found.figures["crps"]["ignorant"]["property-top"]
    assert edge > 1.5 * found.figures["crps"]["ignorant"]["group"]


def test_trees_need_more_evidence_at_the_edge_than_trends():
    families = ("gp-linear", "random-forest", "mine")
    assert prior_of(families, at_edge=False) == pytest.approx([3, 3, 3])
    trend, trees, mine = prior_of(families, at_edge=True)
    assert trend > mine > trees > 0
    assert trend + trees + mine == pytest.approx(9)


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
    families = {n: plugins.create("surrogates", n) for n in ("bayesian-ridge", "random-forest")}
    of_alone = judge_families(families, data, 0, 200)
    of_beside = judge_families({**families, "never": Never()}, data, 0, 200)
    assert of_beside.families[:1] == of_alone.families[:1] == ("bayesian-ridge",)
    first, second = of_beside.weights[:, :2].T / of_beside.weights[:, :2].sum(axis=1)
    assert first == pytest.approx(of_alone.weights[:, 0], abs=0.1)
    assert first + second == pytest.approx(1)
    assert of_beside.scales == pytest.approx(of_alone.scales, abs=0.1)
    assert of_beside.figures["held_out_rows"] == of_alone.figures["held_out_rows"]
