"""What members see, and the noise that is left."""

from __future__ import annotations

import pytest
import torch

from surrogates import TrainingData
from surrogates.conformance import example_data
from surrogates.ensembles import bootstrap, out_of_bag_noise


def test_groups_are_drawn_whole() -> None:
    """A bootstrap sees all rows of a group equally often."""
    groups = torch.tensor([0, 0, 1, 1, 1, 2])
    data = TrainingData(example_data(6).x, example_data(6).y, groups)
    counts = bootstrap(data, 50, torch.Generator().manual_seed(0))
    assert torch.equal(counts[:, 0], counts[:, 1])
    assert torch.equal(counts[:, 2], counts[:, 4])
    per_group = counts[:, [0, 2, 5]]
    assert torch.equal(per_group.sum(dim=1), torch.full((50,), 3.0))
    assert not torch.equal(counts[:, 0], counts[:, 2])


def test_noise_is_what_the_spread_of_unseeing_members_does_not_explain() -> None:
    """Members that scatter by 0.3 around a common error of 0.5 at each of many rows."""
    generator = torch.Generator().manual_seed(1)
    common = 0.5 * torch.randn(1, 4000, generator=generator)
    errors = common + 0.3 * torch.randn(12, 4000, generator=generator)
    unseen = torch.rand(12, 4000, generator=generator) < 0.4
    # expected: 0.25, less the share of a new draw of the truth from among the members
    assert out_of_bag_noise(errors, unseen) == pytest.approx(0.25 - 0.09, abs=0.03)
