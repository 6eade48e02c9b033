"""R factors: all that a least-squares fit needs of its rows, in P + 1 rows.

For rows [A | y] = Q R the triangle R has the same sums of squares for every c, |A c - y| = |R (c, -1)|,
and triangles are merged as rows are: R of several is the R of those put one under the other. There is
one factor for each kind of label, config type, fold and split, so that weights, noise scales, hold-outs
and sizes are chosen after the rows have gone by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dgeqrf

BLOCK = 64  # columns that LAPACK works on at a time
KINDS = ("energy", "forces", "virial")


@dataclass(frozen=True, order=True)
class Key:
    """split: train or validation; group: config type; kind: energy, forces or virial; fold: of a
    cross-validation, `fit.folds`."""

    split: str
    group: str
    kind: str
    fold: int = 0


@dataclass(frozen=True, eq=False)
class Factor:
    """rows: how many stand behind it; R: [k, P + 1], k <= rows: the rows themselves where they are few,
    else triangular."""

    rows: int
    R: np.ndarray


Factors = Mapping[Key, Factor]


def factor(blocks: list[np.ndarray]) -> Factor:
    """The factor of rows [.., P + 1] given in pieces, which are taken out of the list."""
    rows = sum(map(len, blocks))
    return Factor(rows, reduced(blocks))


def reduced(blocks: list[np.ndarray]) -> np.ndarray:
    """R of rows in pieces, or the rows themselves where there are not more than columns."""
    rows, columns = sum(map(len, blocks)), blocks[0].shape[1]
    stacked = np.empty((rows, columns), order="F" if rows > columns else "C")
    start = 0
    while blocks:
        own = blocks.pop(0)
        stacked[start : start + len(own)] = own
        start += len(own)
    return stacked if rows <= columns else triangle(stacked)


def triangle(rows: np.ndarray) -> np.ndarray:
    """R of QR. rows: [m, n], m >= n, overwritten where they are in Fortran's order; result: [n, n]"""
    columns = rows.shape[1]
    found, *_ = dgeqrf(rows, lwork=BLOCK * columns, overwrite_a=True)
    return np.ascontiguousarray(np.triu(found[:columns]))


def merged(a: Factor, b: Factor) -> Factor:
    """Of the rows of both."""
    return Factor(a.rows + b.rows, reduced([a.R, b.R]))


@dataclass(frozen=True, eq=False)
class System:
    """min |A c - y|^2 = |R c - z|^2 + rest over c.

    R: [P, P], z: [P]; rest: what no c explains; rows: of A, with a weight > 0; norm: |y|^2
    """

    R: np.ndarray
    z: np.ndarray
    rest: float
    rows: int

    @property
    def norm(self) -> float:
        return float(self.z @ self.z) + self.rest

    def scaled(self, scale: np.ndarray) -> System:
        """In the unknowns scale * c. scale: [P], > 0"""
        return System(self.R / scale, self.z, self.rest, self.rows)

    def loss(self, c: np.ndarray) -> float:
        """|A c - y|^2"""
        d = self.R @ c - self.z
        return float(d @ d) + self.rest


def system(factors: Factors, weight: Callable[[Key], float]) -> System:
    """Rows of every factor times its weight, as one system. Keys in sorted order: same bits."""
    parts, rows, columns = [], 0, 0
    for key in sorted(factors):
        columns = factors[key].R.shape[1]
        w = weight(key)
        if w > 0:
            parts.append(w * factors[key].R)
            rows += factors[key].rows
    stacked = np.concatenate(parts) if parts else np.zeros((0, columns))
    return System(*_split(stacked), rows)


def _split(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(R, z, rest) of rows [.., P + 1]."""
    short = max(0, rows.shape[1] - len(rows))
    R = triangle(np.pad(rows, ((0, short), (0, 0))))
    return R[:-1, :-1].copy(), R[:-1, -1].copy(), float(R[-1, -1] ** 2)


@dataclass(frozen=True, eq=False)
class Eliminated:
    """A system without its free columns: they take whatever value is best for the others.

    rest: of the others; free, others: their places among all P columns
    """

    rest: System
    free: np.ndarray
    others: np.ndarray
    _span: np.ndarray
    _R: np.ndarray
    _z: np.ndarray
    _cross: np.ndarray

    def back(self, c: np.ndarray) -> np.ndarray:
        """All P unknowns from the others. c: [others]; or a root of their covariance, [others, r]"""
        out = np.zeros((len(self.free) + len(self.others), *c.shape[1:]))
        out[self.others] = c
        z = self._z if c.ndim == 1 else 0.0
        out[self.free] = self._span @ np.linalg.solve(self._R, z - self._cross @ c)
        return out

    def seen(self, other: System) -> System:
        """Another system, such as of held-out rows, in the unknowns of the others: |A c - y|^2 with
        the free columns as `back` gives them."""
        start = self.back(np.zeros(len(self.others)))
        A, y = other.R @ self.back(np.eye(len(self.others))), other.z - other.R @ start
        R, z, rest = _split(np.concatenate([A, y[:, None]], axis=1))
        return System(R, z, other.rest + rest, other.rows)

    @property
    def log_volume(self) -> float:
        """log of the volume that the free columns span: their part of an evidence."""
        return float(np.sum(np.log(np.abs(np.diag(self._R)))))


def eliminate(whole: System, free: np.ndarray) -> Eliminated:
    """Columns `free` (bool, [P]) taken out exactly: they have no prior.

    Free columns that depend on each other, such as counts of two species at one composition, are
    replaced by what they span; `back` gives them the shortest solution.
    """
    first, others = np.flatnonzero(free), np.flatnonzero(~free)
    own = whole.R[:, first]
    _, s, Vt = np.linalg.svd(own, full_matrices=False)
    n = int((s > 1e-12 * s[0]).sum()) if len(s) else 0
    span = Vt[:n].T
    stacked = np.concatenate([own @ span, whole.R[:, others], whole.z[:, None]], axis=1)
    short = max(0, stacked.shape[1] - len(stacked))
    R = triangle(np.pad(stacked, ((0, short), (0, 0))))
    rest = System(
        R[n:-1, n:-1].copy(), R[n:-1, -1].copy(), whole.rest + float(R[-1, -1] ** 2), whole.rows - n
    )
    return Eliminated(
        rest, first, others, span, R[:n, :n].copy(), R[:n, -1].copy(), R[:n, n:-1].copy()
    )
