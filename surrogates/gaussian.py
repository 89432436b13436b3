"""BoTorch models that are made of nothing but a joint mean and covariance."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal

from discover.errors import SurrogateError

if TYPE_CHECKING:
    from botorch.acquisition.objective import PosteriorTransform
    from botorch.posteriors import Posterior
    from torch import Tensor

RELATIVE_JITTER = 1e-8
"""Added to the diagonal of a covariance, relative to its mean, so that it can be factorized."""


class GaussianModel(Model):  # type: ignore[misc]  # BoTorch is not typed
    """A one-output BoTorch `Model` whose posterior is the Gaussian with these `moments`.

    It works with analytic and with Monte Carlo acquisition functions alike.
    """

    @abstractmethod
    def moments(self, x: Tensor, *, observation_noise: bool = False) -> tuple[Tensor, Tensor]:
        """Mean (b x q) and covariance (b x q x q) of the target at `x` (b x q x d).

        With `observation_noise`, those of observations that are still to come.
        """

    @property
    def num_outputs(self) -> int:
        """One."""
        return 1

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: there is one model, not a batch of them."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,  # noqa: N803 - BoTorch's name
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | None = None,
        **_: Any,
    ) -> Posterior:
        """Joint posterior over the q points of each batch; `observation_noise` only as a bool."""
        if output_indices not in (None, [0]):
            raise SurrogateError(f"there is one output, asked for {output_indices}")
        if not isinstance(observation_noise, bool):
            raise SurrogateError("observation noise is the model's own: give True or False")
        mean, covariance = self.moments(X, observation_noise=observation_noise)
        posterior = GPyTorchPosterior(MultivariateNormal(mean, jittered(covariance)))
        return posterior if posterior_transform is None else posterior_transform(posterior)


def solved(root: Tensor, right: Tensor) -> Tensor:
    """root⁻¹ right (b x n x q) of a lower triangular root (n x n); PyTorch's would copy it b times."""
    columns = right.mT.reshape(-1, right.shape[-2]).mT
    answer = torch.linalg.solve_triangular(root, columns, upper=False)
    back: Tensor = answer.mT.reshape(right.mT.shape).mT
    return back


def jittered(covariance: Tensor) -> Tensor:
    """A covariance (b x q x q) that a Cholesky decomposition accepts."""
    diagonal = covariance.diagonal(dim1=-2, dim2=-1)
    jitter = RELATIVE_JITTER * diagonal.mean(dim=-1, keepdim=True).expand_as(diagonal)
    return covariance + torch.diag_embed(jitter)


def joint_moments(
    model: Model, x: Tensor, *, observation_noise: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean (b x q) and covariance (b x q x q) of any one-output BoTorch model at `x` (b x q x d).

    Gaussian posteriors are asked for theirs; ensembles give that of their members. SurrogateError for
    another kind of posterior.
    """
    if isinstance(model, GaussianModel):
        return model.moments(x, observation_noise=observation_noise)
    posterior = model.posterior(x, observation_noise=observation_noise)
    if isinstance(posterior, GPyTorchPosterior):
        return posterior.mean.squeeze(-1), posterior.distribution.covariance_matrix
    values = getattr(posterior, "values", None)
    if values is None:
        raise SurrogateError(
            f"a {type(posterior).__name__} has no joint covariance; "
            "the model must give a Gaussian or an ensemble posterior"
        )
    values = values.squeeze(-1)
    return values.mean(dim=-2), member_covariance(values)


def member_covariance(values: Tensor) -> Tensor:
    """Covariance (b x q x q) of ensemble members' predictions (b x s x q), of full rank.

    The sample covariance of s members has rank s - 1 at most, so that s observations would explain
    everything. Its off-diagonal part is therefore shrunk by the factor 1 - 1/s; the variances stay
    (shrinkage towards the diagonal: Schäfer & Strimmer, Stat. Appl. Genet. Mol. Biol. 4, 32 (2005)).
    """
    members = values.shape[-2]
    deviations = values - values.mean(dim=-2, keepdim=True)
    covariance = deviations.mT @ deviations / (members - 1)
    variances = torch.diag_embed(covariance.diagonal(dim1=-2, dim2=-1))
    return covariance + (variances - covariance) / members


def mixture_moments(
    weights: Sequence[float], parts: Sequence[tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a mixture of joint distributions with these weights and moments.

    m = Σ wᵢ mᵢ and C = Σ wᵢ (Cᵢ + (mᵢ - m)(mᵢ - m)ᵀ): where the members disagree, the spread of their
    means adds to the uncertainty.
    """
    means = torch.stack([mean for mean, _ in parts])
    covariances = torch.stack([covariance for _, covariance in parts])
    share = torch.tensor(weights, dtype=means.dtype).view(-1, *(1 for _ in means.shape[1:]))
    mean = (share * means).sum(dim=0)
    deviations = means - mean
    spread = deviations.unsqueeze(-1) * deviations.unsqueeze(-2)
    return mean, (share.unsqueeze(-1) * (covariances + spread)).sum(dim=0)
