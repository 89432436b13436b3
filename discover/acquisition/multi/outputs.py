"""A model of several properties, seen one property or one candidate at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from discover.acquisition.believed import CHUNK, Belief
from surrogates.gaussian import GaussianModel, joint_moments
from surrogates.independent_outputs import IndependentOutputs

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

Marginals = Callable[["Tensor"], "tuple[Tensor, Tensor]"]
"""From descriptors (n x d) to means and variances (n x p each) of the noise-free properties."""


class OneOutput(GaussianModel):
    """One property of a model that has several."""

    def __init__(self, model: Model, column: int) -> None:
        super().__init__()
        self._model = model
        self._column = column

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Those of the property alone."""
        joint = self._model.posterior(x, observation_noise=observation_noise).distribution
        own = joint[..., self._column]
        return own.mean, own.covariance_matrix


def output(model: Model, column: int) -> Model:
    """The one-output model of a column; a model of one output is its own."""
    if isinstance(model, IndependentOutputs):
        return model.outputs[column]
    return OneOutput(model, column) if model.num_outputs > 1 else model


def outputs(model: Model) -> list[Model]:
    """The one-output model of each column."""
    return [output(model, column) for column in range(model.num_outputs)]


def marginals(model: Model, pending: Tensor) -> Marginals:
    """Screening of all properties, results at `pending` (q x d) believed in each of them."""
    parts = [Belief(one, pending).screening() for one in outputs(model)]

    def of(x: Tensor) -> tuple[Tensor, Tensor]:
        found = [part(x) for part in parts]
        return (
            torch.stack([mean for mean, _ in found], dim=-1),
            torch.stack([variance for _, variance in found], dim=-1),
        )

    return of


def exact_marginals(model: Model, pending: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same of few candidates (n x d), from the posterior itself and in double precision."""
    found = [Belief(one, pending).moments(x.unsqueeze(-2)) for one in outputs(model)]
    return (
        torch.cat([mean for mean, _ in found], dim=-1),
        torch.cat([covariance[..., 0] for _, covariance in found], dim=-1),
    )


def noise_variances(model: Model, x: Tensor) -> Tensor:
    """What observing each property at `x` (n x d) adds to its variance (n x p)."""
    points = x.unsqueeze(-2)
    each = []
    for one in outputs(model):
        _, with_noise = joint_moments(one, points, observation_noise=True)
        _, without = joint_moments(one, points)
        each.append((with_noise - without)[:, 0, 0].clamp_min(0.0))
    return torch.stack(each, dim=-1)


def properties_at(model: Model, x: Tensor) -> tuple[Tensor, Tensor]:
    """Means (n x p) and covariances (n x p x p) of the properties of each candidate (n x d)."""
    means, covariances = [], []
    for part in x.unsqueeze(-2).split(CHUNK):
        posterior = model.posterior(part)
        mean = posterior.mean[:, 0]
        covariance = posterior.distribution.covariance_matrix
        means.append(mean)
        covariances.append(covariance.reshape(len(part), mean.shape[-1], mean.shape[-1]))
    return torch.cat(means), torch.cat(covariances)
