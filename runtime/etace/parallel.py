"""Threads: kept between calls; with results in order, a bounded number of them ahead; BLAS on one thread."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar
from weakref import WeakSet

from threadpoolctl import threadpool_limits

# Threads of threads stand in each other's way, and how many there are changes the last bits of results.
one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """Threads that are kept from call to call. A process that was forked has none of them, and makes its own."""

    def __init__(self, count: int):
        self._count = count
        self._pool: ThreadPoolExecutor | None = None
        _every.add(self)

    def submit(self, function: Callable[..., R], *arguments: Any) -> Future[R]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="etace")
        return self._pool.submit(function, *arguments)

    def forget(self) -> None:
        """Threads are made anew when they are next needed."""
        self._pool = None


_every: WeakSet[Threads] = WeakSet()


def _after_fork() -> None:
    for threads in list(_every):
        threads.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
