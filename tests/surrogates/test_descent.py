"""Descents on losses that are written in torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from discover.errors import SurrogateError
from surrogates.descent import descend


class Bowl(nn.Module):
    """Smallest where the first parameter is (1, 2); of the others the loss knows nothing."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.unused = nn.Parameter(torch.full((50,), 7.0, dtype=torch.float64))
        self.offset = offset

    def loss(self) -> Tensor:
        away: Tensor = self.place - torch.tensor([1.0, 2.0], dtype=torch.float64)
        return away.square().sum() + self.offset


def test_a_parameter_that_the_loss_does_not_use_stays_where_it_is() -> None:
    for _ in range(20):  # what is not told of its gradient is whatever the memory holds
        model = descend(Bowl())
        torch.testing.assert_close(model.place, torch.tensor([1.0, 2.0]).double())
        assert bool((model.unused == 7.0).all())
        assert not model.place.requires_grad


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(SurrogateError, match="its loss is not finite"):
        descend(Bowl(float("nan")))
