"""Surrogate `multi-fidelity`: Gaussian processes that learn across the rungs of a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from discover.errors import SurrogateError
from surrogates.base import TrainingData
from surrogates.scaling import require_fittable

if TYPE_CHECKING:
    from botorch.models.model import Model

    from surrogates.autoregressive_gp import AutoregressiveGP
    from surrogates.validation import Array

TOLERANCE = 1e-6
"""Relative change of the loss at which a fit ends."""


class MultiFidelityGP:
    """Autoregressive Gaussian process over candidates and fidelities, and how far to believe it.

    Cheap methods fail grossly now and then: a potential may be off by a factor of ten for one crystal
    and by ten percent for its neighbours, which no Gaussian discrepancy describes. With probability
    `doubt` a candidate's lower values are therefore taken to say nothing of the dearer ones: the model
    is the mixture of `AutoregressiveGP` and of one process for each fidelity alone, so that where the
    two disagree the uncertainty grows (contaminated distributions: Tukey (1960)).
    """

    multi_fidelity: ClassVar[bool] = True

    def __init__(self, doubt: Annotated[float, Field(ge=0, lt=1)] = 0.15) -> None:
        self._doubt = doubt

    def fit(self, data: TrainingData, seed: int) -> Model:  # noqa: ARG002 - it draws nothing
        """Maximum a posteriori fits in float64.

        Raises SurrogateError where `data` cannot support a fit or the optimizer finds none.
        """
        from surrogates.autoregressive_gp import AutoregressiveGP
        from surrogates.mixture_model import MixtureModel

        require_fittable(data)
        x, y, fidelities = data.x.double(), data.y.double(), data.fidelities
        coupled = _fitted(AutoregressiveGP(x, y, fidelities))
        if fidelities == 1 or not self._doubt:
            return coupled
        alone = _fitted(AutoregressiveGP(x, y, fidelities, coupled=False))
        return MixtureModel(
            {"coupled": coupled, "alone": alone},
            {"coupled": 1 - self._doubt, "alone": self._doubt},
        )


def _fitted(model: AutoregressiveGP) -> AutoregressiveGP:
    """The model at the end of a descent (L-BFGS) that begins where its priors are highest."""
    import torch
    from scipy.optimize import minimize

    parameters = [p for p in model.parameters() if p.requires_grad and p.numel()]

    def loss(values: Array) -> tuple[float, Array]:
        torch.nn.utils.vector_to_parameters(torch.from_numpy(values), parameters)
        model.zero_grad()
        try:
            value = model.loss()
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined] # float64 cannot factorize it: the line search turns
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
