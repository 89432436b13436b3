"""Acquisition `desirability`: how far the product of all objectives' desirabilities may be improved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover.acquisition.aims import Array
from discover.acquisition.multi.context import JointContext
from discover.acquisition.multi.scalarized import (
    Weights,
    checked_weights,
    log_mean_excess,
    normal_draws,
)
from discover.errors import PluginError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

Powers = dict[str, Annotated[float, Field(gt=0)]]


class Desirability:
    """Logarithm of the expected improvement of the overall desirability D (Derringer & Suich, 1980).

    An objective's desirability is 0 at its reference and 1 at its target, dⱼ = ((y - ref)/(target -
    ref))^power in between, and D the weighted geometric mean of them all (J. Qual. Technol. 12, 214).
    `targets` in the property's unit; one without a target counts to the best value observed, and goes on
    rising beyond. Pending results are taken for done in the uncertainty.
    """

    def __init__(
        self,
        targets: dict[str, float] | None = None,
        weights: Weights | None = None,
        powers: Powers | None = None,
    ) -> None:
        self._targets = targets or {}
        self._weights = weights
        self._powers = powers or {}

    def screen(self, mean: Array, std: Array, context: JointContext) -> Array:
        """The improvement of each candidate alone, its properties independent."""
        aims = context.aims
        known = self.overall(context.known, context)
        best = known.max() if len(context.front) else known.min()
        draws = aims.oriented_draws(mean, std, normal_draws(len(aims.columns)))
        return log_mean_excess(self.overall(draws, context), float(best)) + aims.log_feasible(
            mean, std
        )

    def score(
        self,
        model: Model,  # noqa: ARG002 - it needs no joint posterior
        points: Tensor,  # noqa: ARG002
        mean: Array,
        std: Array,
        context: JointContext,
    ) -> Array:
        """As `screen`."""
        return self.screen(mean, std, context)

    def overall(self, values: Array, context: JointContext) -> Array:
        """D (...) of objectives (... x m), larger is better, on the model's scale."""
        aims = context.aims
        names = [objective.name for objective in aims.objectives]
        if wrong := {*self._targets, *self._powers} - set(names):
            raise PluginError(f"{min(wrong)!r} is not an objective: {', '.join(names)}")
        weights = checked_weights(self._weights, context)
        total = np.zeros(values.shape[:-1])
        for place, objective in enumerate(aims.objectives):
            name = objective.name
            reference, best = aims.references[place], float(context.known[:, place].max())
            if name in self._targets:
                target = aims.signs[place] * objective.to_model(self._targets[name])
                if target <= reference:
                    raise PluginError(f"targets.{name}: is no better than its reference")
                share = ((values[..., place] - reference) / (target - reference)).clip(max=1.0)
            else:
                span = best - reference if best > reference else 1.0
                share = (values[..., place] - reference) / span
            with np.errstate(divide="ignore"):
                logs = np.log(share.clip(min=0.0))
            if weights[place] > 0:
                total = total + weights[place] * self._powers.get(name, 1.0) * logs
        return np.asarray(np.exp(total))
