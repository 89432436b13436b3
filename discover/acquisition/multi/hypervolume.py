"""Acquisition `qlognehvi`: by how much the volume that the front dominates is expected to grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from discover.acquisition.aims import Aims, Array
from discover.acquisition.functions import log_ei
from discover.acquisition.multi.context import JointContext

if TYPE_CHECKING:
    from botorch.models.model import Model
    from torch import Tensor

BATCH = 32
"""Candidates that BoTorch scores at once, each jointly with the front and what is pending."""


class NoisyHypervolumeImprovement:
    """Logarithm of the noisy expected hypervolume improvement, constraints included.

    BoTorch's qLogNoisyExpectedHypervolumeImprovement (Daulton et al., NeurIPS 34 (2021); Ament et al.,
    NeurIPS 36 (2023)) with the observed candidates as its baseline and the running ones pending. Large
    pools are screened by the analytic improvement over the observed front.
    """

    def __init__(self, samples: Annotated[int, Field(ge=8, le=4096)] = 64) -> None:
        self._samples = samples

    def screen(self, mean: Array, std: Array, context: JointContext) -> Array:
        """The analytic improvement of each candidate alone, properties taken for independent."""
        aims = context.aims
        columns = list(aims.columns)
        lower, upper = cells(context.front, aims.references)
        improvement = log_expected_improvement(aims.oriented(mean), std[:, columns], lower, upper)
        return improvement + aims.log_feasible(mean, std)

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
        from botorch.acquisition.multi_objective.logei import (
            qLogNoisyExpectedHypervolumeImprovement,
        )
        from botorch.acquisition.multi_objective.objective import WeightedMCMultiOutputObjective
        from botorch.utils.sampling import manual_seed

        aims = context.aims
        # what is known in part only still promises something, and is no baseline
        complete = aims.complete(context.observed)
        known = context.observed_features[complete if complete.any() else ...]
        with manual_seed(context.seed):
            function = qLogNoisyExpectedHypervolumeImprovement(
                model=model,
                ref_point=list(aims.references),
                X_baseline=torch.from_numpy(known),
                sampler=sampler(self._samples, context.seed),
                objective=WeightedMCMultiOutputObjective(
                    weights=torch.tensor(aims.signs, dtype=torch.float64),
                    outcomes=list(aims.columns),
                ),
                constraints=constraints(aims) or None,
                X_pending=torch.from_numpy(context.pending) if len(context.pending) else None,
                prune_baseline=True,
                cache_root=False,
            )
            scores = [function(part) for part in points.unsqueeze(-2).split(BATCH)]
        return np.asarray(torch.cat(scores).numpy())


def cells(front: Array, references: tuple[float, ...]) -> tuple[Array, Array]:
    """Lower and upper corners (K x m) of boxes that fill what the front does not dominate.

    They begin at the reference and have infinite upper corners at the outside (BoTorch's
    FastNondominatedPartitioning, after Lacour et al., Comput. Oper. Res. 79, 347 (2017)).
    """
    import torch
    from botorch.utils.multi_objective.box_decompositions.non_dominated import (
        FastNondominatedPartitioning,
    )

    boxes = FastNondominatedPartitioning(
        ref_point=torch.tensor(references, dtype=torch.float64), Y=torch.from_numpy(front)
    )
    lower, upper = boxes.get_hypercell_bounds().numpy()
    return lower, upper


def log_expected_improvement(mean: Array, std: Array, lower: Array, upper: Array) -> Array:
    """Logarithm of the expected hypervolume improvement (n) of independent normals (n x m).

    The improvement in a box is Π max(min(y, u) - l, 0), so that its expectation is a product of
    differences of one-dimensional expected improvements (Yang et al., Swarm Evol. Comput. 44, 945
    (2019)), which are taken in logarithms here.
    """
    total = np.full(len(mean), -np.inf)
    for low, high in zip(lower, upper, strict=True):
        open_end = np.isinf(high)
        above = log_ei((mean - low) / std)
        beyond = log_ei((mean - np.where(open_end, low, high)) / std)
        share = np.where(open_end, 0.0, np.exp(np.minimum(beyond - above, -1e-15)))
        inside = above + np.log1p(-share)
        total = np.logaddexp(total, (inside + np.log(std)).sum(axis=1))
    return total


def constraints(aims: Aims) -> list[Any]:
    """The limits as BoTorch wants them: of samples (... x p), negative where one is met."""

    def over(column: int, value: float) -> Any:
        return lambda samples: samples[..., column] - value

    def under(column: int, value: float) -> Any:
        return lambda samples: value - samples[..., column]

    found = []
    for column in aims.constrained:
        if aims.upper[column] < np.inf:
            found.append(over(column, aims.upper[column]))
        if aims.lower[column] > -np.inf:
            found.append(under(column, aims.lower[column]))
    return found


def sampler(samples: int, seed: int) -> Any:
    """Quasi-random normal draws that are the same for the same seed."""
    import torch
    from botorch.sampling.normal import SobolQMCNormalSampler

    return SobolQMCNormalSampler(sample_shape=torch.Size([samples]), seed=seed)
