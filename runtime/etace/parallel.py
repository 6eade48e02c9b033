"""Threads whose results come in order, a bounded number of them ahead; and BLAS on one thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from threadpoolctl import threadpool_limits

# Threads of threads stand in each other's way, and how many there are changes the last bits of results.
one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")

T = TypeVar("T")
R = TypeVar("R")


def ordered(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """function(item) of every item, in their order; BLAS on one thread in each."""
    left = iter(items)
    waiting: deque[Future[R]] = deque()
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads, thread_name_prefix="etace") as pool,
    ):
        try:
            waiting.extend(pool.submit(function, item) for item in islice(left, threads + 1))
            while waiting:
                found = waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(left, 1))
                yield found
        finally:
            for f in waiting:
                f.cancel()
