"""R factors: all that a least-squares fit needs of its rows, in P + 1 rows.

For rows [A | y] = Q R the triangle R has the same sums of squares for every c, |A c - y| = |R (c, -1)|,
and triangles are merged as rows are: R of several is the R of those put one under the other. There is
one factor for each kind of label, config type, fold and split, so that weights, noise scales, hold-outs
and sizes are chosen after the rows have gone by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from etace.fit.triangle import absorb, absorb_triangle, is_upper, triangulate

ROWS = 256  # of a block of a packed triangle
KINDS = ("energy", "forces", "virial")
JOINED = "joined"  # in place of a kind: rows of all kinds and config types, weighted


@dataclass(frozen=True, order=True)
class Key:
    """split: train or validation; group: config type; kind: energy, forces or virial, or JOINED; fold: of a
    cross-validation, `fit.folds`."""

    split: str
    group: str
    kind: str
    fold: int = 0


Blocks = list[tuple[int, np.ndarray]]  # rows of a triangle from their first row and column on


@dataclass(eq=False)
class Factor:
    """rows: how many stand behind it; R: [k, P + 1], k <= rows: the rows themselves where there are not more
    than columns, else triangular; packed: in place of R, without what is 0"""

    rows: int
    R: np.ndarray
    packed: Blocks | None = None

    @property
    def triangular(self) -> bool:
        return self.rows > len(self.R) == self.R.shape[1]

    def copy(self) -> Factor:
        return Factor(self.rows, self.R.copy(order="F"))

    def take(self) -> np.ndarray:
        """R, which is then the caller's to overwrite: this factor is `spent`."""
        R, self.R = self.R, np.empty((0, self.R.shape[1]))
        usable = R.flags.writeable and (len(R) == 1 or R.strides[0] == R.itemsize)
        return R if usable else R.copy(order="F")

    @property
    def spent(self) -> bool:
        return self.rows > 0 == len(self.R)

    def pack(self) -> Blocks:
        """R in half the memory, from now on: only a system can be made of it."""
        if self.packed is None:
            R = self.take()
            self.packed = [(k, R[k : k + ROWS, k:].copy(order="F")) for k in range(0, len(R), ROWS)]
        return self.packed


Factors = Mapping[Key, Factor]


def factor(blocks: list[np.ndarray]) -> Factor:
    """The factor of rows [.., P + 1] given in pieces, which are taken out of the list."""
    rows, columns = sum(map(len, blocks)), blocks[0].shape[1]
    stacked = np.empty((rows, columns), order="F")
    start = 0
    while blocks:
        own = blocks.pop(0)
        stacked[start : start + len(own)] = own
        start += len(own)
    if rows > columns:
        triangulate(stacked)
        stacked = stacked[:columns].copy(order="F")
    return Factor(rows, stacked)


def merged(a: Factor, b: Factor) -> Factor:
    """Of the rows of both, which are spent."""
    rows, columns = a.rows + b.rows, a.R.shape[1]
    if b.triangular and not a.triangular:
        a, b = b, a
    if a.triangular:
        R, more = a.take(), b.R if b.triangular else b.take()
        absorb_triangle(R, more) if b.triangular else absorb(R, more)
        b.take()
    else:
        R, more = _appended(a.take(), b.take())
        if rows > columns:
            triangulate(R)
            absorb(R, more)
    return Factor(rows, R)


def _appended(R: np.ndarray, more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows of both, as many as there are columns at most; those that are left). There is room for more."""
    columns, have = R.shape[1], len(R)
    want = min(have + len(more), columns)
    room = R.base
    if room is None or len(room) < want or not room.flags.f_contiguous:
        room = np.empty((min(4 * want, columns), columns), order="F")
        room[:have] = R
    room[have:want] = more[: want - have]
    return room[:want], more[want - have :]


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
        return _Scaled(self, scale)

    def beside(self, out: np.ndarray | None = None) -> np.ndarray:
        """[P, P + 1] of [R z], with R triangular; a copy, in Fortran's order. out: the array to use for it"""
        k, P = self.R.shape
        out = np.empty((P, P + 1), order="F") if out is None else out
        if is_upper(self.R):
            out[:, :P], out[:, P] = self.R, self.z
        else:
            rows = np.zeros((max(k, P + 1), P + 1), order="F")
            rows[:k, :P], rows[:k, P] = self.R, self.z
            triangulate(rows)
            out[:] = rows[:P]
        return out

    def loss(self, c: np.ndarray) -> float:
        """|A c - y|^2"""
        d = self.times(c) - self.z
        return float(d @ d) + self.rest

    def times(self, c: np.ndarray) -> np.ndarray:
        """R @ c"""
        return np.asarray(self.R @ c)

    @property
    def upper(self) -> bool:
        return is_upper(self.R)

    def top(self, n: int) -> np.ndarray:
        """[n, P + 1], the first rows of [R z]."""
        return np.concatenate([self.R[:n], self.z[:n, None]], axis=1)

    def below(self, n: int, more: np.ndarray) -> System:
        """What is left without the first n rows and columns, R triangular, with more rows. more: [k, P - n + 1]"""
        rows = self.rows - n + len(more)
        if not len(more):
            return System(self.R[n:, n:], self.z[n:], self.rest, rows)
        return _parted(_both(System(self.R[n:, n:], self.z[n:], 0.0, 0), more), rows, self.rest)


def _both(whole: System, more: np.ndarray) -> np.ndarray:
    """[P + 1, P + 1], the triangle of the rows of [R z] and of more."""
    P = len(whole.z)
    out = np.zeros((P + 1, P + 1), order="F")
    out[:-1] = whole.beside()
    absorb(out, np.asfortranarray(more))
    return out


class _Packed(System):
    """Of a packed triangle: R is made when it is asked for."""

    _blocks: Blocks

    def __init__(self, blocks: Blocks, rest: float, rows: int):
        """blocks: of [R z], or with a last row below, which is not looked at"""
        z = np.concatenate([own[:, -1] for _, own in blocks])[: blocks[0][1].shape[1] - 1]
        for name, value in (("_blocks", blocks), ("z", z), ("rest", rest), ("rows", rows)):
            object.__setattr__(self, name, value)

    @staticmethod
    def of(blocks: Blocks, rows: int, rest: float = 0.0) -> _Packed:
        """Of [A | y]."""
        return _Packed(blocks, rest + float(blocks[-1][1][-1, -1] ** 2), rows)

    @cached_property
    def R(self) -> np.ndarray:
        return self.beside()[:, :-1]

    @property
    def upper(self) -> bool:
        return True

    def beside(self, out: np.ndarray | None = None) -> np.ndarray:
        P = len(self.z)
        out = np.empty((P, P + 1), order="F") if out is None else out
        for k, own in self._blocks:
            out[k : k + len(own), :k] = 0
            out[k : k + len(own), k:] = own[: P - k]
        return out

    def times(self, c: np.ndarray) -> np.ndarray:
        return np.concatenate([own[:, :-1] @ c[k:] for k, own in self._blocks])[: len(self.z)]

    def top(self, n: int) -> np.ndarray:
        out = np.zeros((n, len(self.z) + 1))
        for k, own in self._blocks:
            if k < n:
                out[k : k + len(own), k:] = own[: n - k]
        return out

    def below(self, n: int, more: np.ndarray) -> System:
        blocks = [
            (max(k - n, 0), own[max(n - k, 0) :, max(n - k, 0) :])
            for k, own in self._blocks
            if k + len(own) > n
        ]
        rows = self.rows - n + len(more)
        rest = _Packed(blocks, self.rest, rows)
        if not len(more):
            return rest
        return _Packed.of(Factor(rows, _both(rest, more)).pack(), rows, self.rest)


class _Scaled(System):
    """Its R is made when it is asked for: blr never needs it beside its own copy."""

    _of: tuple[System, np.ndarray]

    def __init__(self, whole: System, scale: np.ndarray):
        for name in ("z", "rest", "rows"):
            object.__setattr__(self, name, getattr(whole, name))
        object.__setattr__(self, "_of", (whole, scale))

    @cached_property
    def R(self) -> np.ndarray:
        whole, scale = self._of
        return np.asarray(whole.R / scale)

    def beside(self, out: np.ndarray | None = None) -> np.ndarray:
        whole, scale = self._of
        out = whole.beside(out)
        out[:, :-1] /= scale
        return out


def system(factors: Factors, weight: Callable[[Key], float]) -> System:
    """Rows of every factor times its weight, as one system. Keys in sorted order: same bits. A factor that is
    alone, with weight 1, is not copied."""
    used = [(weight(key), factors[key]) for key in sorted(factors)]
    parts = [(w, f) for w, f in used if w > 0]
    rows = sum(f.rows for _, f in parts)
    if len(parts) == 1 and parts[0][0] == 1:
        alone = parts[0][1]
        if alone.packed is not None:
            return _Packed.of(alone.packed, rows)
        if alone.triangular:
            return _parted(alone.R, rows)
    return _parted(_together(parts, used[0][1].R.shape[1] if used else 0), rows)


def joined(factors: Factors, weight: Callable[[Key], float], key: Key) -> dict[Key, Factor]:
    """Their rows times their weights in one factor, under a key; nothing where there are none. They are not spent."""
    parts = [(w, factors[k]) for k in sorted(factors) if (w := weight(k)) > 0]
    if not parts:
        return {}
    R = _together(parts, parts[0][1].R.shape[1])
    return {key: Factor(sum(f.rows for _, f in parts), R)}


def _together(parts: Sequence[tuple[float, Factor]], columns: int) -> np.ndarray:
    """[columns, columns]: R of all rows times their weights."""
    R = np.zeros((columns, columns), order="F")
    tall = [(w, f.R) for w, f in parts if f.triangular]
    few = [w * f.R for w, f in parts if not f.triangular]
    if tall:
        np.multiply(tall[0][1], tall[0][0], out=R)
    for w, own in tall[1:]:
        absorb_triangle(R, own, w)
    if few:
        absorb(R, np.asfortranarray(np.concatenate(few)))
    return R


def _parted(R: np.ndarray, rows: int, rest: float = 0.0) -> System:
    """R: [P + 1, P + 1], of [A | y]; rest: what was left before"""
    if not len(R):
        return System(R, np.zeros(0), rest, rows)
    return System(R[:-1, :-1], R[:-1, -1], rest + float(R[-1, -1] ** 2), rows)


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
        """All P unknowns from the others. c: [others]"""
        return self._filled(c, self._z - self._cross @ c)

    def back_moves(self, moves: np.ndarray) -> np.ndarray:
        """[P, k], of all unknowns where the others move. moves: [others, k]"""
        return self._filled(moves, -self._cross @ moves)

    def _filled(self, own: np.ndarray, left: np.ndarray) -> np.ndarray:
        out = np.zeros((len(self.free) + len(self.others), *own.shape[1:]))
        out[self.others] = own
        out[self.free] = self._span @ np.linalg.solve(self._R, left)
        return out

    def across(self, y: np.ndarray) -> np.ndarray:
        """[others, k], the transpose of `back_moves`. y: [P, k]"""
        left = np.linalg.solve(self._R.T, self._span.T @ y[self.free])
        return np.asarray(y[self.others] - self._cross.T @ left)

    def seen(self, other: System) -> System:
        """Another system, such as of held-out rows, in the unknowns of the others: |A c - y|^2 with
        the free columns as `back` gives them."""
        if not len(self.free):
            return other
        own = other.R[:, self.free] @ self._span
        A = other.R[:, self.others] - own @ np.linalg.solve(self._R, self._cross)
        return System(A, other.z - own @ np.linalg.solve(self._R, self._z), other.rest, other.rows)

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
    if not len(first):
        none = np.zeros((0, 0))
        return Eliminated(whole, first, others, none, none, np.zeros(0), np.zeros((0, len(others))))
    leading = first[-1] == len(first) - 1 and whole.upper
    reach = len(first) if leading else len(whole.z)  # rows that the free columns have
    top = whole.top(reach)
    top, z = top[:, :-1], top[:, -1]
    _, s, Vt = np.linalg.svd(top[:, first], full_matrices=False)
    n = int((s > 1e-12 * s[0]).sum())
    span = Vt[:n].T
    A = np.concatenate([top[:, first] @ span, top[:, others], z[:, None]], axis=1)
    if leading:
        Q, _ = np.linalg.qr(A[:, :n], mode="complete")
        A = Q.T @ A
        rest = whole.below(len(first), A[n:, n:])
    else:
        R = np.zeros((max(A.shape), A.shape[1]), order="F")
        R[: len(A)] = A
        triangulate(R)
        A = R
        rest = _parted(R[n : A.shape[1], n:], whole.rows - n, whole.rest)
    own = np.triu(A[:n, :n])
    return Eliminated(rest, first, others, span, own, A[:n, -1].copy(), A[:n, n:-1].copy())
