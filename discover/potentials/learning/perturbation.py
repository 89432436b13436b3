"""Starting points for the members of a committee."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

RELATIVE_NOISE = 0.2


def perturbed(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The model with noise added to its parameters, of `RELATIVE_NOISE` times the size of each tensor.

    Members that start from one point and see the same data agree where there are no data, which is
    just where they should not: training brings them together where there are (randomized priors,
    Osband et al., NeurIPS 31 (2018), in the form of Ash and Adams, NeurIPS 33, 3884 (2020)).
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.add_(RELATIVE_NOISE * parameter.square().mean().sqrt() * noise)
    return model
