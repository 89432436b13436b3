"""Several targets, each with a model of its own, as one BoTorch model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from botorch.models.model import Model
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal

from surrogates.gaussian import jittered, joint_moments
from surrogates.persistence import dump, restore

if TYPE_CHECKING:
    from botorch.acquisition.objective import PosteriorTransform
    from botorch.posteriors import Posterior
    from pydantic import JsonValue
    from torch import Tensor


class IndependentOutputs(Model):  # type: ignore[misc]  # BoTorch is not typed
    """One-output models side by side; their posteriors are independent of one another.

    The same as BoTorch's `ModelListGP`, of any models.
    """

    def __init__(self, outputs: Sequence[Model]) -> None:
        super().__init__()
        self.outputs = tuple(outputs)

    @property
    def num_outputs(self) -> int:
        """How many targets there are."""
        return len(self.outputs)

    @property
    def batch_shape(self) -> torch.Size:
        """Empty: there is one model, not a batch of them."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,  # noqa: N803 - BoTorch's name
        output_indices: list[int] | None = None,
        observation_noise: bool = False,
        posterior_transform: PosteriorTransform | None = None,
        **_: Any,
    ) -> Posterior:
        """Joint posterior over the q points of each batch and the m targets (b x q x m)."""
        chosen = range(len(self.outputs)) if output_indices is None else output_indices
        parts = []
        for index in chosen:
            mean, covariance = joint_moments(
                self.outputs[index], X, observation_noise=observation_noise
            )
            parts.append(MultivariateNormal(mean, jittered(covariance)))
        joint = (
            parts[0]
            if len(parts) == 1
            else MultitaskMultivariateNormal.from_independent_mvns(parts)
        )
        posterior = GPyTorchPosterior(joint)
        return posterior if posterior_transform is None else posterior_transform(posterior)

    def subset_output(self, idcs: list[int]) -> Model:
        """The model of some targets alone."""
        chosen = [self.outputs[index] for index in idcs]
        return chosen[0] if len(chosen) == 1 else IndependentOutputs(chosen)

    @property
    def details(self) -> dict[str, JsonValue]:
        """Each target's own details."""
        return {"outputs": [getattr(model, "details", {}) for model in self.outputs]}

    def dump(self) -> tuple[dict[str, JsonValue], dict[str, Tensor]]:
        """For `surrogates.persistence`: the targets' own, each under its number."""
        described: list[JsonValue] = []
        tensors: dict[str, Tensor] = {}
        for number, model in enumerate(self.outputs):
            settings, own = dump(model)
            described.append(settings)
            tensors |= {f"{number}/{key}": value for key, value in own.items()}
        return {"outputs": described}, tensors

    @classmethod
    def restore(cls, settings: Mapping[str, Any], tensors: dict[str, Tensor]) -> IndependentOutputs:
        """Inverse of `dump`."""
        outputs = []
        for number, described in enumerate(settings["outputs"]):
            prefix = f"{number}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            outputs.append(restore(described, own))
        return cls(outputs)
