"""The BoTorch model behind the surrogate `multitask`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from botorch.models import MultiTaskGP
from botorch.models.transforms.input import AffineInputTransform
from botorch.models.transforms.outcome import Standardize
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import IndexKernel, MaternKernel
from gpytorch.likelihoods.hadamard_gaussian_likelihood import HadamardGaussianLikelihood
from gpytorch.priors import LogNormalPrior
from linear_operator.operators import DiagLinearOperator
from linear_operator.settings import max_cholesky_size

from surrogates.scaling import unit_box, varies

if TYPE_CHECKING:
    from botorch.posteriors import Posterior
    from linear_operator import LinearOperator
    from pydantic import JsonValue
    from torch import Tensor


def exact_solves() -> Any:
    """A context in which every solve is a Cholesky decomposition, however many rows there are."""
    return max_cholesky_size(1_000_000)


class CoregionalizedGP(MultiTaskGP):  # type: ignore[misc]  # BoTorch is not typed
    """Exact GP of m properties at x (n x d), whose values y (n x m) may be missing (not a number).

    Matérn-5/2 with one length scale in the unit box, as in `SharedScaleGP`, times a covariance B of the
    properties of full rank, each property standardized and with a noise of its own. `noise` (n x m) are
    known standard deviations beyond that, not a number where there is none.
    """

    def __init__(
        self, x: Tensor, y: Tensor, noise: Tensor | None = None, *, outputs: str = "first"
    ) -> None:
        properties, columns = y.shape[1], x.shape[1]
        row, task = (~y.isnan()).nonzero(as_tuple=True)
        shift = y.nanmean(dim=0)
        scale = (y - shift).square().nanmean(dim=0).sqrt()
        prior = LogNormalPrior(math.sqrt(2) + math.log(int(varies(x).sum())) / 2, math.sqrt(3))
        of_points = MaternKernel(
            nu=2.5,
            lengthscale_prior=prior,
            lengthscale_constraint=GreaterThan(2.5e-2, transform=None, initial_value=prior.mode),
            active_dims=list(range(columns)),
        )
        with torch.random.fork_rng(devices=[]):  # what is drawn here is overwritten below
            super().__init__(
                torch.cat([x[row], task.unsqueeze(-1).to(x)], dim=1),
                ((y - shift) / scale)[row, task].unsqueeze(-1),
                task_feature=columns,
                output_tasks=[0] if outputs == "first" else list(range(properties)),
                covar_module=of_points,
                outcome_transform=None,
                input_transform=_scaled_but_for_the_property(x),
            )
            if noise is not None:
                known = (noise / scale)[row, task].nan_to_num(0.0).square()
                learned: HadamardGaussianLikelihood = self.likelihood  # type: ignore[has-type]
                self.likelihood = _PartlyKnownNoise(learned, self.train_inputs[0], known)
            # BoTorch's own lets properties only rise together
            of_properties = IndexKernel(properties, rank=properties, active_dims=[columns])
        of_properties.covar_factor.data = 0.7 * torch.eye(properties) + 0.1
        of_properties.var = torch.full((properties,), 0.1)
        self.covar_module = (of_points * of_properties).to(x)
        # the rows are standardized already; this takes the answers back to their scales
        self.outcome_transform = _standardized(shift, scale, self.num_outputs)
        self._kept = {"x": x, "y": y} | ({} if noise is None else {"noise": noise})
        self._settings: dict[str, JsonValue] = {"outputs": outputs}

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> Posterior:  # noqa: N803
        """Joint posterior at X (b x q x d), as BoTorch's, exact at any number of rows."""
        with exact_solves():
            return super().posterior(X, *args, **options)

    @property
    def details(self) -> dict[str, JsonValue]:
        """Length scale (unit box), and the correlation of each property with the first one."""
        of_points, of_properties = self.covar_module.kernels
        covariance = of_properties.covar_matrix.to_dense()
        spread = covariance.diagonal().sqrt()
        return {
            "length_scale": of_points.lengthscale.item(),
            "correlations": (covariance[0] / (spread[0] * spread)).tolist(),
        }

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the training data and the fitted parameters."""
        parameters = {f"fitted.{name}": value for name, value in self.named_parameters()}
        return self._settings, self._kept | parameters

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> CoregionalizedGP:
        """Inverse of `dump`."""
        model = cls(tensors["x"], tensors["y"], tensors.get("noise"), **settings)
        for name, parameter in model.named_parameters():
            parameter.data.copy_(tensors[f"fitted.{name}"])
        model.eval()
        return model


class _PartlyKnownNoise(HadamardGaussianLikelihood):  # type: ignore[misc]
    """The noise of `learned`, and more in the rows of `inputs` (k x (d + 1)): variances `known` (k)."""

    def __init__(self, learned: HadamardGaussianLikelihood, inputs: Tensor, known: Tensor) -> None:
        super().__init__(learned.num_tasks, task_feature_index=learned.task_feature_index)
        self.noise_covar = learned.noise_covar
        self._inputs, self._known = inputs, known

    def _shaped_noise_covar(self, base_shape: Any, *params: Any, **options: Any) -> LinearOperator:
        learned = super()._shaped_noise_covar(base_shape, *params, **options)
        asked = params[0] if torch.is_tensor(params[0]) else params[0][0]
        if not self._are_those_trained_on(asked):
            return learned
        return learned + DiagLinearOperator(self._known)

    def _are_those_trained_on(self, asked: Tensor) -> bool:
        """Whether these are the rows of the data, as they are or scaled to the unit box."""
        if asked.shape != self._inputs.shape:
            return False
        descriptors, given = asked[:, :-1], self._inputs[:, :-1]
        scaled = unit_box(given).transform(given)
        same = torch.equal(asked[:, -1], self._inputs[:, -1])
        return same and any(torch.allclose(descriptors, one) for one in (given, scaled))


def _scaled_but_for_the_property(x: Tensor) -> AffineInputTransform:
    """The unit box for the d columns of `x`; the column after them, the property, stays as it is."""
    box = unit_box(x)
    one = torch.ones(1, 1, dtype=x.dtype)
    return AffineInputTransform(
        d=x.shape[1] + 1,
        coefficient=torch.cat([box.coefficient, one], dim=1),
        offset=torch.cat([box.offset, 0 * one], dim=1),
    )


def _standardized(shift: Tensor, scale: Tensor, outputs: int) -> Standardize:
    """BoTorch's transform of the first `outputs` properties with these means and deviations (m)."""
    transform = Standardize(m=outputs).to(shift)
    transform.load_state_dict(
        {
            "means": shift[None, :outputs],
            "stdvs": scale[None, :outputs],
            "_stdvs_sq": scale[None, :outputs].square(),
            "_is_trained": torch.tensor(data=True),
        }
    )
    return transform.eval()
