"""What every surrogate does to its data before it fits: refuse what cannot be learned from, and scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from discover.errors import SurrogateError
from surrogates.base import TrainingData

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from botorch.models.transforms.input import InputTransform
    from torch import Tensor

MIN_ROWS = 3
FAR_FROM_ZERO = 1e4
"""Mean of a target beside its deviation."""
SMALLEST, LARGEST = 1e-100, 1e100
"""Between which the range of a target must lie: its variance would be zero, or infinite, beyond."""


def require_fittable(data: TrainingData) -> None:
    """SurrogateError unless there are three rows, one target that varies, and a varying descriptor.

    Of several fidelities, the one to be predicted must be among the rows.
    """
    rows, targets = data.y.shape
    if targets != 1:
        raise SurrogateError(f"one target is supported, got {targets}")
    if rows < MIN_ROWS:
        raise SurrogateError(f"{rows} rows are too few to fit on; at least {MIN_ROWS} are needed")
    if not bool((data.y != data.y[0]).any()):
        raise SurrogateError(f"the target is constant ({float(data.y[0]):g}) in all {rows} rows")
    extent = float(data.y.amax() - data.y.amin())
    if not SMALLEST < extent < LARGEST:
        raise SurrogateError(
            f"the target ranges over {extent:.3g}: give it in a unit in which it ranges over "
            f"{SMALLEST:g} to {LARGEST:g}"
        )
    if not bool(data.at_target.any()):
        raise SurrogateError("no row was measured at the fidelity that is to be predicted")
    if not bool(varies(data.descriptors).any()):
        raise SurrogateError(f"every descriptor is constant in all {rows} rows")


def varies(x: Tensor) -> Tensor:
    """Which of the d columns of `x` (n x d) are more than rounding noise around one value."""
    extent = x.amax(dim=-2) - x.amin(dim=-2)
    return extent > 1e-9 * x.abs().amax(dim=-2).clamp_min(1e-300)


def for_single_precision(x: Tensor) -> tuple[Tensor, Tensor]:
    """Offset and unit (d each) by which single precision tells the values of `x` (n x d) apart.

    Zero and one but for columns of tiny or huge values and of small differences between large ones:
    scikit-learn's trees see no column that ranges over less than 1e-7, nor the eighth digit.
    """
    import torch

    low, high, largest = x.amin(dim=-2), x.amax(dim=-2), x.abs().amax(dim=-2)
    extent = high - low
    lost = (extent < 1e-5) | (extent < 1e-5 * largest) | (largest > 1e30)
    lost &= varies(x)
    return low.where(lost, torch.zeros_like(low)), extent.where(lost, torch.ones_like(low))


def level(y: npt.NDArray[np.float64]) -> float:
    """Mean of a target (n) so far from zero that its variance is lost to rounding; zero of others."""
    mean = float(y.mean())
    return mean if abs(mean) > FAR_FROM_ZERO * float(y.std()) else 0.0


def unit_box(x: Tensor) -> InputTransform:
    """Scales the columns of `x` (n x d) to [0, 1]; constant ones become zero."""
    lowest = x.amin(dim=-2, keepdim=True)
    return _affine(x, lowest, x.amax(dim=-2, keepdim=True) - lowest)


def standard_score(x: Tensor) -> InputTransform:
    """Scales the columns of `x` (n x d) to mean 0 and standard deviation 1; constant ones become zero."""
    deviation = x.std(dim=-2, keepdim=True, correction=min(1, x.shape[-2] - 1))
    return _affine(x, x.mean(dim=-2, keepdim=True), deviation)


def _affine(x: Tensor, offset: Tensor, unit: Tensor) -> InputTransform:
    from botorch.models.transforms.input import AffineInputTransform

    # A column that is constant in the data says nothing about the target: a new candidate that
    # differs in it must not count as far away, so it is divided by infinity.
    unit = unit.where(varies(x), float("inf"))
    return AffineInputTransform(d=x.shape[-1], coefficient=unit, offset=offset)
