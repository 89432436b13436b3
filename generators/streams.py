"""Index arithmetic for streams that are never held in memory: shuffling and interleaving."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence

_ROUNDS = 6


class Permutation:
    """A pseudo-random permutation of 0 ... size - 1, equal for equal keys, in constant memory.

    A balanced Feistel network over the next even number of bits; values that fall outside are
    encrypted again until they fall inside (cycle walking; J. Black and P. Rogaway, Ciphers with
    arbitrary finite domains, CT-RSA 2002).
    """

    def __init__(self, size: int, key: str) -> None:
        self._size = size
        self._half = max(1, ((size - 1).bit_length() + 1) // 2)
        self._key = hashlib.sha256(key.encode()).digest()

    def __call__(self, index: int) -> int:
        """Where `index` goes; IndexError outside of 0 ... size - 1."""
        if not 0 <= index < self._size:
            raise IndexError(f"{index} is not in 0 ... {self._size - 1}")
        index = self._encrypt(index)
        while index >= self._size:
            index = self._encrypt(index)
        return index

    def _encrypt(self, value: int) -> int:
        mask = (1 << self._half) - 1
        left, right = value >> self._half, value & mask
        for round_number in range(_ROUNDS):
            digest = hashlib.blake2b(
                right.to_bytes(16, "big"), key=self._key, salt=bytes([round_number]), digest_size=16
            ).digest()
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        return (left << self._half) | right


class Interleaving:
    """Round robin over streams of unequal lengths: one item of each that still has one, then again."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self._starts: list[int] = []
        self._segments: list[tuple[int, list[int]]] = []
        position = first_round = 0
        for end_round in sorted(set(lengths) - {0}):
            active = [stream for stream, length in enumerate(lengths) if length > first_round]
            self._starts.append(position)
            self._segments.append((first_round, active))
            position += (end_round - first_round) * len(active)
            first_round = end_round
        self._length = position

    def __len__(self) -> int:
        return self._length

    def locate(self, position: int) -> tuple[int, int]:
        """(stream, index in that stream) of a position; IndexError outside."""
        if not 0 <= position < self._length:
            raise IndexError(f"{position} is not in 0 ... {self._length - 1}")
        segment = bisect_right(self._starts, position) - 1
        first_round, active = self._segments[segment]
        rounds, turn = divmod(position - self._starts[segment], len(active))
        return active[turn], first_round + rounds
