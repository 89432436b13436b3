"""The BoTorch model behind the surrogate `gp`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms.outcome import Standardize
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import MaternKernel
from gpytorch.priors import LogNormalPrior
from linear_operator.settings import max_cholesky_size

from surrogates.scaling import unit_box, varies
from surrogates.screening import KernelScreening, inverse_root

if TYPE_CHECKING:
    from botorch.posteriors import Posterior
    from pydantic import JsonValue
    from torch import Tensor


class SharedScaleGP(SingleTaskGP):  # type: ignore[misc]  # BoTorch is not typed
    """Exact GP, Matérn-5/2 with one length scale shared by all d columns, scaled to the unit box.

    The length scale has the prior of Hvarfner et al. (ICML 2024), whose median grows as √d; the
    amplitude is that of the standardized target. Every solve is a Cholesky decomposition, however many
    rows there are.
    """

    def __init__(self, x: Tensor, y: Tensor) -> None:
        columns = int(varies(x).sum())
        prior = LogNormalPrior(math.sqrt(2) + math.log(columns) / 2, math.sqrt(3))
        kernel = MaternKernel(
            nu=2.5,
            lengthscale_prior=prior,
            lengthscale_constraint=GreaterThan(2.5e-2, transform=None, initial_value=prior.mode),
        )
        super().__init__(
            x,
            y,
            covar_module=kernel,
            outcome_transform=Standardize(m=1),
            input_transform=unit_box(x),
        )
        self._data = {"x": x, "y": y}

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> Posterior:  # noqa: N803
        """Joint posterior at X (b x q x d), as BoTorch's, exact at any number of rows."""
        with max_cholesky_size(len(self._data["x"]) + X.shape[-2]):
            return super().posterior(X, *args, **options)

    def covariance(self, one: Tensor, two: Tensor) -> Tensor:
        """Prior covariance (n x p) at `one` (n x d) and `two` (p x d), of the standardized target."""
        left, right = map(self.input_transform.transform, (one, two))
        dense: Tensor = self.covar_module(left, right).to_dense()
        return dense

    def variances(self, x: Tensor) -> Tensor:
        """Prior variances (n) of the standardized target at `x` (n x d)."""
        return torch.ones(len(x)).to(x)

    def screening(self, pending: Tensor) -> KernelScreening:
        """Means and variances of single candidates, results at `pending` (p x d) believed."""
        x, y = self._data["x"], self._data["y"]
        noise, constant = self.likelihood.noise.detach(), self.mean_module.constant.detach()
        root = inverse_root(self.covariance(x, x).detach() + noise * torch.eye(len(x)).to(x))
        shift, scale = self.outcome_transform.means[0, 0], self.outcome_transform.stdvs[0, 0]
        return KernelScreening(
            self,
            x,
            root @ (root.mT @ ((y - shift) / scale - constant)),
            [(-1.0, root)],
            pending=pending,
            noise=noise,
            shift=shift + scale * constant,
            scale=scale,
        )

    @property
    def details(self) -> dict[str, JsonValue]:
        """Fitted length scale (unit box) and noise (standard deviation on the target's scale)."""
        scale = self.outcome_transform.stdvs.item()
        return {
            "length_scale": self.covar_module.lengthscale.item(),
            "noise_std": scale * self.likelihood.noise.item() ** 0.5,
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the training data and the fitted parameters."""
        parameters = {f"fitted.{name}": value for name, value in self.named_parameters()}
        return {}, self._data | parameters

    @classmethod
    def restore(
        cls,
        settings: Mapping[str, Any],  # noqa: ARG003 - it has none
        tensors: dict[str, Tensor],
    ) -> SharedScaleGP:
        """Inverse of `dump`."""
        model = cls(tensors["x"], tensors["y"])
        for name, parameter in model.named_parameters():
            parameter.data.copy_(tensors[f"fitted.{name}"])
        model.eval()
        return model
