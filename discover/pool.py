"""What a runner keeps in memory of the store's candidates: those it knows, and those it may pick."""

from __future__ import annotations

from collections.abc import Iterable

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


class Pool:
    """Ready candidates that were never picked, in the order the generator proposed them.

    Holds ids and descriptors only; the store has the rest. Rows of picked candidates stay in the
    matrix and are masked, so that taking one out costs nothing.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._features = np.empty((0, 0))
        self._open = np.empty(0, dtype=bool)

    def __len__(self) -> int:
        return int(self._open[: len(self._ids)].sum())

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

    def remove(self, candidate_id: str) -> None:
        """Take out a picked candidate; no error where it is not in the pool."""
        if candidate_id in self._row:
            self._open[self._row[candidate_id]] = False

    def first(self) -> str:
        """The open candidate that was proposed first; LookupError where none is open."""
        if not len(self):
            raise LookupError("no candidate is ready")
        return self._ids[int(np.argmax(self._open))]

    def open(self) -> tuple[list[str], npt.NDArray[np.float64]]:
        """Ids and descriptors (n x d) of all open candidates, in order."""
        rows = np.flatnonzero(self._open[: len(self._ids)])
        return [self._ids[row] for row in rows], self._features[rows]

    def _reserve(self, n: int, d: int) -> None:
        if n <= len(self._features):
            return
        size = max(n, 2 * len(self._features), 64)
        features = np.zeros((size, d))
        mask = np.zeros(size, dtype=bool)
        if self._ids:
            features[: len(self._ids)] = self._features[: len(self._ids)]
            mask[: len(self._ids)] = self._open[: len(self._ids)]
        self._features, self._open = features, mask
