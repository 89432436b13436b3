"""The choice of candidate and rung together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from discover.acquisition.adapters import load_acquisition
from discover.acquisition.believed import Belief
from discover.acquisition.ladder import RungSelection, log_gain, looks, select_rung, with_rung
from discover.acquisition.selection import select
from surrogates import TrainingData
from surrogates.conformance import example_data, ladder_data
from surrogates.gaussian import joint_moments
from surrogates.gp import GaussianProcess
from surrogates.multi_fidelity import MultiFidelityGP

POOL = 12
NEW = example_data(POOL, seed=4).x.numpy()


@pytest.fixture(scope="module")
def model() -> Any:
    """Cheap values of twenty candidates, dear ones of six."""
    return MultiFidelityGP(doubt=0.0).fit(ladder_data(20, 6), seed=0)


def chosen(
    model: Any, costs: tuple[float, float], acquisition: str = "ucb", **changes: Any
) -> RungSelection:
    settings: dict[str, Any] = {
        "goal": "max",
        "observed": ladder_data(20, 6).y[20:, 0].numpy(),
        "observed_features": ladder_data(20, 6).x[20:, :-1].numpy(),
    }
    asked = changes.pop("asked", np.zeros((POOL, 2), dtype=bool))
    ids = [f"candidate-{i}" for i in range(POOL)]
    return select_rung(
        model, NEW, ids, asked, costs, load_acquisition(acquisition), **(settings | changes)
    )


def test_shifts_are_those_of_conditioning_on_a_result(model: Any) -> None:
    """The mean at the target moves as brute-force conditioning moves it for results one sigma off."""
    belief = Belief(model, torch.zeros(0, 8).double())
    with torch.no_grad():
        found = looks(belief, NEW, 2)
        for row in range(3):
            for rung in range(2):
                points = torch.from_numpy(
                    np.vstack([with_rung(NEW[row : row + 1], r, 2) for r in (rung, 1)])
                )
                _, prior = joint_moments(model, points)
                _, observed = joint_moments(model, points, observation_noise=True)
                sigma = float(observed[0, 0]) ** 0.5
                gain = float(prior[1, 0] / observed[0, 0])
                assert found.shift[row, rung] == pytest.approx(abs(gain) * sigma, rel=1e-6)


def test_a_look_never_tells_more_than_the_target_itself(model: Any) -> None:
    with torch.no_grad():
        found = looks(Belief(model, torch.zeros(0, 8).double()), NEW, 2)
    assert (found.shift[:, 0] <= found.shift[:, 1] * (1 + 1e-9)).all()
    assert (found.shift > 0).all()


def test_the_gain_is_the_expected_improvement_of_the_new_mean() -> None:
    """Against the mean over a million draws."""
    draws = np.random.default_rng(0).standard_normal(1_000_000)
    mean, shift = np.array([0.2, -0.5]), np.array([[0.3, 0.0], [0.6, 0.4]])
    gain = np.exp(log_gain(mean, shift, 0.1))
    for row in range(2):
        for rung in range(2):
            if shift[row, rung] > 0:
                new = mean[row] + shift[row, rung] * draws
                assert gain[row, rung] == pytest.approx(np.maximum(new - 0.1, 0).mean(), rel=0.01)
    assert gain[0, 1] == 0.0


def test_the_rung_follows_the_cost(model: Any) -> None:
    """A look is taken while it is cheap; where it costs as much, the target itself is computed."""
    assert chosen(model, (1.0, 60.0)).rung == 0
    assert chosen(model, (60.0, 60.0)).rung == 1


def test_the_dear_calculation_is_that_of_the_acquisition(model: Any) -> None:
    alone = select(
        model,
        with_rung(NEW, 1, 2),
        [f"candidate-{i}" for i in range(POOL)],
        load_acquisition("ucb"),
        goal="max",
        observed=ladder_data(20, 6).y[20:, 0].numpy(),
    )[0]
    assert chosen(model, (60.0, 60.0)).candidate == alone


def test_each_rung_is_asked_once(model: Any) -> None:
    """Where everything was looked at below, only the target is left."""
    asked = np.zeros((POOL, 2), dtype=bool)
    asked[:, 0] = True
    assert chosen(model, (1e-6, 60.0), asked=asked).rung == 1


def test_a_running_look_leaves_little_to_learn_from_another(model: Any) -> None:
    """Its result is believed: what the same look would still move is noise."""
    nothing = torch.zeros(0, 8).double()
    running = torch.from_numpy(with_rung(NEW[:1], 0, 2))
    with torch.no_grad():
        before = looks(Belief(model, nothing), NEW, 2)
        after = looks(Belief(model, running), NEW, 2)
    assert after.shift[0, 0] < 0.2 * before.shift[0, 0]
    np.testing.assert_allclose(after.mean, before.mean)


@pytest.mark.parametrize("goal", ["max", "min", "extremes"])
@pytest.mark.parametrize(
    "acquisition", ["logei", "ucb", "thompson", "std", "greedy", "random", "extremes"]
)
def test_every_acquisition_works_on_a_ladder(model: Any, acquisition: str, goal: str) -> None:
    found = chosen(model, (1.0, 60.0), acquisition, goal=goal)
    assert 0 <= found.candidate.index < POOL
    assert np.isfinite((found.candidate.mean, found.candidate.std, found.candidate.score)).all()


def test_a_botorch_class_works_on_a_ladder(model: Any) -> None:
    from botorch.acquisition import LogExpectedImprovement, qLogNoisyExpectedImprovement

    for cls in (LogExpectedImprovement, qLogNoisyExpectedImprovement):
        found = select_rung(
            model,
            NEW,
            [str(i) for i in range(POOL)],
            np.zeros((POOL, 2), dtype=bool),
            (1.0, 60.0),
            load_acquisition(cls),
            goal="max",
            observed=ladder_data(20, 6).y[20:, 0].numpy(),
            observed_features=ladder_data(20, 6).x[20:, :-1].numpy(),
        )
        assert found.rung in {0, 1}


def test_one_rung_is_the_plain_selection() -> None:
    data = example_data(20)
    model = GaussianProcess().fit(TrainingData(data.x, data.y), seed=0)
    ids = [str(i) for i in range(POOL)]
    observed = data.y[:, 0].numpy()
    plain = select(model, NEW, ids, load_acquisition("logei"), goal="max", observed=observed)[0]
    found = select_rung(
        model,
        NEW,
        ids,
        np.zeros((POOL, 1), dtype=bool),
        [30.0],
        load_acquisition("logei"),
        goal="max",
        observed=observed,
    )
    assert found == RungSelection(plain, 0)
