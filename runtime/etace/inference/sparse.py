"""Sums of a few terms a row, gathered: what a matrix product would do with mostly zeros.

out[row] = sum over its terms of c * x[a] (or c * x[a] * y[b]), atoms the fast axis. Rows are cut into
pieces of at most `LONGEST` terms, pieces of about one length are summed together, written out term by
term, and a second, shorter sum puts the pieces of a row together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

LENGTHS = (1, 2, 4, 8, 16, 32)
LONGEST = LENGTHS[-1]


@dataclass(frozen=True)
class Term:
    """factor * v[which] * x[a] * y[b]; which -1: no coefficient; b -1: no y."""

    row: int
    a: int
    b: int = -1
    which: int = -1
    factor: float = 1.0


@dataclass(frozen=True)
class Group:
    """Pieces of one length. a, b, which: [pieces, length]; factor: 0 where a piece is shorter."""

    a: np.ndarray
    b: np.ndarray
    which: np.ndarray
    factor: np.ndarray


class GatheredSum:
    """out [rows, B] from terms in any order."""

    def __init__(self, rows: int, terms: Sequence[Term]):
        self.rows = rows
        self.terms = tuple(terms)

    @cached_property
    def _pieces(self) -> tuple[tuple[Group, ...], list[list[int]]]:
        """Groups of pieces by length; for each row the places of its pieces, groups in a row."""
        of_row: dict[int, list[Term]] = defaultdict(list)
        for t in self.terms:
            of_row[t.row].append(t)
        by_length: dict[int, list[tuple[int, list[Term]]]] = defaultdict(list)
        for row in sorted(of_row):
            for k in range(0, len(of_row[row]), LONGEST):
                piece = of_row[row][k : k + LONGEST]
                by_length[next(n for n in LENGTHS if n >= len(piece))].append((row, piece))
        groups, count = [], 0
        places: list[list[int]] = [[] for _ in range(self.rows)]
        for length in sorted(by_length):
            shape = (len(by_length[length]), length)
            a, b = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
            which, factor = np.full(shape, -1, np.int32), np.zeros(shape)
            for i, (row, piece) in enumerate(by_length[length]):
                for j, t in enumerate(piece):
                    a[i, j], b[i, j], which[i, j], factor[i, j] = t.a, t.b, t.which, t.factor
                places[row].append(count)
                count += 1
            groups.append(Group(a, b, which, factor))
        return tuple(groups), places

    def freeze(self, v: Any, xp: Any, dtype: str) -> list[Any]:
        """Coefficients of every group, by species: [species, pieces, length]. v: [species, all]"""
        return [xp.asarray(g.factor, dtype)[None] * v[:, g.which] for g in self._pieces[0]]

    def __call__(
        self, tables: Sequence[jax.Array] | None, x: jax.Array, y: jax.Array | None = None
    ) -> jax.Array:
        """tables: of `freeze`, of one species; None: the factors alone. x, y: [.., B]"""
        groups, places = self._pieces
        if not groups:
            return jnp.zeros((self.rows, x.shape[1]), x.dtype)
        parts = []
        for k, g in enumerate(groups):
            c = jnp.asarray(g.factor, x.dtype) if tables is None else tables[k]
            total: Any = None
            for j in range(g.a.shape[1]):
                term = c[:, j, None] * take(x, g.a[:, j])
                if y is not None:
                    term = term * take(y, g.b[:, j])
                total = term if total is None else total + term
            parts.append(total)
        pieces = jnp.concatenate([*parts, jnp.zeros((1, x.shape[1]), x.dtype)])
        if all(len(p) <= 1 for p in places):
            last = pieces.shape[0] - 1
            return take(pieces, np.array([p[0] if p else last for p in places], np.int32))
        again = [Term(row, place) for row, found in enumerate(places) for place in found]
        return GatheredSum(self.rows, again)(None, pieces)


def take(a: jax.Array, index: Any) -> jax.Array:
    """a[index] along the first axis, without checks of bounds."""
    return a.at[index].get(mode="promise_in_bounds")
