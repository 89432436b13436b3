"""Surrogate `calibrated`: another one, its uncertainty scaled to its errors inside and outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from discover import plugins
from discover.errors import SurrogateError
from surrogates.base import Surrogate, TrainingData
from surrogates.splits import SPLITS, Pairs
from surrogates.tabular import TabularSurrogate, judging

if TYPE_CHECKING:
    from surrogates.calibrated_model import CalibratedModel

Array = npt.NDArray[np.float64]

HELD_OUT = ("group", "cluster", "property-top", "property-bottom")
PSEUDO_ROWS = 10
"""Rows that speak for a scale of one, so that a few held-out values cannot move it far."""
LEVELS = {"coverage_50": 0.6745, "coverage_90": 1.6449}
"""Half widths of the central intervals of a standard normal."""


@dataclass(frozen=True)
class Judged:
    """Standardized residuals (n) of held-out rows, and which of them lay outside of what was known."""

    z: Array
    outside: npt.NDArray[np.bool_]


class Calibrated(TabularSurrogate):
    """The surrogate `base`, with standard deviations scaled by what its held-out errors ask for.

    One scale for candidates inside the domain of the training rows and one for those outside
    (`Domain`), from residuals on whole groups, clusters and ends of the property's range that were held
    out: the root mean square of the standardized residuals (variance scaling: Levi et al., Sensors 22,
    5540 (2022)), with `PSEUDO_ROWS` that say one.
    """

    def __init__(self, base: str = "gp") -> None:
        self._base: Surrogate = plugins.create("surrogates", base)

    def fit_exact(self, data: TrainingData, seed: int) -> CalibratedModel:
        """Fits `base` on all data, and without each held-out part; SurrogateError where it cannot be."""
        from surrogates.calibrated_model import CalibratedModel
        from surrogates.domain import Domain

        model = self._base.fit(data, seed)
        judged = judge(self._base, data, held_out_pairs(data, seed), seed)
        inside, outside = report(judged)
        return CalibratedModel(
            model,
            Domain(data.x.double()),
            (float(inside["scale"]), float(outside["scale"])),
            {"inside": inside, "outside": outside},
        )


def held_out_pairs(data: TrainingData, seed: int) -> Pairs:
    """Train and test rows of all `HELD_OUT` splits."""
    y, x = data.y[:, 0].double().numpy(), data.descriptors.double().numpy()
    groups = None if data.groups is None else data.groups.numpy()
    return [pair for name in HELD_OUT for pair in SPLITS[name](y, x, groups, seed)]


def judge(surrogate: Surrogate, data: TrainingData, pairs: Pairs, seed: int) -> Judged:
    """Standardized residuals on held-out rows, without the parts whose complement cannot be fitted."""
    import torch

    from surrogates.domain import Domain
    from surrogates.validation import predict, with_known_noise

    z, outside = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    counted = judging(data).numpy()
    for train, tested in pairs:
        test = tested[counted[tested]]
        if not len(test):
            continue
        known = data.rows(torch.from_numpy(train))
        try:
            model = surrogate.fit(known, seed)
        except SurrogateError:
            continue
        asked = data.rows(torch.from_numpy(test))
        mean, std = predict(model, asked.x)
        z.append((asked.y[:, 0].double().numpy() - mean) / with_known_noise(std, asked))
        outside.append(Domain(known.x.double()).outside(asked.x.double()).numpy())
    return Judged(np.concatenate(z), np.concatenate(outside))


def scale_of(z: Array) -> float:
    """Factor for standard deviations whose standardized residuals are `z` (n)."""
    return float(np.sqrt(((z**2).sum() + PSEUDO_ROWS) / (len(z) + PSEUDO_ROWS)))


def report(judged: Judged) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows, scale, and coverage before and after it, inside and outside; None without rows."""
    found = []
    for where in (~judged.outside, judged.outside):
        z = judged.z[where]
        scale = scale_of(z)
        entry: dict[str, JsonValue] = {"rows": len(z), "scale": scale}
        for name, width in LEVELS.items():
            before, after = np.abs(z) <= width, np.abs(z) <= width * scale
            entry[name] = float(before.mean()) if len(z) else None
            entry[f"{name}_scaled"] = float(after.mean()) if len(z) else None
        found.append(entry)
    return found[0], found[1]
