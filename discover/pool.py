"""What a runner keeps in memory of the store's candidates: those it knows, and those it may pick."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from discover.records import Candidate


class KnownCandidates:
    """Ids of all candidates of a campaign, and which of them share a formula."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self._by_formula: dict[str, list[str]] = {}

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Take note of candidates."""
        for candidate in candidates:
            if candidate.id not in self.ids:
                self.ids.add(candidate.id)
                self._by_formula.setdefault(candidate.formula, []).append(candidate.id)

    def of_formulas(self, formulas: Iterable[str]) -> list[str]:
        """Ids of candidates with one of these formulas."""
        return [i for formula in dict.fromkeys(formulas) for i in self._by_formula.get(formula, ())]


class OpenCandidates(NamedTuple):
    """Ids, descriptors (n x d), and the rungs at which each was picked already (n x F)."""

    ids: list[str]
    features: npt.NDArray[np.float64]
    asked: npt.NDArray[np.bool_]


class Pool:
    """Ready candidates that may be picked, in the order the generator proposed them.

    A candidate stays until it is picked at the last of the `rungs` (with one fidelity: until it is
    picked) or closed, and each rung is picked once; with `all_of_them`, until it was picked at every
    one. Holds ids and descriptors only; the store has the
    rest. Rows of closed candidates stay in the matrices and are masked, so that taking one out costs
    nothing.
    """

    def __init__(self, rungs: int = 1, *, all_of_them: bool = False) -> None:
        self._all_of_them = all_of_them
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._features = np.empty((0, 0))
        self._asked = np.empty((0, rungs), dtype=bool)
        self._open = np.empty(0, dtype=bool)

    def __len__(self) -> int:
        return int(self._open[: len(self._ids)].sum())

    @property
    def touched(self) -> int:
        """How many of the open candidates were picked at some rung before."""
        return int((self._open & self._asked.any(axis=1))[: len(self._ids)].sum())

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Append ready candidates; one that is known is left as it is."""
        new = [c for c in candidates if c.id not in self._row]
        if not new:
            return
        rows = np.array([c.features for c in new], dtype=np.float64)
        self._reserve(len(self._ids) + len(new), rows.shape[1])
        start = len(self._ids)
        self._features[start : start + len(new)] = rows
        self._open[start : start + len(new)] = True
        for candidate in new:
            self._row[candidate.id] = len(self._ids)
            self._ids.append(candidate.id)

    def take(self, candidate_id: str, rung: int = 0) -> None:
        """Note that a candidate was picked at a rung; no error where it is not in the pool."""
        if candidate_id in self._row:
            row = self._row[candidate_id]
            self._asked[row, rung] = True
            last = self._asked.shape[1] - 1
            self._open[row] &= not self._asked[row].all() if self._all_of_them else rung < last

    def close(self, candidate_id: str) -> None:
        """Take a candidate out; no error where it is not in the pool."""
        if candidate_id in self._row:
            self._open[self._row[candidate_id]] = False

    def first(self) -> tuple[str, int]:
        """The open candidate that was proposed first, and the cheapest rung it was not picked at.

        LookupError where none is open.
        """
        if not len(self):
            raise LookupError("no candidate is ready")
        row = int(np.argmax(self._open))
        return self._ids[row], int(np.argmin(self._asked[row]))

    def open(self, without: Collection[str] = ()) -> OpenCandidates:
        """All open candidates, in order, but those `without` whom some are left."""
        rows = np.flatnonzero(self._open[: len(self._ids)])
        free = [row for row in rows if self._ids[row] not in without] if without else rows
        rows = np.array(free) if len(free) else rows
        return OpenCandidates(
            [self._ids[row] for row in rows], self._features[rows], self._asked[rows]
        )

    def _reserve(self, n: int, d: int) -> None:
        if n <= len(self._features):
            return
        size, known = max(n, 2 * len(self._features), 64), len(self._ids)
        features, mask = np.zeros((size, d)), np.zeros(size, dtype=bool)
        asked = np.zeros((size, self._asked.shape[1]), dtype=bool)
        if known:
            features[:known] = self._features[:known]
            asked[:known] = self._asked[:known]
            mask[:known] = self._open[:known]
        self._features, self._asked, self._open = features, asked, mask
