"""How many threads torch and the numerical libraries use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread while the block runs, for torch in threads that are started in it, too.

    On matrices of some hundred rows the thread pools of torch, MKL and SciPy's OpenBLAS mostly wait for
    each other: a fit takes twice the time on two cores that it takes on one.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
