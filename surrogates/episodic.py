"""Surrogate `episodic`: networks that have practised to extrapolate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, row_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from surrogates.episodic_network import EpisodicEnsemble

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
MAX_ROWS = 512
"""Rows that an episode is drawn from."""

JUDGED = 0.25
"""The last share of the episodes, whose errors say how uncertain the model is."""


class Episodic(TabularSurrogate):
    """Extrapolative episodic training (E2T) of a deep ensemble.

    K. Noda, A. Wakiuchi, Y. Hayashi and R. Yoshida, Commun. Mater. 6, 36 (2025), arXiv:2404.08657: a
    predictor f(x; S) is asked in each of `steps` episodes for values outside of the domain of its support
    S. Here f is ridge regression on features that a network learns, and an episode asks each of the
    `members` for the highest or lowest values, for the surroundings of a row, or for random rows; groups
    are never divided. Afterwards S is all data.
    """

    def __init__(
        self,
        members: Annotated[int, Field(ge=4)] = 12,
        width: Annotated[int, Field(ge=1)] = 48,
        features: Annotated[int, Field(ge=1)] = 24,
        steps: Annotated[int, Field(ge=8)] = 300,
    ) -> None:
        self._members, self._width, self._features = members, width, features
        self._steps = steps

    def fit_exact(self, data: TrainingData, seed: int) -> EpisodicEnsemble:
        """A trained ensemble."""
        import torch

        from surrogates.episodic_network import EpisodicEnsemble

        x, y = data.x.double(), data.y.double()
        generator = torch.Generator().manual_seed(seed)
        model = EpisodicEnsemble(
            x,
            y,
            members=self._members,
            width=self._width,
            features=self._features,
            generator=generator,
        )
        points = model.scaling.transform(x).float()
        target = ((y - model.shift) / model.scale).squeeze(-1).float()
        weights = row_weights(data).float()
        groups = torch.arange(len(x)) if data.groups is None else data.groups
        _, group_of = groups.unique(return_inverse=True)
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
        judged: list[Tensor] = []
        for step in range(self._steps):
            rows = torch.randperm(len(x), generator=generator)[:MAX_ROWS]
            asked = episodes(
                points[rows], target[rows], group_of[rows], self._members, generator
            ).float()
            optimizer.zero_grad()
            with torch.enable_grad():
                features = model.features(points[rows])
                support = (1 - asked) * weights[rows]
                mean, variance = model.regress(features, target[rows], support, features)
                errors = asked * weights[rows] * (mean - target[rows]).square()
                (errors.sum(dim=-1) / asked.sum(dim=-1)).sum().backward()
            optimizer.step()
            schedule.step()
            if step >= (1 - JUDGED) * self._steps:
                ratio = errors / (variance + model.ridge.unsqueeze(-1))
                judged.append((ratio.sum(dim=-1) / asked.sum(dim=-1)).detach())
        model.requires_grad_(requires_grad=False)
        model.double().support(points.double(), target.double(), weights.double())
        # as large as the errors in episodes are, outside of their support
        model.amplitude.copy_(torch.stack(judged).mean(dim=0).clamp_min(1e-6))
        model.eval()
        return model


def episodes(
    points: Tensor, target: Tensor, group_of: Tensor, members: int, generator: torch.Generator
) -> Tensor:
    """Which rows each member is asked for (members x n booleans): whole groups, a tenth to four tenths.

    They are those of the highest or lowest target, those nearest to a row, or any, by equal chances.
    """
    import torch

    kinds = torch.randint(4, (members,), generator=generator)
    centres = torch.randint(len(points), (members,), generator=generator)
    shares = 0.1 + 0.3 * torch.rand(members, generator=generator)
    distances = torch.cdist(points[centres], points)
    random = torch.rand(members, len(points), generator=generator)
    scores = torch.stack(
        [target.expand(members, -1), -target.expand(members, -1), distances, random]
    )
    score = scores[kinds, torch.arange(members)]
    _, local = group_of.unique(return_inverse=True)
    groups = int(local.max()) + 1
    sizes = torch.zeros(groups).index_add(0, local, torch.ones(len(local)))
    of_group = torch.zeros(members, groups).index_add(1, local, score.float()) / sizes
    order = of_group.argsort(dim=1)
    taken = (shares.unsqueeze(-1) * groups).ceil()
    first = (torch.arange(groups) < taken).expand(members, groups)
    chosen = torch.zeros(members, groups, dtype=torch.bool).scatter(1, order, first)
    return chosen[:, local]
