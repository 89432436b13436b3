"""Surrogate `episodic`: networks that have practised to extrapolate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, judging, row_weights, without_mere_noise

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from surrogates.episodic_network import EpisodicEnsemble

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
MIN_AMPLITUDE = 1e-3
MAX_ROWS = 512
"""Rows that an episode is drawn from."""

KEPT_BACK = 0.25
"""Share of the groups that a member never practises on, whose errors say how uncertain it is."""


class Episodic(TabularSurrogate):
    """Extrapolative episodic training (E2T) of a deep ensemble.

    K. Noda, A. Wakiuchi, Y. Hayashi and R. Yoshida, Commun. Mater. 6, 36 (2025), arXiv:2404.08657: a
    predictor f(x; S) is asked in each of `steps` episodes for values outside of the domain of its support
    S. Here f is ridge regression on features that a network learns, and an episode asks each of the
    `members` for the highest or lowest values, for the surroundings of a row, or for random rows; groups
    are never divided. Afterwards S is all data, and rows that a member never practised on tell how far to
    believe it.
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

        data = without_mere_noise(data)
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
        practised = _practised(group_of, self._members, generator).float() * weights
        for _ in range(self._steps):
            rows = torch.randperm(len(x), generator=generator)[:MAX_ROWS]
            asked = episodes(
                points[rows], target[rows], group_of[rows], self._members, generator
            ).float()
            counts = practised[:, rows]
            optimizer.zero_grad()
            with torch.enable_grad():
                features = model.features(points[rows])
                mean, _ = model.regress(features, target[rows], (1 - asked) * counts, features)
                errors = asked * counts * (mean - target[rows]).square()
                (errors.sum(dim=-1) / (asked * counts).sum(dim=-1).clamp_min(1.0)).sum().backward()
            optimizer.step()
            schedule.step()
        model.requires_grad_(requires_grad=False)
        features = model.features(points)
        mean, variance = model.regress(features, target, practised, features)
        unseen = (practised == 0) & judging(data)
        model.amplitude.fill_(
            _amplitude(mean - target, variance + model.ridge.unsqueeze(-1), unseen)
        )
        model.double().support(points.double(), target.double(), weights.double())
        model.eval()
        return model


def _practised(group_of: Tensor, members: int, generator: torch.Generator) -> Tensor:
    """Which rows each member practises on (members x n booleans); groups are kept back whole."""
    import torch

    groups = int(group_of.max()) + 1
    place = torch.rand(members, groups, generator=generator).argsort(dim=1).argsort(dim=1)
    return (place >= int(KEPT_BACK * groups))[:, group_of]


def _amplitude(errors: Tensor, variance: Tensor, unseen: Tensor) -> float:
    """By how much the members' own variances (members x n) fall short of what they got wrong.

    Where k members did not see a row, the square of their mean error is expected to be its variance and
    the members' spread (1 + 1/k), as in `ensembles.out_of_bag_noise`. One where too little was kept back.
    """
    import torch

    k = unseen.sum(dim=0)
    enough = k >= 2
    if not bool(enough.any()):
        return 1.0
    errors, variance, unseen, k = (
        errors[:, enough],
        variance[:, enough],
        unseen[:, enough],
        k[enough],
    )
    mean = torch.where(unseen, errors, 0.0).sum(dim=0) / k
    spread = torch.where(unseen, (errors - mean).square(), 0.0).sum(dim=0) / (k - 1)
    expected = torch.where(unseen, variance, 0.0).sum(dim=0) / k
    left = mean.square() - spread * (1 + 1 / k)
    return max(float(left.sum() / expected.sum()), MIN_AMPLITUDE)


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
    sizes = local.bincount().float()
    of_group = torch.zeros(members, groups).float().index_add(1, local, score.float()) / sizes
    order = of_group.argsort(dim=1)
    taken = (shares.unsqueeze(-1) * groups).ceil()
    first = (torch.arange(groups) < taken).expand(members, groups)
    chosen = torch.zeros(members, groups, dtype=torch.bool).scatter(1, order, first)
    return chosen[:, local]
