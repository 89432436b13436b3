"""Acquisitions `qlogei` and `parego`: one number of all objectives, and how far it may be improved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from discover.acquisition.aims import Array
from discover.acquisition.multi.context import JointContext
from discover.errors import PluginError

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

AUGMENTED = 0.05
"""Share of the weighted sum in the scalarization, as in ParEGO."""
DRAWS = 128
"""Quasi-random draws of each candidate by which a large pool is screened."""
SOFTNESS = 1e-3
"""Width, relative to the spread of the values, over which an improvement begins."""
BATCH = 256

Weights = dict[str, Annotated[float, Field(ge=0)]]


class ScalarizedImprovement:
    """Logarithm of the expected improvement of an augmented Chebyshev scalarization.

    s(y) = minⱼ wⱼ zⱼ + 0.05 Σ wⱼ zⱼ, where zⱼ is an objective on the range that was observed (Knowles,
    IEEE Trans. Evol. Comput. 10, 50 (2006), turned for maximization), by BoTorch's
    qLogExpectedImprovement with constraints and pending points. `weights` by property; all alike where
    they are not given.
    """

    def __init__(
        self, weights: Weights | None = None, samples: Annotated[int, Field(ge=8, le=4096)] = 128
    ) -> None:
        self._weights = weights
        self._samples = samples

    def weights(self, context: JointContext) -> Array:
        """Weights (m) of the objectives, which add up to one."""
        return checked_weights(self._weights, context)

    def screen(self, mean: Array, std: Array, context: JointContext) -> Array:
        """The same, of each candidate alone with its properties independent."""
        aims, scale = context.aims, Scalarization.of(context, self.weights(context))
        values = scale(aims.oriented_draws(mean, std, normal_draws(len(aims.columns))))
        return log_mean_excess(values, scale.best) + aims.log_feasible(mean, std)

    def score(
        self,
        model: Model,
        points: Tensor,
        mean: Array,  # noqa: ARG002 - BoTorch asks the model
        std: Array,  # noqa: ARG002
        context: JointContext,
    ) -> Array:
        """BoTorch's Monte Carlo estimate for each candidate (q = 1), given the pending ones."""
        import torch
        from botorch.acquisition.logei import qLogExpectedImprovement
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.utils.sampling import manual_seed

        from discover.acquisition.multi.hypervolume import constraints, sampler

        aims, scale = context.aims, Scalarization.of(context, self.weights(context))
        signs, columns = torch.tensor(aims.signs, dtype=torch.float64), list(aims.columns)

        def objective(samples: Tensor, X: Tensor | None = None) -> Tensor:  # noqa: ARG001, N803
            return scale.of_tensor(samples[..., columns] * signs)

        with manual_seed(context.seed):
            function = qLogExpectedImprovement(
                model=model,
                best_f=scale.best,
                sampler=sampler(self._samples, context.seed),
                objective=GenericMCObjective(objective),
                constraints=constraints(aims) or None,
                X_pending=torch.from_numpy(context.pending) if len(context.pending) else None,
            )
            scores = [function(part) for part in points.unsqueeze(-2).split(BATCH)]
        return np.asarray(torch.cat(scores).numpy())


class ParEGO(ScalarizedImprovement):
    """`qlogei` with weights drawn anew, evenly from the simplex, for each pick (Knowles, 2006)."""

    def __init__(self, samples: Annotated[int, Field(ge=8, le=4096)] = 128) -> None:
        super().__init__(samples=samples)

    def weights(self, context: JointContext) -> Array:
        """The same for the same campaign seed and number of picks."""
        return np.asarray(context.rng.dirichlet(np.ones(len(context.aims.columns))))


class Scalarization:
    """s(y) of objectives on the range [low, low + span] (m each) of what was observed; `best` so far."""

    def __init__(self, weights: Array, known: Array) -> None:
        self._weights = weights
        self._low = known.min(axis=0)
        span = known.max(axis=0) - self._low
        self._span = np.where(span > 0, span, 1.0)
        self.best = float(self(known).max())

    @classmethod
    def of(cls, context: JointContext, weights: Array) -> Scalarization:
        """On the feasible observed candidates; without any on all, from the worst of them on."""
        found = cls(weights, context.known)
        if not len(context.front):
            found.best = float(found(context.known).min())
        return found

    def __call__(self, values: Array) -> Array:
        """Scalars (...) of objectives (... x m), larger is better."""
        weighted = self._weights * (values - self._low) / self._span
        return np.asarray(weighted.min(axis=-1) + AUGMENTED * weighted.sum(axis=-1))

    def of_tensor(self, values: Tensor) -> Tensor:
        """The same of a tensor."""
        import torch

        weights, low, span = map(torch.from_numpy, (self._weights, self._low, self._span))
        weighted = weights * (values - low) / span
        return weighted.amin(dim=-1) + AUGMENTED * weighted.sum(dim=-1)


def checked_weights(given: Weights | None, context: JointContext) -> Array:
    """Weights (m) by objective that add up to one; PluginError where they name something else."""
    names = [target.name for target in context.aims.objectives]
    if given is None:
        return np.full(len(names), 1 / len(names))
    if set(given) != set(names) or not sum(given.values()) > 0:
        raise PluginError(
            f"weights: give each objective ({', '.join(names)}) one, and not 0 to all of them"
        )
    weights = np.array([given[name] for name in names])
    return np.asarray(weights / weights.sum())


def normal_draws(columns: int) -> Array:
    """Quasi-random standard normals (`DRAWS` x m), always the same."""
    from scipy.stats import norm
    from scipy.stats.qmc import Sobol

    even = Sobol(columns, scramble=True, rng=0).random(DRAWS)
    return np.asarray(norm.ppf(even.clip(1e-9, 1 - 1e-9)))


def log_mean_excess(values: Array, best: float) -> Array:
    """Log E[max(v - best, 0)] over draws (n x S), the kink rounded so that it is finite everywhere."""
    width = SOFTNESS * max(float(np.ptp(values)), 1e-12)
    z = (values - best) / width
    # log(softplus(z)), which is z itself far below
    excess = np.where(z < -30, z, np.log(np.maximum(np.logaddexp(0.0, z), 1e-300)))
    return np.asarray(np.logaddexp.reduce(excess, axis=1) + np.log(width / values.shape[1]))
