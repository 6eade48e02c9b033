"""Radials, pairs and shells: what of a model is constant, and how weights become tables.

All radials of a shell are one matrix product with the stack {T_i(y) T_4j(y)} (see `chebyshev`). An
envelope that is a polynomial of y is folded into the matrix; any other one multiplies the result.

Tables are made by numpy from numpy parameters, and by JAX from traced ones (`namespace`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.inference import chebyshev
from etace.tensor import Pool

Function = Callable[[np.ndarray], np.ndarray]


def namespace(*arrays: Any) -> Any:
    """numpy for numpy arrays, else jax.numpy."""
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


@dataclass(frozen=True, eq=False)
class Radial:
    """The curves and polynomials of one radial embedding.

    curves: (r, bond) -> (y, e), slopes are taken by JAX
    polynomials: y [m] -> [m, count], numpy to numpy
    folded: (degree, envelope as a numpy function of y), if it is a polynomial of y
    """

    curves: Callable[[Any, Any], tuple[Any, Any]]
    polynomials: Function
    count: int
    folded: tuple[int, Function] | None = None

    @cached_property
    def coefficients(self) -> np.ndarray:
        """Of P_q (times the envelope, where folded) in T_t: [count, terms]."""
        if self.folded is None:
            return chebyshev.coefficients(self.polynomials, self.count - 1)
        degree, envelope = self.folded

        def product(y: np.ndarray) -> np.ndarray:
            out: np.ndarray = self.polynomials(y) * envelope(y)[:, None]
            return out

        return chebyshev.coefficients(product, self.count - 1 + degree)

    @cached_property
    def slopes(self) -> np.ndarray:
        """Coefficients of the derivatives in y: [count, terms]."""
        return chebyshev.slopes(self.coefficients)

    @cached_property
    def columns(self) -> int:
        """J: the stack has 4J functions."""
        return chebyshev.columns(self.coefficients.shape[1])

    def scalars(self, r: jax.Array, bond: jax.Array, inside: jax.Array) -> Scalars:
        """What is needed of every edge. r: [K, B], Å; bond: [1, 1]; inside: [K, B], bool"""
        zero = jnp.zeros_like(r)
        (y, e), (dy, de) = jax.jvp(lambda r: self.curves(r, bond), (r,), (jnp.ones_like(r),))
        if self.folded is not None:
            one = jnp.ones_like(r)
            return Scalars(y, jnp.where(inside, one, zero), None, jnp.where(inside, dy, zero))
        cut = lambda x: jnp.where(inside, x, zero)  # noqa: E731
        return Scalars(y, cut(e), cut(de), cut(e * dy))


@dataclass(frozen=True)
class Scalars:
    """f = s P(y), df/dr = a P(y) + b P'(y) for all functions of a radial: [K, B] each.

    s: envelope, or 1 where folded; a: its slope, or None for 0; b: s dy/dr. 0 beyond the cutoff.
    """

    y: jax.Array
    s: jax.Array
    a: jax.Array | None
    b: jax.Array


@dataclass(frozen=True, eq=False)
class Pair:
    """phi(r) = sum_k W[k; Z_i] R2[k](r), one curve for each ordered pair of species."""

    radial: Radial
    dtype: str

    def coefficients(self, readout: Any, weights: Any) -> Any:
        """phi in the polynomials of the radial: [species, species, count].

        readout: [channels, species]; weights: of the radial, [channels, count, species^2]
        """
        xp = namespace(readout, weights)
        n = readout.shape[1]
        own = xp.repeat(xp.asarray(readout), n, axis=1)
        return (xp.asarray(weights) * own[:, None, :]).sum(0).T.reshape(n, n, -1)

    def freeze(self, v: Any) -> dict[str, Any]:
        """Chebyshev coefficients of phi and its slope in y: [species, species, terms].

        v: of `coefficients`
        """
        xp = namespace(v)
        return {
            "value": v @ xp.asarray(self.radial.coefficients, self.dtype),
            "slope": v @ xp.asarray(self.radial.slopes, self.dtype),
        }


@dataclass(frozen=True, eq=False)
class Shell:
    """The A-functions of one basis: one radial, one kind of harmonics.

    pool: (channel, l) of each factor, sorted by (l, channel)
    harmonics: spherical, solid or none
    frozen: weights [channels, count, pairs] that no parameter changes, or None
    """

    radial: Radial
    pool: Pool
    harmonics: str
    dtype: str
    frozen: np.ndarray | None = None

    @cached_property
    def lmax(self) -> int:
        return max(self.pool.l)

    @cached_property
    def rows(self) -> np.ndarray:
        """The channels that are evaluated, one row each."""
        return self._layout[0]

    @cached_property
    def ranges(self) -> tuple[tuple[int, int, int], ...]:
        """(l, first, last): which rows each l reads."""
        return self._layout[1]

    @cached_property
    def _layout(self) -> tuple[np.ndarray, tuple[tuple[int, int, int], ...]]:
        channels, ls = np.array(self.pool.channels), np.array(self.pool.l)
        each = sorted(set(ls.tolist()))
        plain = [
            (l, int(np.argmax(ls == l)), int(np.argmax(ls == l) + (ls == l).sum())) for l in each
        ]
        if self.frozen is None:
            return channels, tuple(plain)
        # Channels with the same frozen weights are one row, where that leaves every l a range of
        # rows: of one-hot weights R_nl does not depend on l.
        first: dict[bytes, int] = {}
        same = np.array([first.setdefault(self.frozen[c].tobytes(), c) for c in channels])
        distinct = list(dict.fromkeys(same.tolist()))
        ranges = []
        for l in each:
            rows = [distinct.index(c) for c in same[ls == l]]
            if rows != list(range(rows[0], rows[0] + len(rows))):
                return channels, tuple(plain)
            ranges.append((l, rows[0], rows[-1] + 1))
        return np.array(distinct), tuple(ranges)

    @cached_property
    def functions(self) -> tuple[tuple[int, int, int], ...]:
        """(l, m, row) of each A, in the order of a pool's features: factor, then m."""
        return tuple(
            (l, m, row)
            for l, first, last in self.ranges
            for row in range(first, last)
            for m in range(-l, l + 1)
        )

    @cached_property
    def mirrors(self) -> np.ndarray:
        """Mirror class of each A: parity of l, parity of m, sine or cosine. [A], 0 .. 7"""
        return np.array([(l % 2) * 4 + (abs(m) % 2) * 2 + (m < 0) for l, m, _ in self.functions])

    def freeze(self, weights: Any) -> dict[str, Any]:
        """Matrices of value and slope in y of all rows: [species, species, 2 rows, 4J], as "matrix".

        weights: of the radial, [channels, count, species^2]
        """
        xp = namespace(weights)
        W = xp.asarray(weights, self.dtype)[self.rows]
        n = round(W.shape[2] ** 0.5)
        W = xp.transpose(W, (2, 0, 1)).reshape(n, n, len(self.rows), -1)
        both = (self.radial.coefficients, self.radial.slopes)
        value, slope = (xp.asarray(chebyshev.to_stack(c), self.dtype) for c in both)
        return {"matrix": xp.concatenate([W @ value, W @ slope], axis=2)}
