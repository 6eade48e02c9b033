"""Radial functions on the outer-product basis {T_i(y) T_4j(y)}, i < 4, j < J: one GEMM evaluates them.

Two short stacks and one broadcast multiply make all 4J basis functions of an edge, so evaluating any
number of polynomials is a matrix product with a small constant matrix. The basis is as well
conditioned as the Chebyshev polynomials themselves (powers of y would lose seven digits).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev as cheb

Function = Callable[[np.ndarray], np.ndarray]


def coefficients(f: Function, degree: int) -> np.ndarray:
    """Chebyshev coefficients of polynomials: f(y) = sum_t c[:, t] T_t(y), exact to rounding.

    f: y [m] -> [m, n], of degree at most `degree`; result: [n, degree + 1]
    """
    m = degree + 1
    y = np.cos(np.pi * (np.arange(m) + 0.5) / m)
    T = cheb.chebvander(y, degree)
    T[:, 0] *= 0.5
    c: np.ndarray = (2.0 / m) * (T.T @ f(y)).T
    c[np.abs(c) < 1e-14 * max(1.0, np.abs(c).max())] = 0.0
    return c


def slopes(c: np.ndarray) -> np.ndarray:
    """Coefficients of the derivatives in y, in the same shape. c: [n, terms]"""
    d = np.zeros_like(c)
    if c.shape[1] > 1:
        d[:, :-1] = cheb.chebder(c, axis=1)
    return d


def columns(terms: int) -> int:
    """J: how many T_4j are needed for T_0 .. T_{terms-1}."""
    return -(-terms // 4)


def to_stack(c: np.ndarray) -> np.ndarray:
    """From T_t to T_i T_4j at place 4j + i. c: [n, terms]; result: [n, 4J]

    T_{4j+i} = 2 T_i T_4j - T_{4j-i}: whole numbers, no rounding.
    """
    terms = c.shape[1]
    change = np.zeros((terms, 4 * columns(terms)))
    for t in range(terms):
        j, i = divmod(t, 4)
        if i == 0 or j == 0:
            change[t, t] = 1
        else:
            change[t] = -change[4 * j - i]
            change[t, t] += 2
    out: np.ndarray = c @ change
    return out


def stack(y: jax.Array, scale: jax.Array | None, J: int) -> jax.Array:
    """scale * T_i(y) T_4j(y) at place 4j + i of a new first axis. y, scale: [E]; result: [4J, E]"""
    t2 = 2 * y * y - 1
    low = [jnp.ones_like(y), y, t2, (2 * t2 - 1) * y]
    if scale is not None:
        low = [scale, *(scale * t for t in low[1:])]
    high = [jnp.ones_like(y)]
    t4 = 2 * t2 * t2 - 1
    for j in range(1, J):
        high.append(t4 if j == 1 else 2 * t4 * high[-1] - high[-2])
    return jnp.stack([h * l for h in high for l in low])


def clenshaw(c: list[jax.Array], y: jax.Array) -> jax.Array:
    """sum_t c[t] T_t(y). c: each broadcasts against y"""
    if len(c) == 1:
        return c[0] + jnp.zeros_like(y)
    a, b = jnp.zeros_like(y), jnp.zeros_like(y)
    for term in reversed(c[1:]):
        a, b = term + 2 * y * a - b, a
    return c[0] + y * a - b
