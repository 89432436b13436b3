"""Labels to learn from, and labels kept from learning to judge it by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from discover.errors import PotentialError
from discover.potentials.learning.labels import Label

HELD_OUT_SHARE = 0.2
VALIDATION_SHARE = 0.1
FORMULAS_TO_HOLD_OUT = 5
"""With fewer formulas none is kept out as a whole: it would be too much of what there is to learn."""


@dataclass(frozen=True)
class Split:
    """`train` and `valid` are learned from. `configurations` are other frames of their formulas.

    `formulas` are all the frames of formulas that neither of the former has; `test` is both.
    """

    train: tuple[Label, ...]
    valid: tuple[Label, ...]
    configurations: tuple[Label, ...]
    formulas: tuple[Label, ...]

    @property
    def test(self) -> tuple[Label, ...]:
        """All that is kept from learning."""
        return (*self.configurations, *self.formulas)


def split(labels: Sequence[Label], seed: int) -> Split:
    """By hash, so that with the same seed a frame stays on its side when more labels come.

    PotentialError where there are too few to learn from and to judge by.
    """
    formulas = {label.formula for label in labels}
    enough = len(formulas) >= FORMULAS_TO_HOLD_OUT
    held_out = {f for f in formulas if enough and share(seed, f) < HELD_OUT_SHARE}
    known = sorted(
        (label for label in labels if label.formula not in held_out),
        key=lambda label: share(seed, label.digest),
    )
    if len(known) < 3:
        raise PotentialError(
            f"there are {len(known)} labelled frames to learn from: at least one to train on, one to"
            " validate and one to judge by are needed"
        )
    test = max(1, sum(share(seed, label.digest) < HELD_OUT_SHARE for label in known))
    test = min(test, len(known) // 2)
    limit = HELD_OUT_SHARE + VALIDATION_SHARE
    valid = max(1, sum(share(seed, label.digest) < limit for label in known) - test)
    valid = min(valid, len(known) - test - 1)
    return Split(
        train=tuple(known[test + valid :]),
        valid=tuple(known[test : test + valid]),
        configurations=tuple(known[:test]),
        formulas=tuple(label for label in labels if label.formula in held_out),
    )


def share(seed: int, text: str) -> float:
    """A number from 0 to 1 that belongs to a text; independent ones for two seeds."""
    digest = hashlib.sha256(f"{seed}/{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
