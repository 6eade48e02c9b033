"""Dense matrices whose entries are coefficients of a polynomial, and the making of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Source:
    """A dense matrix made from the coefficients v: entry = factor * v[which], 0 where which is -1."""

    which: np.ndarray
    factor: np.ndarray

    def fill(self, v: Any, xp: Any, dtype: str) -> Any:
        """v: [species, monomials]; result: [species, *shape]"""
        flat = np.where(self.which < 0, v.shape[1], self.which)
        padded = xp.concatenate([v, xp.zeros((v.shape[0], 1), dtype)], axis=1)
        return padded[:, flat] * xp.asarray(self.factor, dtype)[None]


class Matrix:
    """Entries of a matrix in the making, by (row name, column name)."""

    def __init__(self) -> None:
        self.entries: dict[tuple[Any, Any], tuple[int, float]] = {}

    def add(self, row: Any, column: Any, which: int, factor: float) -> None:
        assert (row, column) not in self.entries, "a product that occurs twice"
        self.entries[row, column] = (which, factor)

    def source(self, rows: Sequence[Any], columns: Sequence[Any]) -> Source:
        r = {name: k for k, name in enumerate(rows)}
        c = {name: k for k, name in enumerate(columns)}
        which = np.full((len(rows), len(columns)), -1, np.int32)
        factor = np.zeros((len(rows), len(columns)))
        for (row, column), (w, f) in self.entries.items():
            if row in r and column in c:
                which[r[row], c[column]], factor[r[row], c[column]] = w, f
        return Source(which, factor)
