"""The multi-task Gaussian process: what one property tells of another."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.conformance import UncertainValuesConformance, example_data
from surrogates.multitask import MultiTask
from surrogates.persistence import dump, load, restore, save

NAN = float("nan")


class TestConformance(UncertainValuesConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> MultiTask:
        return MultiTask()


def scarce_and_plentiful(scarce: int = 6, rows: int = 30) -> TrainingData:
    """A plentiful property, and a scarce one that opposes it: y0 = 3 - 20 y1 where it is known."""
    data = example_data(rows)
    first = 3 - 20 * data.y
    first[scarce:] = NAN
    return TrainingData(data.x, torch.cat([first, data.y], dim=1))


def test_a_plentiful_property_tells_of_a_scarce_one_that_opposes_it() -> None:
    data = scarce_and_plentiful()
    new = example_data(40, seed=1)
    truth = 3 - 20 * new.y
    with torch.no_grad():
        model = MultiTask().fit(data, seed=0)
        alone = MultiTask().fit(data.output(0), seed=0)
        error, blind = (
            (m.posterior(new.x).mean - truth).square().mean().sqrt() for m in (model, alone)
        )
        narrow, wide = (m.posterior(new.x).variance.mean() for m in (model, alone))
    assert float(error) < 0.6 * float(blind)
    assert float(narrow) < float(wide)
    assert model.details["correlations"][1] < -0.8


def test_all_properties_are_answered_for(tmp_path: Path) -> None:
    """Means of each on its own scale, jointly sampled, and the same from disk."""
    data = scarce_and_plentiful(20)
    model = MultiTask(outputs="all").fit(data, seed=0)
    save(model, tmp_path)
    x = example_data(5, seed=1).x
    with torch.no_grad():
        posterior, again = model.posterior(x), load(tmp_path).posterior(x)
        noisy = model.posterior(x, observation_noise=True)
    assert model.num_outputs == 2
    assert posterior.mean.shape == (5, 2)
    assert posterior.rsample(torch.Size([3])).shape == (3, 5, 2)
    torch.testing.assert_close(posterior.mean, again.mean)
    assert bool((noisy.variance > posterior.variance).all())
    truth = example_data(5, seed=1).y
    assert float((posterior.mean[:, 1:] - truth).abs().mean()) < 0.3
    assert float((posterior.mean[:, :1] - (3 - 20 * truth)).abs().mean()) < 6


def test_a_property_far_from_zero_keeps_its_digits() -> None:
    data, new = scarce_and_plentiful(20), example_data(5, seed=1).x
    with torch.no_grad():
        near = MultiTask().fit(data, seed=0).posterior(new)
        far = MultiTask().fit(TrainingData(data.x, data.y + 1e9), seed=0).posterior(new)
    torch.testing.assert_close(far.mean - 1e9, near.mean, rtol=0, atol=1e-3)
    torch.testing.assert_close(far.variance, near.variance, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (scarce_and_plentiful(2), "2 rows are too few"),
        (
            TrainingData(
                example_data(5).x, torch.cat([example_data(5).y, torch.ones(5, 1)], 1).double()
            ),
            "target 1 has no two different values",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(data: TrainingData, problem: str) -> None:
    with pytest.raises(SurrogateError, match=problem):
        MultiTask().fit(data, seed=0)


def test_bounds_and_noise_of_several_properties() -> None:
    data = scarce_and_plentiful(8)
    y, censored = data.y.clone(), torch.zeros(data.y.shape, dtype=torch.int8)
    bound = (~y[:, 1].isnan()).nonzero().flatten()[:3]
    noise = torch.full_like(y, torch.nan)
    noise[-4:, 1] = 0.5
    means = []
    for side in (-1, 1):
        censored[bound, 1] = side
        model = MultiTask(outputs="all").fit(
            TrainingData(data.x, y, censored=censored, noise=noise), seed=0
        )
        with torch.no_grad():
            means.append(model.posterior(data.x[bound]).mean[:, 1].mean())
            again = restore(*dump(model)).posterior(data.x)
            torch.testing.assert_close(model.posterior(data.x).mean, again.mean)
    assert means[0] < means[1]
