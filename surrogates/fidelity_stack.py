"""Surrogate `fidelity-stack`: any surrogate, one a fidelity, with the lower values as inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from discover import plugins
from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData
from surrogates.tabular import TabularSurrogate

if TYPE_CHECKING:
    from torch import Tensor

    from surrogates.stacked_model import StackedModel


class FidelityStack(TabularSurrogate):
    """The surrogate `base` at each fidelity, which sees the value below beside the descriptors.

    A value is a straight line in the one below it, plus what `base` learns of the difference from the
    descriptors and that value. Where the value below is not known, the model of that fidelity predicts
    it, and its uncertainty is handed on (`StackedModel`). Each fidelity needs three rows.
    """

    multi_fidelity: ClassVar[bool] = True

    def __init__(self, base: str = "deep-ensemble") -> None:
        self._base: Surrogate = plugins.create("surrogates", base)

    def fit_exact(self, data: TrainingData, seed: int) -> StackedModel:
        """Fits the fidelities, cheap to dear; SurrogateError where one of them cannot be fitted."""
        import torch

        from surrogates.stacked_model import Level, StackedModel

        x, y = data.descriptors.double(), data.y.double()
        of_row = data.x[:, -1].long() if data.fidelities > 1 else torch.zeros(len(x)).long()
        levels: list[Level] = []
        for fidelity in range(data.fidelities):
            rows = of_row == fidelity
            inputs, values = x[rows], y[rows]
            groups = None if data.groups is None else data.groups[rows]
            noise = None if data.noise is None else data.noise[rows]
            line = (0.0, 0.0)
            if levels:
                below, _ = StackedModel(levels).marginals(inputs)
                line = straight_line(below, values.squeeze(-1))
                inputs = torch.cat([inputs, below.unsqueeze(-1)], dim=-1)
                values = values - line[0] - line[1] * below.unsqueeze(-1)
            try:
                model = self._base.fit(TrainingData(inputs, values, groups, noise=noise), seed)
            except SurrogateError as error:
                raise SurrogateError(
                    f"fidelity {fidelity} of {data.fidelities}: {error}"
                ) from error
            levels.append(Level(model, line, x[rows], y[rows].squeeze(-1)))
        return StackedModel(levels)


def straight_line(below: Tensor, values: Tensor) -> tuple[float, float]:
    """Intercept and slope of `values` over those `below`, by least squares.

    One pseudo-observation, a standard deviation away, says that the slope is one.
    """
    centre, middle = below.mean(), values.mean()
    variance = below.var(correction=0)
    if not float(variance) > 0:
        return float(middle - centre), 1.0
    n = len(below)
    covariance = ((below - centre) * (values - middle)).mean()
    slope = (n * covariance + variance) / ((n + 1) * variance)
    return float(middle - slope * centre), float(slope)
