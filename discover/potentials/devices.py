"""Where PyTorch potentials run."""

from __future__ import annotations

import os

from discover.errors import PotentialError


def torch_device() -> str:
    """`cuda` where there is a GPU, else `cpu`, unless the variable DISCOVER_DEVICE names one of them.

    PotentialError where it names something else, or a GPU that PyTorch does not see.
    """
    import torch

    available = torch.cuda.is_available()
    device = os.environ.get("DISCOVER_DEVICE") or ("cuda" if available else "cpu")
    if device not in {"cpu", "cuda"}:
        raise PotentialError(f"DISCOVER_DEVICE is {device!r}: it must be cpu or cuda")
    if device == "cuda" and not available:
        raise PotentialError("DISCOVER_DEVICE is cuda, but PyTorch finds no GPU")
    return device
