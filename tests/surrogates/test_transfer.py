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
