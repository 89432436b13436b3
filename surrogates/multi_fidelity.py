"""Surrogate `multi-fidelity`: Gaussian processes that learn across the rungs of a ladder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from surrogates.base import TrainingData
from surrogates.tabular import TabularSurrogate, known_noise

if TYPE_CHECKING:
    from botorch.models.model import Model


class MultiFidelityGP(TabularSurrogate):
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

    def fit_exact(self, data: TrainingData, seed: int) -> Model:  # noqa: ARG002 - it draws nothing
        """Maximum a posteriori fits in float64; SurrogateError where the optimizer finds none."""
        from surrogates.autoregressive_gp import AutoregressiveGP
        from surrogates.descent import descend
        from surrogates.mixture_model import MixtureModel

        x, y, fidelities = data.x.double(), data.y.double(), data.fidelities
        noise = known_noise(data)
        coupled = descend(AutoregressiveGP(x, y, fidelities, noise))
        if fidelities == 1 or not self._doubt:
            return coupled
        alone = descend(AutoregressiveGP(x, y, fidelities, noise, coupled=False))
        return MixtureModel(
            {"coupled": coupled, "alone": alone},
            {"coupled": 1 - self._doubt, "alone": self._doubt},
        )
