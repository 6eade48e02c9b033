"""Readouts of A as one polynomial: couplings and weights folded into coefficients of products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from etace.inference.polynomial import Monomial, Polynomial
from etace.inference.shells import Shell, namespace
from etace.tensor import ProductTable


@dataclass(frozen=True, eq=False)
class Products:
    """sum over readouts of sum_k W[k; Z_i] B[k](i), the couplings folded into coefficients of products.

    shells: one after the other they make A; readouts: (product table of a basis, number of its shell)
    """

    shells: Sequence[Shell]
    readouts: Sequence[tuple[ProductTable, int]]
    dtype: str

    @cached_property
    def _plan(self) -> tuple[Polynomial, np.ndarray]:
        """The polynomial, and which of its coefficients every product of every table adds to."""
        offsets = np.cumsum([0, *(len(s.functions) for s in self.shells)])
        found: dict[Monomial, int] = {}
        which = []
        for table, shell in self.readouts:
            for order in table.orders:
                for product in np.sort(order.places + offsets[shell], axis=1).tolist():
                    which.append(found.setdefault(tuple(product), len(found)))
        mirrors = np.concatenate([s.mirrors for s in self.shells])
        return Polynomial(list(found), mirrors), np.array(which)

    @property
    def polynomial(self) -> Polynomial:
        return self._plan[0]

    def coefficients(self, weights: Sequence[Any]) -> Any:
        """Of every product, [species, monomials]. weights: [functions, species] by readout"""
        xp = namespace(*weights)
        polynomial, which = self._plan
        folded = zip(self.readouts, weights, strict=True)
        v = xp.concatenate([_fold(t, xp.asarray(w), xp) for (t, _), w in folded], axis=1)
        if len(which) > len(polynomial.monomials):  # two bases with a product in common
            add = np.zeros((len(which), len(polynomial.monomials)), self.dtype)
            add[np.arange(len(which)), which] = 1
            v = v @ xp.asarray(add)
        return v

    def freeze(self, v: Any) -> dict[str, Any]:
        """Coefficient matrices of every centre species. v: of `coefficients`"""
        return self.polynomial.freeze(v, namespace(v), self.dtype)

    def __call__(self, tables: Any, A: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(E_i, dE_i/dA) of one centre species: [B], [A, B]."""
        return self.polynomial(tables, A)

    def values(self, tables: Any, A: jax.Array) -> jax.Array:
        """E_i of many readouts: [members, B]. tables: of `freeze`, with an axis of members in front."""
        return self.polynomial.values(tables["v"], A)


def _fold(table: ProductTable, weights: Any, xp: Any) -> Any:
    """C^T W: coefficients of the products in the order of the table. [species, products]"""
    parts, start = [], 0
    for order in table.orders:
        for blocks, C in order.parts:
            stop = start + blocks * C.shape[0]
            own = weights[start:stop].T.reshape(-1, blocks, C.shape[0])
            parts.append((own @ xp.asarray(C)).reshape(own.shape[0], -1))
            start = stop
    return xp.concatenate(parts, axis=1)
