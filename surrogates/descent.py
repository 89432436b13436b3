"""Maximum a posteriori fits of small models whose loss is written in torch."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from torch import nn

from discover.errors import SurrogateError

Array = npt.NDArray[np.float64]

TOLERANCE = 1e-6
"""Relative change of the loss at which a fit ends."""


M = TypeVar("M", bound=nn.Module)


def descend(model: M, steps: int = 1000) -> M:
    """The model at the end of a descent (L-BFGS), its parameters frozen; at most `steps` are made.

    The model has a method `loss`, differentiable in its parameters. Raises SurrogateError where the
    loss is not finite.
    """
    parameters = [p for p in model.parameters() if p.requires_grad and p.numel()]

    def loss(values: Array) -> tuple[float, Array]:
        torch.nn.utils.vector_to_parameters(torch.from_numpy(values.copy()), parameters)
        model.zero_grad()
        try:
            value = model.loss()  # type: ignore[operator] # nn.Module declares no methods
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined] # float64 cannot factorize it: the line search turns
            return np.inf, np.zeros_like(values)
        value.backward()
        gradients = [
            (torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters
        ]
        return value.item(), torch.cat(gradients).numpy()

    options = {"ftol": TOLERANCE, "maxiter": steps}
    start = torch.nn.utils.parameters_to_vector(parameters).detach().numpy()
    with torch.enable_grad():
        end = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    if not np.isfinite(end.fun):
        raise SurrogateError("the model could not be fitted: its loss is not finite")
    torch.nn.utils.vector_to_parameters(torch.from_numpy(end.x), parameters)
    model.requires_grad_(requires_grad=False)
    return model
