"""The contract of a surrogate: data in, a BoTorch model out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from discover.errors import SurrogateError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor


@dataclass(frozen=True)
class TrainingData:
    """Descriptors and targets: `x` is n x d, `y` is n x m on the model's scale, both float64.

    `groups` (n integers) mark rows that must not be split between training and validation, such as
    polytypes of one formula. With more than one of `fidelities`, the last column of `x` is the index of
    the fidelity that the row was measured at: 0 for the cheapest, `fidelities` - 1 for the target.
    """

    x: Tensor
    y: Tensor
    groups: Tensor | None = None
    fidelities: int = 1

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.y.ndim != 2 or len(self.x) != len(self.y):
            raise SurrogateError(
                f"x must be n x d and y n x m, got {tuple(self.x.shape)} and {tuple(self.y.shape)}"
            )
        if not bool(self.x.isfinite().all()) or not bool(self.y.isfinite().all()):
            raise SurrogateError("training data hold values that are not finite")

    @property
    def descriptors(self) -> Tensor:
        """`x` without the column of the fidelity."""
        return self.x if self.fidelities == 1 else self.x[:, :-1]

    @property
    def at_target(self) -> Tensor:
        """Which rows were measured at the target's fidelity (n booleans)."""
        import torch

        if self.fidelities == 1:
            return torch.ones(len(self.x), dtype=torch.bool)
        return self.x[:, -1] == self.fidelities - 1


class Surrogate(Protocol):
    """Fits on descriptors and targets and gives a BoTorch `Model`.

    The model's posterior takes raw descriptors (b x q x d, scaling is the model's own affair) and
    answers on the scale of `y`, so that every BoTorch acquisition function works with every surrogate.

    A class with `multi_fidelity = True` takes data of several fidelities; its model then takes the
    index of the fidelity as one more column, and answers jointly for any (candidate, fidelity) pairs.
    """

    def fit(self, data: TrainingData, seed: int) -> Model:
        """A fitted model; the same data and seed give the same posterior.

        Raises SurrogateError where the data cannot support a fit (too few rows, a constant target).
        """
        ...
