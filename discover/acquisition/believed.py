"""The model as an acquisition function sees it: turned to its goal, pending results believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from discover.acquisition.context import Orientation
from surrogates.gaussian import GaussianModel, jittered, joint_moments
from surrogates.screening import Screening, screening_of

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

CHUNK = 256
"""Candidates whose joint posterior is computed at once; larger ones waste time on covariances."""


@dataclass(frozen=True)
class Belief:
    """A model, and the descriptors (p x d) of calculations that are still running.

    Each of these is taken to come out at its expected value ("kriging believer", Ginsbourger et al.,
    2010): means stay as they are, and the covariance becomes C - C_qp (C_pp + noise)⁻¹ C_pq.
    """

    model: Model
    pending: Tensor

    def with_one_more(self, x: Tensor) -> Belief:
        """The belief once the candidate `x` (1 x d) is running too."""
        return Belief(self.model, torch.cat([self.pending, x]))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (b x q) and covariance (b x q x q) of the noise-free target at `x` (b x q x d)."""
        if not len(self.pending):
            return joint_moments(self.model, x)
        q = x.shape[-2]
        pending = self.pending.expand(*x.shape[:-2], *self.pending.shape)
        mean, joint = joint_moments(self.model, torch.cat([x, pending], dim=-2))
        _, results = joint_moments(self.model, self.pending, observation_noise=True)
        root = torch.linalg.cholesky(jittered(results))
        explained = torch.linalg.solve_triangular(root, joint[..., q:, :q], upper=False)
        return mean[..., :q], joint[..., :q, :q] - explained.mT @ explained

    def screening(self) -> Screening:
        """Means and variances (n each) of the noise-free target at single candidates (n x d)."""
        return self.fast_screening() or self._jointly

    def fast_screening(self) -> Screening | None:
        """The model's own, which several threads may call at once; None where it has none."""
        return screening_of(self.model, self.pending)

    def _jointly(self, x: Tensor) -> tuple[Tensor, Tensor]:
        parts = [self.moments(part) for part in x.split(CHUNK)]
        return (
            torch.cat([mean for mean, _ in parts]),
            torch.cat([covariance.diagonal() for _, covariance in parts]),
        )

    def noise(self, x: Tensor) -> Tensor:
        """Covariance (b x q x q) of what observations at `x` add to the noise-free target."""
        _, with_noise = joint_moments(self.model, x, observation_noise=True)
        return with_noise - joint_moments(self.model, x)[1]


class BelievedModel(GaussianModel):
    """A belief as a BoTorch model, seen in an orientation in which larger is better."""

    def __init__(self, belief: Belief, orientation: Orientation) -> None:
        super().__init__()
        self._belief = belief
        self._orientation = orientation

    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Moments given the pending results; turning the target does not change a covariance."""
        mean, covariance = self._belief.moments(x)
        if observation_noise:
            covariance = covariance + self._belief.noise(x)
        return self._orientation.sign * (mean - self._orientation.centre), covariance
