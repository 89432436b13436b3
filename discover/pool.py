"""What a runner keeps in memory of the store's candidates: those it knows, and those it may pick."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from discover.records import Candidate

ROWS_AT_ONCE = 4096


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
    one. Holds ids and descriptors only; the store has the rest. Rows of closed candidates stay in the
    matrices, masked, until all open ones are asked for.
    """

    def __init__(self, rungs: int = 1, *, all_of_them: bool = False) -> None:
        self._all_of_them = all_of_them
        self._ids: list[str] = []
        self._place: dict[str, int] = {}  # in the order of adding, of all that were ever added
        self._added = np.empty(0, dtype=np.int64)  # the place of each row, ascending
        self._features = np.empty((0, 0))
        self._asked = np.empty((0, rungs), dtype=bool)
        self._open = np.empty(0, dtype=bool)
        self._expected = 64

    def __len__(self) -> int:
        return int(self._open[: len(self._ids)].sum())

    @property
    def touched(self) -> int:
        """How many of the open candidates were picked at some rung before."""
        return int((self._open & self._asked.any(axis=1))[: len(self._ids)].sum())

    def expect(self, n: int) -> None:
        """Make room for n candidates in one go, once the first of them comes."""
        self._expected = max(n, self._expected)

    def add(self, candidates: Iterable[Candidate]) -> None:
        """Append ready candidates; one that is known is left as it is."""
        new = [c for c in candidates if c.id not in self._place]
        if not new:
            return
        rows = np.array([c.features for c in new], dtype=np.float64)
        self._reserve(len(self._ids) + len(new), rows.shape[1])
        start = len(self._ids)
        self._features[start : start + len(new)] = rows
        self._asked[start : start + len(new)] = False
        self._open[start : start + len(new)] = True
        for row, candidate in enumerate(new, start):
            self._added[row] = self._place[candidate.id] = len(self._place)
            self._ids.append(candidate.id)

    def take(self, candidate_id: str, rung: int = 0) -> None:
        """Note that a candidate was picked at a rung; no error where it is not in the pool."""
        row = self._row(candidate_id)
        if row is not None:
            self._asked[row, rung] = True
            last = self._asked.shape[1] - 1
            self._open[row] &= not self._asked[row].all() if self._all_of_them else rung < last

    def close(self, candidate_id: str) -> None:
        """Take a candidate out; no error where it is not in the pool."""
        row = self._row(candidate_id)
        if row is not None:
            self._open[row] = False

    def first(self) -> tuple[str, int]:
        """The open candidate that was proposed first, and the cheapest rung it was not picked at.

        LookupError where none is open.
        """
        if not len(self):
            raise LookupError("no candidate is ready")
        row = int(np.argmax(self._open))
        return self._ids[row], int(np.argmin(self._asked[row]))

    def open(self, without: Collection[str] = ()) -> OpenCandidates:
        """All open candidates, in order, but those `without` whom some are left.

        The arrays are views where nothing is left out: to be read, and before the pool is changed.
        """
        self._close_ranks()
        n = len(self._ids)
        left_out = [row for i in without if (row := self._row(i)) is not None]
        if not left_out or len(left_out) == n:
            return OpenCandidates(self._ids, self._features[:n], self._asked[:n])
        rows = np.delete(np.arange(n), left_out)
        return OpenCandidates(
            [self._ids[row] for row in rows], self._features[rows], self._asked[rows]
        )

    def _row(self, candidate_id: str) -> int | None:
        """Where a candidate's numbers are, None where they were given up or never came."""
        place = self._place.get(candidate_id)
        if place is None:
            return None
        added = self._added[: len(self._ids)]
        row = int(np.searchsorted(added, place))
        return row if row < len(added) and added[row] == place else None

    def _close_ranks(self) -> None:
        """Give up the rows of closed candidates, in place and block by block: there may be a million."""
        n = len(self._ids)
        kept = np.flatnonzero(self._open[:n])
        if len(kept) == n:
            return
        moved = int(np.argmax(kept != np.arange(len(kept)))) if len(kept) else 0
        for start in range(moved, len(kept), ROWS_AT_ONCE):
            rows = kept[start : start + ROWS_AT_ONCE]
            for array in (self._features, self._asked, self._added):
                array[start : start + len(rows)] = array[rows]
        self._ids = [self._ids[row] for row in kept]
        self._open[: len(kept)], self._open[len(kept) : n] = True, False

    def _reserve(self, n: int, d: int) -> None:
        if n <= len(self._features):
            return
        size, known = max(n, 2 * len(self._features), self._expected), len(self._ids)

        def grown(array: npt.NDArray[Any], *width: int) -> npt.NDArray[Any]:
            larger = np.zeros((size, *width), dtype=array.dtype)
            if known:
                larger[:known] = array[:known]
            return larger

        self._features = grown(self._features, d)
        self._asked = grown(self._asked, self._asked.shape[1])
        self._added, self._open = grown(self._added), grown(self._open)
