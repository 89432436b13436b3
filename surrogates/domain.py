"""Inside or outside: whether a candidate is like the rows that a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from surrogates.scaling import standard_score

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS = 3
QUANTILE = 0.95


class Domain:
    """What lies as near to the training rows as they lie to one another.

    A candidate is inside where its mean distance to its three nearest rows, in standard scores, is at
    most the 95 % quantile of what the rows themselves have to the other rows (the k-nearest-neighbour
    applicability domain: Sahigara et al., J. Cheminform. 5, 27 (2013)). Rows that are described alike
    count as one.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x
        self._scaling = standard_score(x)
        self._points = self._scaling.transform(x).unique(dim=0)
        self._neighbours = max(1, min(NEIGHBOURS, len(self._points) - 1))
        among = torch.cdist(self._points, self._points)
        among.fill_diagonal_(torch.inf)
        own = among.topk(self._neighbours, largest=False).values.mean(dim=-1)
        self._border = own.quantile(QUANTILE).nan_to_num(0.0, posinf=0.0).clamp_min(1e-9)

    def distance(self, x: Tensor) -> Tensor:
        """Distances (b x q) of `x` (b x q x d) in units of the border's: above 1 is outside."""
        points = self._scaling.transform(x).flatten(0, -2)
        distances: Tensor = torch.cat(
            [
                torch.cdist(part, self._points)
                .topk(self._neighbours, largest=False)
                .values.mean(dim=-1)
                for part in points.split(1024)
            ]
        )
        relative: Tensor = (distances / self._border).unflatten(0, x.shape[:-1])
        return relative

    def outside(self, x: Tensor) -> Tensor:
        """Which points (b x q, booleans) are outside."""
        return self.distance(x) > 1
