"""Surrogate `deep-ensemble`: neural networks that agree where there are data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, judging, row_weights, without_mere_noise

if TYPE_CHECKING:
    from surrogates.networks import NetworkEnsemble

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2


class DeepEnsemble(TabularSurrogate):
    """Deep ensemble (Lakshminarayanan et al., NeurIPS 2017), all members trained in one pass.

    Each member is a perceptron with two hidden layers of `width`, a random prior of `prior_scale`
    (Osband et al., NeurIPS 2018) and its own bootstrap of the groups. The observations that a member
    did not see measure how much noise its spread leaves unexplained. `steps` of AdamW are made.
    """

    def __init__(
        self,
        members: Annotated[int, Field(ge=4)] = 16,
        width: Annotated[int, Field(ge=1)] = 64,
        steps: Annotated[int, Field(ge=1)] = 300,
        prior_scale: Annotated[float, Field(ge=0)] = 0.5,
    ) -> None:
        self._members = members
        self._width = width
        self._steps = steps
        self._prior_scale = prior_scale

    def fit_exact(self, data: TrainingData, seed: int) -> NetworkEnsemble:
        """A trained ensemble; rows of known noise weigh less, or nothing (`without_mere_noise`)."""
        import torch

        from surrogates.ensembles import bootstrap, out_of_bag_noise
        from surrogates.networks import NetworkEnsemble

        data = without_mere_noise(data)
        x, y = data.x.double(), data.y.double()
        generator = torch.Generator().manual_seed(seed)
        model = NetworkEnsemble(
            x,
            y,
            members=self._members,
            width=self._width,
            prior_scale=self._prior_scale,
            generator=generator,
        )
        drawn = bootstrap(data, self._members, generator)
        weights = drawn * row_weights(data).float()
        target = ((y - model.shift) / model.scale).squeeze(-1).float()
        points = model.scaling.transform(x).float()
        residual = target - model.prior_scale * model.prior(points)
        optimizer = torch.optim.AdamW(
            model.network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self._steps)
        with torch.enable_grad():
            for _ in range(self._steps):
                optimizer.zero_grad()
                errors = model.network(points) - residual
                # a sum over the members, so that none feels how many there are
                (weights * errors.square()).mean(dim=-1).sum().backward()
                optimizer.step()
                schedule.step()
        model.requires_grad_(requires_grad=False)
        errors = (model.network(points) - residual).double()
        model.relative_noise.fill_(out_of_bag_noise(errors, (drawn == 0) & judging(data)))
        model.double().eval()
        return model
