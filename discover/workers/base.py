"""The contract of workers: chunks of a batch in, answers in the same order out."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Work = Callable[[str], str]
"""A function of a module, from JSON text to JSON text; what crosses to another process is text alone."""


@dataclass(frozen=True)
class Lost:
    """In the place of an answer: why there is none, after workers died at it again and again."""

    reason: str


class Workers(Protocol):
    """Does pieces of work, several at once where it can.

    `in_processes`: each in a process of its own, as is needed where libraries keep settings of the whole
    process (GPyTorch does).
    """

    in_processes: bool

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """The work's answers in the order of the chunks.

        A chunk whose worker died is given to another one; where that goes on, it is `Lost`. What the
        work itself raises is raised here.
        """
        ...


class InTurn:
    """One chunk after the other, in the thread that asks."""

    in_processes = False

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`."""
        return [work(chunk) for chunk in chunks]


class Threads:
    """Threads of this process; each has its own copies of potential and descriptors."""

    in_processes = False

    def __init__(self, n: int) -> None:
        self._pool = ThreadPoolExecutor(n, thread_name_prefix="worker")

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        """As `Workers.map`."""
        futures = [
            self._pool.submit(contextvars.copy_context().run, work, chunk) for chunk in chunks
        ]
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the threads once they are idle."""
        self._pool.shutdown()


def spread(
    workers: Workers,
    work: Work,
    items: Sequence[Item],
    size: int,
    pack: Callable[[Sequence[Item]], str],
    unpack: Callable[[str], list[Answer]],
) -> list[Answer | Lost]:
    """An answer for each item, in order, worked out in chunks of `size`.

    How items are cut does not depend on the workers, and so neither do the answers. The items of a chunk
    that was lost are tried one by one, so that one that kills its worker costs no other.
    """
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    answers: list[Answer | Lost] = []
    for chunk, text in zip(chunks, workers.map(work, [pack(c) for c in chunks]), strict=True):
        if not isinstance(text, Lost):
            answers.extend(unpack(text))
        elif len(chunk) == 1:
            answers.append(text)
        else:
            one_by_one = spread(workers, work, chunk, 1, pack, unpack)
            answers.extend(one_by_one)
    return answers
