"""Pre-training on what is plentiful, fine-tuning on what is scarce."""

from __future__ import annotations

import pytest
import torch

from discover.errors import SurrogateError
from surrogates import TrainingData
from surrogates.conformance import SurrogateConformance, example_data
from surrogates.transfer import Transfer

NAN = float("nan")


class TestConformance(SurrogateConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> Transfer:
        return Transfer(members=8, steps=200)


def related(scarce: int, rows: int = 120, seed: int = 0) -> TrainingData:
    """A scarce target, and two plentiful ones that are made of the same two functions as it is."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 6, generator=generator, dtype=torch.float64)
    one, other = torch.sin(4 * x[:, 0]) * x[:, 1], (x[:, 2] - x[:, 3]) ** 2 + x[:, 4]
    y = torch.stack([10 + 2 * one - other, one, other], dim=1)
    y[scarce:, 0] = NAN
    return TrainingData(x, y)


def test_what_was_learned_before_helps() -> None:
    data, new = related(15, rows=300), related(60, rows=60, seed=1)
    with torch.no_grad():
        error, blind = (
            float((model.posterior(new.x).mean - new.y[:, :1]).square().mean().sqrt())
            for model in (Transfer().fit(data, 0), Transfer().fit(data.output(0), 0))
        )
    assert error < 0.75 * blind


def test_a_bound_of_the_scarce_target_counts() -> None:
    """Told that the first value lies above, the model believes more than of the bound itself."""
    data = related(12)
    censored = torch.zeros(data.y.shape, dtype=torch.int8)
    y = data.y.clone()
    y[0, 0] -= 2
    plain = TrainingData(data.x, y)
    censored[0, 0] = 1
    bound = TrainingData(data.x, y, censored=censored)
    with torch.no_grad():
        low, high = (
            float(Transfer(members=8, steps=100).fit(d, 0).posterior(data.x[:1]).mean)
            for d in (plain, bound)
        )
    assert high > low


def test_a_target_without_values_is_named() -> None:
    data = example_data(6)
    nothing = TrainingData(data.x, torch.cat([data.y, torch.full_like(data.y, NAN)], dim=1))
    with pytest.raises(SurrogateError, match="target 1 has no value in any row"):
        Transfer().fit(nothing, seed=0)


def test_all_targets_are_answered_for() -> None:
    """The scarce one as well as alone, and the plentiful ones beside it."""
    data, new = related(15), related(40, rows=40, seed=1)
    both = Transfer(outputs="all", members=8, steps=200).fit(data, 0)
    alone = Transfer(members=8, steps=200).fit(data, 0)
    with torch.no_grad():
        mean = both.posterior(new.x).mean
        assert mean.shape == (40, 3)
        torch.testing.assert_close(mean[:, :1], alone.posterior(new.x).mean)
    for column in (1, 2):
        truth = new.y[:, column]
        assert float((mean[:, column] - truth).square().mean()) < 0.5 * float(truth.var())


def test_what_is_uncertain_of_a_plentiful_target_teaches_less() -> None:
    data, new = related(15), related(60, rows=60, seed=1)
    generator = torch.Generator().manual_seed(2)
    wrong = torch.rand(len(data), generator=generator) < 0.5
    y, noise = data.y.clone(), torch.full_like(data.y, NAN)
    y[wrong, 1:] += 5 * torch.randn(int(wrong.sum()), 2, generator=generator).double()
    noise[wrong, 1:] = 5.0
    with torch.no_grad():
        told, blind = (
            float(
                (Transfer(members=8).fit(d, 0).posterior(new.x).mean - new.y[:, :1]).square().mean()
            )
            for d in (TrainingData(data.x, y, noise=noise), TrainingData(data.x, y))
        )
    assert told < blind


def test_bounds_of_a_plentiful_target_are_no_values() -> None:
    data = related(15)
    censored = torch.zeros(data.y.shape, dtype=torch.int8)
    censored[-30:, 1:] = -1
    means = []
    for bound in (3.0, 100.0):
        y = data.y.clone()
        y[-30:, 1:] = bound
        model = Transfer(members=8, steps=50).fit(TrainingData(data.x, y, censored=censored), 0)
        with torch.no_grad():
            means.append(model.posterior(data.x).mean)
    torch.testing.assert_close(*means)
