import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from discover import plugins
from surrogates import TrainingData
from surrogates.conformance import example_data
from surrogates.kernel_families import BayesianRidge, codes
from surrogates.tabular import beyond, known_noise, row_weights, told_by
from surrogates.validation import predict, validate


@given(
    bound=st.floats(-5, 5),
    mean=st.floats(-5, 5),
    std=st.floats(0.3, 4),
    side=st.sampled_from([-1, 1]),
)
def test_moments_beyond_a_bound_are_those_of_a_truncated_normal(bound, mean, std, side):
    found = beyond(*(torch.tensor([float(v)]).double() for v in (bound, side, mean, std)))
    z = (bound - mean) / std
    expected = truncnorm(*((z, float("inf")) if side > 0 else (-float("inf"), z)), mean, std)
    if abs(z) < 8:  # scipy loses digits farther out
        assert float(found[0]) == pytest.approx(expected.mean(), rel=1e-3, abs=1e-3)
        assert float(found[1]) == pytest.approx(expected.std(), rel=1e-2, abs=1e-3)
    assert side * (float(found[0]) - bound) > 0


@pytest.mark.parametrize("z", [29.0, 31.0, 1e3, 1e6])
def test_far_beyond_a_bound_it_is_an_exponential(z):
    zero, one = torch.zeros(1).double(), torch.ones(1).double()
    mean, std = beyond(z * one, one, zero, one)
    assert float(mean) - z == pytest.approx(1 / z, rel=0.01)
    assert float(std) == pytest.approx(1 / z, rel=0.1)


def test_nothing_but_bounds_can_be_fitted():
    data = example_data(12)
    censored = torch.full(data.y.shape, -1, dtype=torch.int8)
    model = BayesianRidge().fit(TrainingData(data.x, data.y, censored=censored), seed=0)
    with torch.no_grad():
        assert float((model.posterior(data.x).mean - data.y).mean()) < 0


def test_unknown_noise_is_none():
    data = example_data(4)
    nothing = torch.full(data.y.shape, torch.nan)
    assert known_noise(TrainingData(data.x, data.y, noise=nothing)) is None
    some = nothing.clone()
    some[1] = 0.5
    given_noise = TrainingData(data.x, data.y, noise=some)
    assert known_noise(given_noise).tolist() == [0, 0.5, 0, 0]
    weights = row_weights(given_noise)
    assert weights[[0, 2, 3]].tolist() == [1, 1, 1]
    assert 0 < float(weights[1]) < 1


def test_categories_are_named_or_hold_two_values():
    x = torch.tensor([[0, 1.5, 3, 7], [1, 2.5, 4, 7], [0, 3.5, 5, 7]]).double()
    y = torch.arange(3).double().unsqueeze(-1)
    assert codes(TrainingData(x, y)) == (0,)
    assert codes(TrainingData(x, y, categorical=(2,))) == (0, 2)


def test_validation_counts_bounds_apart_and_targets_alone():
    data = example_data(30)
    y = torch.cat([data.y, -data.y], dim=1)
    y[:5, 1] = torch.nan
    censored = torch.zeros(y.shape, dtype=torch.int8)
    censored[:4, 0] = -1
    y[:4, 0] += 1.0
    report = validate(BayesianRidge(), TrainingData(data.x, y, censored=censored), seed=0)
    first, second = report.details["targets"]
    assert (len(first["held_out"]), first["bounds"]) == (26, 4)
    assert first["bounds_respected"] >= 3
    assert len(second["held_out"]) == 25
    assert "bounds" not in second
    assert set(first["domain"]) == {"inside", "outside"}
    assert first["domain"]["inside"]["rows"] + first["domain"]["outside"]["rows"] == 26
    assert report.metrics["1.mae"] < 0.3


@given(
    bound=st.floats(-5, 5),
    mean=st.floats(-5, 5),
    std=st.floats(0.3, 4),
    side=st.sampled_from([-1, 1]),
)
def test_a_bound_makes_nothing_surer_than_it_is(bound, mean, std, side):
    """A normal that is conditioned on the value and its noise is as wide as the truncated one."""
    given_bound = [torch.tensor([float(v)]).double() for v in (bound, side, mean, std)]
    value, noise = told_by(*given_bound)
    expected_mean, expected_std = beyond(*given_bound)
    variance = 1 / (1 / std**2 + 1 / noise.square())
    updated = variance * (mean / std**2 + value / noise.square())
    assert side * (float(updated) - mean) >= -1e-6 * std
    assert side * (float(expected_mean) - float(updated)) >= -1e-6 * std
    if side * (bound - mean) / std > -3:  # farther off it tells next to nothing
        assert float(variance.sqrt()) == pytest.approx(float(expected_std), rel=1e-3)


@pytest.mark.parametrize(
    "name", ["gp-linear", "gp-ard", "random-forest", "deep-ensemble", "episodic", "mixture"]
)
def test_bounds_that_say_nothing_make_nothing_certain(name):
    data, bounds = example_data(20, seed=1), example_data(40, seed=2)
    surrogate = plugins.create("surrogates", name)
    alone = surrogate.fit(data, seed=0)
    censored = torch.zeros(60, 1, dtype=torch.int8)
    censored[20:] = -1
    far = data.y.max() + 100 * data.y.std()
    both = TrainingData(
        torch.cat([data.x, bounds.x]),
        torch.cat([data.y, far.expand(40, 1)]),
        censored=censored,
    )
    x = example_data(50, seed=3).x
    with_bounds = predict(surrogate.fit(both, seed=0), x)[1].mean()
    assert with_bounds > 0.7 * predict(alone, x)[1].mean()


def test_rows_of_much_noise_count_little_however_far_they_are_off():
    data = example_data(30)
    y, noise = data.y.clone(), torch.full(data.y.shape, torch.nan).double()
    y[4], noise[4] = y[4] + 100 * data.y.std(), 100 * data.y.std()
    weights = row_weights(TrainingData(data.x, y, noise=noise))
    assert float(weights[4]) < 0.01
    assert bool((weights[torch.arange(30) != 4] == 1).all())
    everywhere = torch.full(data.y.shape, 1e3 * float(data.y.std())).double()
    assert bool((row_weights(TrainingData(data.x, data.y, noise=everywhere)) == 1).all())
