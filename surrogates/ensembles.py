"""What ensembles of networks have in common: what each member sees, and what none of them explains."""

from __future__ import annotations

import torch
from torch import Tensor

from surrogates.base import TrainingData

NOISE_FLOOR = 1e-6
"""Smallest noise variance, relative to the target's."""


def bootstrap(data: TrainingData, members: int, generator: torch.Generator) -> Tensor:
    """How often each member sees each row (members x n); whole groups are drawn."""
    groups = torch.arange(len(data.x)) if data.groups is None else data.groups
    _, group_of = groups.unique(return_inverse=True)
    n_groups = int(group_of.max()) + 1
    drawn = torch.randint(n_groups, (members, n_groups), generator=generator)
    counts = torch.zeros(members, n_groups, dtype=torch.float32).scatter_add(
        1, drawn, torch.ones(members, n_groups, dtype=torch.float32)
    )
    return counts[:, group_of]


def out_of_bag_noise(errors: Tensor, unseen: Tensor) -> float:
    """Mean squared error that the spread of the members does not explain, from rows they did not see.

    `errors` (members x n) of each member at each row, `unseen` marks those outside its bootstrap. With
    k such members at a row, the square of their mean error is expected to be noise + spread (1 + 1/k)
    (the mean of k members instead of all of them).
    """
    k = unseen.sum(dim=0)
    enough = k >= 2
    if not bool(enough.any()):
        return NOISE_FLOOR
    errors, unseen, k = errors[:, enough], unseen[:, enough], k[enough]
    mean = torch.where(unseen, errors, 0.0).sum(dim=0) / k
    spread = torch.where(unseen, (errors - mean).square(), 0.0).sum(dim=0) / (k - 1)
    return max(float((mean.square() - spread * (1 + 1 / k)).mean()), NOISE_FLOOR)
