"""The potential that comes with this package: a MACE distilled from SevenNet 7net-l3i5.

Made by `discover potentials distill` and nothing else; its card says from what, and how good it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from discover.potentials import mace_weights

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).with_name("weights") / "bundled"
"""Without its two suffixes, `.safetensors` and `.json`."""


def bundled_model() -> torch.nn.Module:
    """The model, in single precision; PotentialError where its files are damaged."""
    return mace_weights.load_weights(WEIGHTS)


def bundled_digest() -> str:
    """Twelve hex digits that change whenever the model does."""
    return mace_weights.digest(WEIGHTS)


def bundled_elements() -> frozenset[str]:
    """Its domain: chemical symbols that it was trained on."""
    return mace_weights.elements_of(WEIGHTS)


def bundled_card() -> dict[str, Any]:
    """How it was made, the formulas kept from its training, and its errors on them."""
    return mace_weights.read_card(WEIGHTS)
