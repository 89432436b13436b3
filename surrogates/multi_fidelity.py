"""Surrogate `multi-fidelity`: a Gaussian process that learns across the rungs of a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.scaling import require_fittable

if TYPE_CHECKING:
    from surrogates.autoregressive_gp import AutoregressiveGP
    from surrogates.validation import Array


TOLERANCE = 1e-6
"""Relative change of the loss at which the fit ends."""


class MultiFidelityGP:
    """Autoregressive Gaussian process over candidates and fidelities (`AutoregressiveGP`)."""

    multi_fidelity: ClassVar[bool] = True

    def fit(self, data: TrainingData, seed: int) -> AutoregressiveGP:  # noqa: ARG002 - it draws nothing
        """Maximum a posteriori fit in float64, by L-BFGS from where the priors are highest.

        Raises SurrogateError where `data` cannot support a fit or the optimizer finds none.
        """
        import torch
        from scipy.optimize import minimize

        from surrogates.autoregressive_gp import AutoregressiveGP

        require_fittable(data)
        model = AutoregressiveGP(data.x.double(), data.y.double(), data.fidelities)
        parameters = list(model.parameters())

        def loss(values: Array) -> tuple[float, Array]:
            torch.nn.utils.vector_to_parameters(torch.from_numpy(values), parameters)
            model.zero_grad()
            try:
                value = model.loss()
            except torch.linalg.LinAlgError:  # float64 cannot factorize it: the line search turns
                return np.inf, np.zeros_like(values)
            value.backward()
            gradients = [p.grad.flatten() for p in parameters if p.grad is not None]
            return value.item(), torch.cat(gradients).numpy()

        start = torch.nn.utils.parameters_to_vector(parameters).detach().numpy()
        with torch.enable_grad():
            end = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": TOLERANCE})
        if not np.isfinite(end.fun):
            raise SurrogateError("the Gaussian process could not be fitted: its loss is not finite")
        torch.nn.utils.vector_to_parameters(torch.from_numpy(end.x), parameters)
        model.requires_grad_(requires_grad=False)
        return model
