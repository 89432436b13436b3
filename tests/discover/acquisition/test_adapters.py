from typing import Annotated

import numpy as np
import pytest
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    LogExpectedImprovement,
    NoisyExpectedImprovement,
    PosteriorMean,
    UpperConfidenceBound,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qUpperConfidenceBound,
)
from botorch.utils.transforms import t_batch_mode_transform
from pydantic import Field

from discover.acquisition.adapters import load_acquisition
from discover.acquisition.conformance import AcquisitionConformance
from discover.acquisition.multi.context import is_joint
from discover.acquisition.selection import select
from discover.errors import PluginError
from discover.plugins import BUILT_IN, load


def optimistic(mean, std, context):
    return mean + 2.0 * std


class Spread(AcquisitionFunction):
    """A user's own BoTorch class with an option."""

    def __init__(self, model, power: float = 1.0):
        super().__init__(model)
        self.power = power

    @t_batch_mode_transform(expected_q=1)
    def forward(self, X):  # noqa: N803
        return self.model.posterior(X).variance.squeeze(-1).squeeze(-1) ** self.power


class NeedsMore(AcquisitionFunction):
    def __init__(self, model, budget):
        super().__init__(model)


ONE_PROPERTY = sorted(
    name for name in BUILT_IN["acquisitions"] if not is_joint(load("acquisitions", name))
)


class TestBuiltIn(AcquisitionConformance):
    @pytest.fixture(params=ONE_PROPERTY)
    def mine(self, request):
        return load_acquisition(request.param)


class TestPlainFunction(AcquisitionConformance):
    @pytest.fixture
    def mine(self):
        return load_acquisition(optimistic)


class TestBoTorchClasses(AcquisitionConformance):
    @pytest.fixture(
        params=[
            (LogExpectedImprovement, {}),
            (qLogExpectedImprovement, {}),
            (qUpperConfidenceBound, {"beta": 2.0}),
            (PosteriorMean, {}),
            (Spread, {"power": 0.5}),
        ],
        ids=lambda param: param[0].__name__,
    )
    def mine(self, request):
        return load_acquisition(*request.param)


class TestAgainstBoTorch(AcquisitionConformance):
    """A built-in function and BoTorch's class pick the same candidates, for every goal."""

    @pytest.fixture
    def mine(self):
        return load_acquisition("logei")

    @pytest.mark.parametrize("goal", ["max", "min", "extremes"])
    @pytest.mark.parametrize("pending", [0, 2])
    @pytest.mark.parametrize(
        ("name", "theirs"),
        [
            ("logei", (LogExpectedImprovement, {})),
            ("ucb", (UpperConfidenceBound, {"beta": 4.0})),  # BoTorch takes the root of beta
            ("std", (Spread, {"power": 0.5})),
            ("greedy", (PosteriorMean, {})),
        ],
    )
    def test_same_picks(self, model, goal, pending, name, theirs):
        running = self._pool(pending, seed=2) if pending else None
        ours = self._select(model, load_acquisition(name), goal, running)
        theirs = self._select(model, load_acquisition(*theirs), goal, running)
        assert [pick.index for pick in ours] == [pick.index for pick in theirs]
        np.testing.assert_allclose(
            [(pick.mean, pick.std, pick.score) for pick in ours],
            [(pick.mean, pick.std, pick.score) for pick in theirs],
            rtol=1e-5,
        )


def test_a_function_from_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def score(mean, std, context, *, weight: float = 1.0):\n    return mean + weight * std\n"
    )
    loaded = load_acquisition("mine.py:score", {"weight": 3}, tmp_path)
    assert loaded.score(np.ones(2), np.ones(2), None, None, None).tolist() == [4.0, 4.0]


def test_options_are_checked_like_those_of_every_plug_in():
    with pytest.raises(PluginError, match=r"'ucb': bate: unknown key.*beta"):
        load_acquisition("ucb", {"bate": 1})
    with pytest.raises(PluginError, match=r"'ucb': beta: input should be greater"):
        load_acquisition("ucb", {"beta": -1})
    with pytest.raises(PluginError, match=r"power: unknown key|beta: unknown key"):
        load_acquisition(Spread, {"beta": 1})

    def required(mean, std, context, *, level: Annotated[int, Field(gt=0)]):
        return level * mean

    with pytest.raises(PluginError, match="level: is missing and has no default"):
        load_acquisition(required)


def test_what_fits_no_contract_is_refused():
    with pytest.raises(PluginError, match=r"must take \(mean, std, context\)"):
        load_acquisition(lambda mean: mean)
    with pytest.raises(PluginError, match="needs budget: the loop supplies model, best_f"):
        load_acquisition(NeedsMore)
    with pytest.raises(
        PluginError, match="needs X_observed"
    ):  # it takes no model but a SingleTaskGP
        load_acquisition(NoisyExpectedImprovement)
    with pytest.raises(PluginError, match="not a BoTorch AcquisitionFunction"):
        load_acquisition(dict)
    with pytest.raises(PluginError, match="no acquisition is called 'loegi'"):
        load_acquisition("loegi")


def test_open_keywords_are_not_asked_for_and_take_any_option():
    class Open(Spread):
        def __init__(self, model, *_, **others):
            super().__init__(model, **others)

    assert load_acquisition(Open).options == {}
    assert load_acquisition(Open, {"power": 0.5}).options == {"power": 0.5}


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("pending", [0, 2])
def test_noisy_botorch_ones_get_the_observed_descriptors(goal, pending):
    """Without noise to speak of, improvement on the observed points is improvement on the best."""
    from surrogates import TrainingData
    from surrogates.gp import GaussianProcess

    case = TestPlainFunction()
    x, pool = case._pool(20, seed=1), case._pool(30)
    data = TrainingData(torch.from_numpy(x), torch.from_numpy(case._target(x))[:, None])
    model = GaussianProcess().fit(data, seed=0)
    noisy, plain = (
        select(
            model,
            pool,
            [str(i) for i in range(30)],
            load_acquisition(cls),
            goal=goal,
            observed=case._target(x),
            observed_features=x,
            pending=case._pool(pending, seed=2) if pending else None,
        )[0]
        for cls in (qLogNoisyExpectedImprovement, qLogExpectedImprovement)
    )
    assert noisy.index == plain.index


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda m, s, c: 1.0, "must give 5 scores"),
        (lambda m, s, c: m[:2], "must give 5 scores"),
        (lambda m, s, c: np.where(m == m.max(), np.nan, m), "1 scores of nan"),
        (lambda m, s, c: m / c.nothing, "fails: AttributeError"),
    ],
)
def test_malformed_scores_are_refused(function, message):
    from surrogates.conformance import example_data
    from surrogates.gp import GaussianProcess

    data = example_data(8)
    model = GaussianProcess().fit(data, seed=0)
    with pytest.raises(PluginError, match=message):
        select(
            model,
            data.x[:5].numpy(),
            list("abcde"),
            load_acquisition(function),
            goal="max",
            observed=data.y[:, 0].numpy(),
        )


def test_native_pending_points_are_handed_over():
    """A class that takes X_pending sees them, and not twice."""
    seen = []

    class Watching(Spread):
        def __init__(self, model, X_pending=None):  # noqa: N803
            super().__init__(model)
            seen.append((None if X_pending is None else len(X_pending), type(model).__name__))

    case = TestPlainFunction()
    from surrogates import TrainingData
    from surrogates.gp import GaussianProcess

    x = case._pool(20, seed=1)
    data = TrainingData(torch.from_numpy(x), torch.from_numpy(case._target(x))[:, None])
    case._select(
        GaussianProcess().fit(data, seed=0),
        load_acquisition(Watching),
        pending=case._pool(2, seed=2),
        n=2,
    )
    assert seen == [(2, "SharedScaleGP"), (3, "SharedScaleGP")]


def test_an_acquisition_for_several_objectives_says_so():
    with pytest.raises(PluginError, match="trades off several objectives"):
        load_acquisition("qlognehvi")
