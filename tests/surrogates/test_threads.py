"""Threads of torch and of NumPy's BLAS inside the block, in threads started there, and after it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from surrogates.threads import one_thread


def blas_threads() -> set[int]:
    np.eye(2) @ np.eye(2)
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def in_a_new_thread() -> int:
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_one_thread_while_it_lasts_even_where_it_fails() -> None:
    before = blas_threads()
    inside = []

    def failing() -> None:
        with one_thread():
            inside.append((torch.get_num_threads(), in_a_new_thread(), blas_threads()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert inside == [(1, 1, {1})]
    assert (torch.get_num_threads(), in_a_new_thread(), blas_threads()) == (3, 3, before)
