"""The contract of a surrogate: data in, a BoTorch model out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from discover.errors import SurrogateError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor


@dataclass(frozen=True)
class TrainingData:
    """Descriptors and targets: `x` is n x d, `y` is n x m on the model's scale, both float64.

    Values should differ by thousandths at least: BoTorch's variances have a floor of 1e-10.
    A missing value of `y` is not a number; every row has at least one value. `groups` (n integers) mark
    rows that must not be split between training and validation, such as polytypes of one formula. With
    more than one of `fidelities`, the last column of `x` is the index of the fidelity that the row was
    measured at: 0 for the cheapest, `fidelities` - 1 for the target.

    `noise` (n x m) are known standard deviations of the values, not a number where unknown. `censored`
    (n x m, int8) says where `y` is a bound: -1 where the true value is below it, +1 where it is above,
    0 where `y` is the value. `categorical` are the columns of `x` that are codes, such as one-hot ones.
    """

    x: Tensor
    y: Tensor
    groups: Tensor | None = None
    fidelities: int = 1
    noise: Tensor | None = None
    censored: Tensor | None = None
    categorical: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.x.ndim != 2 or self.y.ndim != 2 or len(self.x) != len(self.y):
            raise SurrogateError(
                f"x must be n x d and y n x m, got {tuple(self.x.shape)} and {tuple(self.y.shape)}"
            )
        if not bool(self.x.isfinite().all()):
            raise SurrogateError(
                f"x holds values that are not finite, {_first(~self.x.isfinite())}"
            )
        if bool(self.y.isinf().any()):
            raise SurrogateError(f"y holds infinite values, {_first(self.y.isinf())}")
        empty = self.y.isnan().all(dim=1)
        if bool(empty.any()):
            raise SurrogateError(f"row {int(empty.nonzero()[0])} of y has no value: leave it out")
        if self.groups is not None and self.groups.shape != self.x.shape[:1]:
            raise SurrogateError(f"groups must hold n integers, got {tuple(self.groups.shape)}")
        for name, part in (("noise", self.noise), ("censored", self.censored)):
            if part is not None and part.shape != self.y.shape:
                raise SurrogateError(
                    f"{name} must be as y, {tuple(self.y.shape)}, got {tuple(part.shape)}"
                )
        if self.noise is not None:
            wrong = (self.noise < 0) | self.noise.isinf()
            if bool(wrong.any()):
                raise SurrogateError(f"noise must be finite and not negative, {_first(wrong)}")
        if self.censored is not None:
            sides = (self.censored == -1) | (self.censored == 0) | (self.censored == 1)
            wrong = ~sides | ((self.censored != 0) & self.y.isnan())
            if bool(wrong.any()):
                raise SurrogateError(
                    f"censored must be -1, 0 or 1, and 0 where y is missing, {_first(wrong)}"
                )
        self._check_fidelities()
        if not all(0 <= column < self.x.shape[1] for column in self.categorical):
            raise SurrogateError(
                f"categorical names columns that x does not have: {self.categorical}"
            )

    def _check_fidelities(self) -> None:
        at = self.x[:, -1:]
        wrong = (at < 0) | (at >= self.fidelities) | (at != at.floor())
        if self.fidelities > 1 and bool(wrong.any()):
            raise SurrogateError(
                f"the fidelity, the last column of x, must be 0 to {self.fidelities - 1}, {_first(wrong)}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, which: Tensor) -> TrainingData:
        """These rows (n booleans, or indices), with all that belongs to them."""

        def of(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[which]

        return replace(
            self,
            x=self.x[which],
            y=self.y[which],
            groups=of(self.groups),
            noise=of(self.noise),
            censored=of(self.censored),
        )

    def output(self, column: int) -> TrainingData:
        """One target alone (n' x 1), in the rows that have a value of it."""

        def of(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[known, column : column + 1]

        known = ~self.y[:, column].isnan()
        return replace(
            self,
            x=self.x[known],
            y=self.y[known, column : column + 1],
            groups=None if self.groups is None else self.groups[known],
            noise=of(self.noise),
            censored=of(self.censored),
        )

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
    One with `joint = True` learns several targets from one another: it is validated on all at once.
    """

    def fit(self, data: TrainingData, seed: int) -> Model:
        """A fitted model; the same data and seed give the same posterior.

        Raises SurrogateError where the data cannot support a fit (too few rows, a constant target).
        """
        ...


def _first(wrong: Tensor) -> str:
    row, column = wrong.nonzero()[0].tolist()
    return f"first in row {row}, column {column}"
