"""Extrapolative episodic training."""

from __future__ import annotations

import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import SurrogateConformance
from surrogates.episodic import Episodic, episodes
from surrogates.trees import RandomForest


class TestConformance(SurrogateConformance):
    @pytest.fixture(scope="class")
    def surrogate(self) -> Episodic:
        return Episodic(steps=150)


def test_members_are_asked_for_whole_groups_outside_of_their_support() -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(40, 3, generator=generator)
    target = points[:, 0]
    group_of = torch.arange(40) // 2
    asked = episodes(points, target, group_of, 200, generator)
    assert asked.shape == (200, 40)
    assert torch.equal(asked[:, 0::2], asked[:, 1::2])
    share = asked.float().mean(dim=1)
    assert float(share.min()) >= 0.1
    assert float(share.max()) <= 0.45
    by_group = target.view(-1, 2).mean(dim=1)
    ends = [
        bool(
            by_group[row].min() > by_group[~row].max() or by_group[row].max() < by_group[~row].min()
        )
        for row in asked[:, 0::2]
    ]
    assert 0.4 < sum(ends) / len(ends) < 0.65


def test_a_trend_goes_on_where_a_forest_stays_flat() -> None:
    """Trained on the lower 80 % of a nearly linear target, asked for the highest 20 %."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(100, 4, generator=generator, dtype=torch.float64)
    y = (3 * x[:, 0] + x[:, 1] - 2 * x[:, 2] + 0.3 * torch.sin(6 * x[:, 3])).unsqueeze(-1)
    order = y.squeeze(-1).argsort()
    low, high = order[:80], order[80:]
    data = TrainingData(x[low], y[low])

    def error(surrogate: Episodic | RandomForest) -> float:
        with torch.no_grad():
            mean = surrogate.fit(data, 0).posterior(x[high]).mean
        return float((mean - y[high]).square().mean().sqrt())

    assert error(Episodic()) < 0.5 * error(RandomForest())
