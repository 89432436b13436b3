"""The potential that comes with this package: a MACE distilled from SevenNet 7net-l3i5.

Made by `discover potentials distill` and nothing else; its card says from what, and how good it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from discover.potentials.mace_weights import read_card

WEIGHTS = Path(__file__).with_name("weights") / "bundled.safetensors"


def bundled_card() -> dict[str, Any]:
    """How it was made, the formulas kept from its training, and its errors on them."""
    return read_card(WEIGHTS)
