"""QR of what is large, in place: blocks of columns, and threads that share out the rest of each row of blocks.

All arrays are in Fortran's order. How many threads there are changes no bit of what is large: tiles are always the
same, and each is one call of LAPACK on one thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from etace.fit.lapack import lapack, lead
from etace.inference.evaluator import available_cores
from etace.parallel import Threads

BLOCK = 64  # columns at a time
TILE = 256  # columns of a tile, or rows
CHUNK = 1024  # rows that are put to a triangle at a time
BAND = 32  # superdiagonals of a band
SMALL = 400  # columns that need no band
FEW = 1 << 21  # numbers, of which one thread is as fast as several

Update = Callable[[int, int], None]  # of the tile from one place to another


def absorb(R: np.ndarray, rows: np.ndarray, first: int = 0) -> None:
    """R of the rows of R and these: both are overwritten, R by the result.

    R: [n, n + k], its first n columns triangular; rows: [m, n + k - first], without columns that are 0
    """
    m, A = len(rows), R[first:, first:]
    if not m:
        return
    T, work = np.empty((BLOCK, BLOCK), order="F"), np.empty(BLOCK * BLOCK)
    with _one_each(A.size):
        for j in range(0, len(A), BLOCK):
            w = min(BLOCK, len(A) - j)
            own, V = A[j:, j:], rows[:, j:]
            lapack("dtpqrt", m, w, 0, w, own, lead(A), V, lead(rows), T, BLOCK, work)
            _share(_put_to(own, V, w, T), w, own.shape[1], m)


def _put_to(A: np.ndarray, rows: np.ndarray, w: int, T: np.ndarray) -> Update:
    def update(a: int, b: int) -> None:
        lapack(
            "dtpmqrt", "L", "T", len(rows), b - a, w, 0, w, rows, lead(rows), T, BLOCK,
            A[:, a:], lead(A), rows[:, a:], lead(rows), np.empty(w * (b - a)),
        )  # fmt: skip

    return update


def absorb_triangle(R: np.ndarray, other: np.ndarray, scale: float = 1.0) -> None:
    """R of the rows of both. other: [k, n], triangular, not overwritten; scale: of its rows"""
    for start, end in _pieces(len(other)):
        own = other[start:end, start:]
        absorb(R, np.multiply(own, scale, out=np.empty(own.shape, order="F")), start)


def absorb_diagonal(R: np.ndarray, d: np.ndarray) -> None:
    """R of the rows of R and of those of diag d. R: [n, n + k]; d: [n]"""
    for start, end in _pieces(len(d)):
        rows = np.zeros((end - start, R.shape[1] - start), order="F")
        np.fill_diagonal(rows, d[start:end])
        absorb(R, rows, start)


def _pieces(rows: int) -> list[tuple[int, int]]:
    """Of a triangle: the later they start, the fewer columns they have."""
    step = min(CHUNK, max(BLOCK, rows // 4))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def triangulate(A: np.ndarray) -> None:
    """R of A in its first rows, 0 in the others. A: [m, n], m >= n, overwritten"""
    n = A.shape[1]
    T, work = np.empty((BLOCK, BLOCK), order="F"), np.empty(BLOCK * BLOCK)
    with _one_each(A.size):
        for j in range(0, n, BLOCK):
            w = min(BLOCK, n - j)
            own = A[j:, j:]
            _reflect(own, w, T, work)
            _share(_from_left(own, w, T, own), w, n - j, len(own))
            for k in range(w):
                own[k + 1 :, k] = 0


def is_upper(A: np.ndarray) -> bool:
    """Whether a square matrix is 0 below its diagonal."""
    n = len(A)
    return A.shape == (n, n) and not any(
        A[j + BLOCK :, j : j + BLOCK].any() or np.tril(A[j : j + BLOCK, j : j + BLOCK], -1).any()
        for j in range(0, n, BLOCK)
    )


def spectrum(A: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(singular values s, [n], descending; U^T z, [n]) of A = U diag(s) V^T.

    A: [n, n], overwritten; z: [n]. Reflections from both sides make a band, which is where the work is and what
    threads share; the band becomes two diagonals, and these s. No singular vector is ever made.
    """
    n = len(A)
    found, s, above = z.reshape(n, 1).copy(order="F"), np.empty(n), np.empty(n)
    if not n:
        return s, z
    none = np.empty(1)
    if n <= SMALL:
        left, right, work = np.empty(n), np.empty(n), np.empty(BLOCK * n)
        lapack("dgebrd", n, n, A, lead(A), s, above, left, right, work, len(work))
        lapack("dormbr", "Q", "L", "T", n, 1, n, A, lead(A), left, found, n, work, len(work))
    else:
        band = _to_band(A, found, BAND)
        lapack(
            "dgbbrd", "N", n, n, 1, 0, BAND, band, BAND + 1, s, above, none, 1, none, 1, found, n,
            np.empty(2 * n),
        )  # fmt: skip
    lapack("dbdsqr", "U", n, 0, 0, 1, s, above, none, 1, none, 1, found, n, np.empty(4 * n))
    return s, found[:, 0]


def _to_band(A: np.ndarray, z: np.ndarray, width: int) -> np.ndarray:
    """[width + 1, n], the diagonals of the band, the main one last. A, z [n, 1]: overwritten, z by U^T z"""
    n = len(A)
    T, work = np.empty((width, width), order="F"), np.empty(width * width)
    with _one_each(A.size):
        for j in range(0, n, width):
            w = min(width, n - j)
            own, rest = A[j:, j:], n - j - w
            _reflect(own, w, T, work)
            _from_left(own, w, T, z[j:])(0, 1)
            _share(_from_left(own, w, T, own), w, n - j, n - j)
            if not rest:
                break
            across = np.array(own[:w, w:].T, order="F")
            few = min(w, rest)
            _reflect(across, few, T, work, w)
            own[:w, w : w + few] = np.tril(across[:few].T)
            _share(_from_right(across, few, T, own[w:, w:]), 0, rest, rest)
    band = np.zeros((width + 1, n), order="F")
    for d in range(width + 1):
        band[width - d, d:] = np.diagonal(A, d)
    return band


def _reflect(A: np.ndarray, w: int, T: np.ndarray, work: np.ndarray, columns: int = 0) -> None:
    """QR of the first columns of A by w reflections, which are left below its diagonal and in T."""
    lapack("dgeqrt", len(A), columns or w, w, A, lead(A), T, len(T), work)


def _from_left(V: np.ndarray, w: int, T: np.ndarray, C: np.ndarray) -> Update:
    """Q^T C. V, T: w reflections as of `_reflect`"""

    def update(a: int, b: int) -> None:
        lapack(
            "dgemqrt", "L", "T", len(C), b - a, w, w, V, lead(V), T, len(T), C[:, a:], lead(C),
            np.empty(w * (b - a)),
        )  # fmt: skip

    return update


def _from_right(V: np.ndarray, w: int, T: np.ndarray, C: np.ndarray) -> Update:
    """C Q."""

    def update(a: int, b: int) -> None:
        lapack(
            "dgemqrt", "R", "N", b - a, C.shape[1], w, w, V, lead(V), T, len(T), C[a:], lead(C),
            np.empty(w * (b - a)),
        )  # fmt: skip

    return update


def _share(update: Update, start: int, end: int, other: int) -> None:
    """All tiles from start to end, by threads where that pays. other: how long a tile is the other way"""
    places = [(a, min(a + TILE, end)) for a in range(start, end, TILE)]
    if (end - start) * other < FEW or len(places) < 2 or available_cores() < 2:
        for place in places:
            update(*place)
        return
    for waiting in [_threads(available_cores()).submit(update, *place) for place in places]:
        waiting.result()


@cache
def _threads(count: int) -> Threads:
    return Threads(count)


def _one_each(numbers: int) -> AbstractContextManager[Any]:
    """BLAS on one thread, where work on so many numbers is shared out."""
    return nullcontext() if numbers < FEW else threadpool_limits(1, user_api="blas")
