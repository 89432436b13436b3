"""Quasi-Newton steps towards a minimum."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class BFGS:
    """Minimizes a function from its gradients, with a Hessian that it learns on the way.

    The Hessian begins as a diagonal of `curvatures` and is updated by the damped formula of Broyden,
    Fletcher, Goldfarb and Shanno (Nocedal and Wright, Numerical Optimization (2006), procedure 18.2),
    so that it stays positive and every step leads downhill.
    """

    def __init__(self, curvatures: Array) -> None:
        self._hessian = np.diag(curvatures)
        self._last: tuple[Array, Array] | None = None

    def step(self, x: Array, gradient: Array) -> Array:
        """The step to take from `x`, where the gradient is `gradient`."""
        if self._last is not None:
            self._learn(x - self._last[0], gradient - self._last[1])
        self._last = x, gradient
        return np.asarray(-np.linalg.solve(self._hessian, gradient), dtype=np.float64)

    def _learn(self, moved: Array, change: Array) -> None:
        expected = self._hessian @ moved
        curvature, guess = moved @ change, moved @ expected
        if not guess > 0.0:
            return  # it did not move
        if curvature < 0.2 * guess:
            share = 0.8 * guess / (guess - curvature)
            change = share * change + (1.0 - share) * expected
        self._hessian += np.outer(change, change) / (moved @ change)
        self._hessian -= np.outer(expected, expected) / guess
