import numpy as np
import pytest
import torch

from discover.errors import PluginError, SurrogateError
from surrogates import TrainingData
from surrogates.conformance import SurrogateConformance, example_data
from surrogates.gaussian import joint_moments
from surrogates.mixture import Mixture, stacking_weights
from surrogates.validation import validate


class TestMixture(SurrogateConformance):
    rows = 20

    @pytest.fixture(scope="class")
    def surrogate(self):
        return Mixture()


def test_moments_are_those_of_samples_from_the_mixture():
    """Draw a member by weight, then a function from it: same mean, same covariance."""
    data, x = example_data(12), example_data(3, seed=1).x
    model = Mixture().fit(data, seed=0)
    share = model.weights["gp-linear"]
    generator = np.random.default_rng(0)
    draws = []
    with torch.no_grad():
        for name, member in model.members.items():
            mean, covariance = (part.numpy() for part in joint_moments(member, x))
            n = round(400_000 * model.weights[name])
            draws.append(generator.multivariate_normal(mean, covariance, size=n))
        mean, covariance = joint_moments(model, x)
    samples = np.concatenate(draws)
    assert 0 < share < 1
    np.testing.assert_allclose(mean, samples.mean(axis=0), atol=3e-3)
    np.testing.assert_allclose(covariance, np.cov(samples.T), atol=0.02 * float(covariance.max()))


def test_the_better_predictor_weighs_more():
    """Member 1 gives every held-out value 10 times the density of member 0."""
    densities = np.log(np.tile([0.1, 1.0], (30, 1)))
    weights = stacking_weights(densities)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[1] > 0.9
    assert weights[0] > 0.02  # one pseudo-observation each


def test_observations_made_beforehand_count_like_others():
    """Thirty speak for member 1; sixty beforehand for member 0."""
    densities = np.log(np.tile([1e-9, 1.0], (30, 1)))
    found = stacking_weights(densities, np.array([60.0, 1e-9]))
    np.testing.assert_allclose(found, [2 / 3, 1 / 3], atol=1e-3)


def test_members_that_are_right_in_turn_share_the_weight():
    densities = np.log(np.array([[1.0, 0.01], [0.01, 1.0]] * 10))
    np.testing.assert_allclose(stacking_weights(densities), [0.5, 0.5])


def test_nothing_held_out_means_equal_weights():
    np.testing.assert_allclose(stacking_weights(np.full((3, 2), np.nan)), [0.5, 0.5])


def test_validation_predicts_every_row_of_a_group_without_the_group():
    """A group of twins whose target no other row suggests cannot be predicted well."""
    data = example_data(16)
    x = torch.cat([data.x, data.x[:1], data.x[:1]])
    y = torch.cat([data.y, data.y[:1] + 5, data.y[:1] + 5])
    groups = torch.cat([torch.arange(16), torch.tensor([16, 16])])
    held = validate(Mixture(), TrainingData(x, y, groups), seed=0).details["held_out"]
    twins = [row for row in held if row["row"] >= 16]
    assert len(held) == 18
    assert all(abs(row["mean"] - row["observed"]) > 2 for row in twins)


def test_an_unknown_member_is_named():
    with pytest.raises(PluginError, match=r"no surrogate is called 'gq'"):
        Mixture(members=("gq",))


def test_a_member_without_answers_leaves_the_weights_of_the_others():
    rng = np.random.default_rng(0)
    good, bad = rng.normal(-1, 0.1, 40), rng.normal(-3, 0.1, 40)
    none = np.full(40, np.nan)
    alone = stacking_weights(np.stack([good, bad], axis=1))
    beside = stacking_weights(np.stack([good, bad, none], axis=1))
    assert beside[2] < 0.05
    assert beside[0] / beside[1] == pytest.approx(alone[0] / alone[1], rel=0.1)


def test_a_member_that_cannot_be_fitted_is_left_out():
    """A message-passing network finds no crystals in plain descriptors."""
    data = example_data(20)
    model = Mixture(members=("gp", "graph-ensemble")).fit(data, seed=0)
    assert model.weights == {"gp": 1.0}
    assert "crystal" in model.details["refused"]["graph-ensemble"]
    with pytest.raises(SurrogateError, match=r"none can be fitted: .*graph-ensemble"):
        Mixture(members=("graph-ensemble",)).fit(data, seed=0)
