"""Surrogate `transfer`: a deep ensemble that has learned from plentiful properties first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, row_weights, without_mere_noise

if TYPE_CHECKING:
    import torch
    from botorch.models.model import Model
    from torch import Tensor

    from surrogates.networks import NetworkEnsemble, StackedMLP

LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
SLOWER = 0.1
"""Learning rate of the layers that were trained before, relative to that of the new last one."""


class Transfer:
    """Pre-training on all targets but one, then fine-tuning on that one, which may be scarce.

    The plentiful properties may be cheap ones of the whole pool, such as elastic moduli from a potential.
    Members of a deep ensemble (see `DeepEnsemble`) learn them together for `steps`; then each gets a new
    last layer for the target and learns that for `steps` on its bootstrap, the layers below ten
    times slower (J. Yosinski et al., NeurIPS 27 (2014)). The model answers for the `first` target alone,
    or for `all`, each fine-tuned on what the others taught. With one target there is nothing to learn
    beforehand.
    """

    joint: ClassVar[bool] = True

    def __init__(
        self,
        outputs: Literal["first", "all"] = "first",
        members: Annotated[int, Field(ge=4)] = 16,
        width: Annotated[int, Field(ge=1)] = 64,
        steps: Annotated[int, Field(ge=1)] = 300,
        prior_scale: Annotated[float, Field(ge=0)] = 0.3,
    ) -> None:
        self._outputs = outputs
        self.members, self.width, self.steps = members, width, steps
        self.prior_scale = prior_scale

    def fit(self, data: TrainingData, seed: int) -> Model:
        """A trained ensemble for the first target, or one for each.

        SurrogateError where the rows of a target that is asked for cannot support a fit, or another one
        has no value. In pre-training the less certain of two values weighs less, and a bound is none.
        """
        from surrogates.independent_outputs import IndependentOutputs

        lacking = data.y.isnan().all(dim=0)
        if bool(lacking.any()):
            raise SurrogateError(f"target {int(lacking.nonzero()[0])} has no value in any row")
        if self._outputs == "first" or data.y.shape[1] == 1:
            return self._target(data, 0, seed)
        models = []
        for column in range(data.y.shape[1]):
            try:
                models.append(self._target(data, column, seed))
            except SurrogateError as error:
                raise SurrogateError(f"target {column}: {error}") from error
        return IndependentOutputs(models)

    def _target(self, data: TrainingData, column: int, seed: int) -> Model:
        """A model of one target, pre-trained on all others that have a value which is no bound."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        others = [
            j for j in range(data.y.shape[1]) if j != column and bool(exact_rows(data, j).any())
        ]
        learned = self._pretrained(data, others, generator) if others else None
        return _FineTuning(self, data.x.double(), learned).fit(data.output(column), seed)

    def _pretrained(
        self, data: TrainingData, targets: list[int], generator: torch.Generator
    ) -> StackedMLP:
        """Networks with an output for each plentiful property, trained on their known values."""
        import torch

        from surrogates.networks import StackedMLP
        from surrogates.scaling import standard_score

        exact = torch.stack([exact_rows(data, j) for j in targets], dim=1)
        values = data.y[:, targets].double().where(exact, torch.nan)
        known = torch.zeros(values.shape)
        for column, j in enumerate(targets):
            rows = exact[:, column]
            own = replace(data.rows(rows).output(j), censored=None)
            # not a number where the values do not differ: then each counts as much as another
            known[rows, column] = row_weights(own).nan_to_num(1.0).float()
        shift = values.nanmean(dim=0)
        spread = (values - shift).square().nanmean(dim=0).sqrt().clamp_min(1e-12)
        target = ((values - shift) / spread).nan_to_num(0.0).float().squeeze(-1)
        weights = (known / known.mean(dim=0)).squeeze(-1)
        x = data.x.double()
        sizes = (x.shape[1], self.width, self.width, values.shape[1])
        network = StackedMLP(self.members, sizes, generator)
        train(network, standard_score(x).transform(x).float(), target, weights, self.steps)
        return network


def exact_rows(data: TrainingData, column: int) -> Tensor:
    """Which rows (n booleans) have a value of this target that is no bound."""
    known = ~data.y[:, column].isnan()
    return known if data.censored is None else known & (data.censored[:, column] == 0)


def train(
    network: StackedMLP,
    points: Tensor,
    target: Tensor,
    weights: Tensor,
    steps: int,
    below: float = 1.0,
) -> None:
    """`steps` of AdamW on weighted squared errors, the layers but the last `below` times as fast."""
    import torch

    *lower, last = zip(network.weights, network.biases, strict=True)
    rates: list[dict[str, Any]] = [
        {"params": list(last)},
        {"params": [p for layer in lower for p in layer], "lr": below * LEARNING_RATE},
    ]
    optimizer = torch.optim.AdamW(rates, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            errors = weights * (network(points) - target).square()
            # a sum over the members, so that none feels how many there are
            errors.flatten(1).mean(dim=-1).sum().backward()
            optimizer.step()
            schedule.step()


class _FineTuning(TabularSurrogate):
    """The second stage: one target, whose values may be bounds, on networks that know others."""

    def __init__(self, settings: Transfer, x: Tensor, learned: StackedMLP | None) -> None:
        self._settings, self._x, self._learned = settings, x, learned

    def fit_exact(self, data: TrainingData, seed: int) -> NetworkEnsemble:
        """A trained ensemble, standardized as the rows of all targets are."""
        import torch

        from surrogates.ensembles import bootstrap, out_of_bag_noise
        from surrogates.networks import NetworkEnsemble

        generator = torch.Generator().manual_seed(seed)
        data = without_mere_noise(data)
        x, y = data.x.double(), data.y.double()
        settings = self._settings
        model = NetworkEnsemble(
            self._x,
            y,
            members=settings.members,
            width=settings.width,
            prior_scale=settings.prior_scale,
            generator=generator,
        )
        if self._learned is not None:
            for layer in range(len(self._learned.weights) - 1):
                model.network.weights[layer].data.copy_(self._learned.weights[layer])
                model.network.biases[layer].data.copy_(self._learned.biases[layer])
        points = model.scaling.transform(x).float()
        target = ((y - model.shift) / model.scale).squeeze(-1).float()
        residual = target - model.prior_scale * model.prior(points)
        drawn = bootstrap(data, settings.members, generator)
        weights = drawn * row_weights(data).float()
        below = 1.0 if self._learned is None else SLOWER
        train(model.network, points, residual, weights, settings.steps, below)
        model.requires_grad_(requires_grad=False)
        errors = (model.network(points) - residual).double()
        model.relative_noise.fill_(out_of_bag_noise(errors, drawn == 0))
        model.double().eval()
        return model
