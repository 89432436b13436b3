"""Chunks in, answers in their order out, whoever works."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover.errors import PotentialError
from discover.workers.base import InTurn, Lost, Threads, Work, spread


def double(asked: str) -> str:
    return json.dumps([2 * n for n in json.loads(asked)])


def refuse(_: str) -> str:
    raise PotentialError("cannot be used")


class Careless:
    """Loses every chunk with a 13 in it."""

    in_processes = False

    def __init__(self) -> None:
        self.asked: list[str] = []

    def map(self, work: Work, chunks: Sequence[str]) -> list[str | Lost]:
        self.asked += chunks
        return [Lost("13") if 13 in json.loads(c) else work(c) for c in chunks]


@given(items=st.lists(st.integers()), size=st.integers(1, 5))
def test_answers_are_those_of_the_items_in_order(items: list[int], size: int) -> None:
    answers = spread(InTurn(), double, items, size, json.dumps, json.loads)
    assert answers == [2 * n for n in items]


def test_threads_answer_as_one_does_and_work_at_once() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(asked: str) -> str:
        both.wait()
        return double(asked)

    threads = Threads(2)
    try:
        assert threads.map(meet, ["[1]", "[2]"]) == ["[2]", "[4]"]
        with pytest.raises(PotentialError, match="cannot be used"):
            threads.map(refuse, ["[1]"])
    finally:
        threads.close()


def test_what_kills_a_worker_costs_no_other() -> None:
    careless = Careless()
    answers = spread(careless, double, [1, 2, 13, 3, 4], 3, json.dumps, json.loads)
    assert answers == [2, 4, Lost("13"), 6, 8]
    assert careless.asked == ["[1, 2, 13]", "[3, 4]", "[1]", "[2]", "[13]"]
