"""Polynomial bases of one variable, the raw material of radial functions.

Every basis: y of any shape -> [..., N], the polynomial of lowest degree first, in the dtype of y;
numpy for numpy arrays, else JAX.
Three-term recursions with coefficients that are exact (fractions) until they are rounded once.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.errors import ParameterError
from etace.stacking import stack_last


def chebyshev(y: jax.Array, n: int) -> jax.Array:
    """Chebyshev polynomials of the first kind, T_0 .. T_{n-1}: cos(k arccos y), not normalised.

    y: [...], in [-1, 1]; result: [..., n]
    """
    _check(n)
    return _recursion(y, 1.0, [(1.0, 0.0, 0.0)] + [(2.0, 0.0, -1.0)] * (n - 2), n)


def legendre(y: jax.Array, n: int) -> jax.Array:
    """Legendre polynomials, orthonormal on [-1, 1]: sqrt((2k+1)/2) P_k, k = 0 .. n-1.

    y: [...], in [-1, 1]; result: [..., n]
    """
    return jacobi(y, n, 0, 0)


def jacobi(y: jax.Array, n: int, alpha: float, beta: float) -> jax.Array:
    """Jacobi polynomials of degrees 0 .. n-1, orthonormal in the weight (1-y)^alpha (1+y)^beta.

    y: [...], in [-1, 1]; result: [..., n]. alpha, beta > -1, else ParameterError.
    """
    _check(n)
    if not (alpha > -1 and beta > -1):
        raise ParameterError(f"jacobi needs alpha, beta > -1, found {alpha} and {beta}")
    first, coefficients = _jacobi_coefficients(n, Fraction(alpha), Fraction(beta))
    return _recursion(y, first, coefficients, n)


def monomial(y: jax.Array, n: int) -> jax.Array:
    """Powers 1, y .. y^(n-1). y: [...]; result: [..., n]"""
    _check(n)
    return _recursion(y, 1.0, [(1.0, 0.0, 0.0)] * (n - 1), n)


def bernstein(y: jax.Array, n: int) -> jax.Array:
    """Bernstein polynomials of degree n-1 in t = (1+y)/2: binom(n-1, k) t^k (1-t)^(n-1-k).

    y: [...], in [-1, 1]; result: [..., n], k = 0 .. n-1; they are positive and their sum is 1.
    """
    _check(n)
    xp = _namespace(y)
    up, down = [xp.ones_like(y)], [xp.ones_like(y)]
    for _ in range(n - 1):  # products, not powers: the derivative of t^k at t = 0 stays finite
        up.append(up[-1] * ((1 + y) / 2))
        down.append(down[-1] * ((1 - y) / 2))
    return xp.stack([math.comb(n - 1, k) * up[k] * down[n - 1 - k] for k in range(n)], axis=-1)


def _check(n: int) -> None:
    if n < 1:
        raise ParameterError(f"a polynomial basis needs at least one function, found {n}")


def _namespace(y: Any) -> Any:
    return np if isinstance(y, np.ndarray) else jnp


def _recursion(
    y: jax.Array, first: float, coefficients: Sequence[tuple[float, float, float]], n: int
) -> Any:
    """p_0 = first, p_k = (a y + b) p_{k-1} + c p_{k-2} with (a, b, c) = coefficients[k-1]."""
    xp = _namespace(y)
    p = [first * xp.ones_like(y)]
    for k, (a, b, c) in enumerate(coefficients[: n - 1], start=1):
        step = (a * y + b) * p[-1] if b else a * y * p[-1]
        p.append(step + c * p[-2] if k > 1 and c else step)
    return np.stack(p, axis=-1) if isinstance(y, np.ndarray) else stack_last(p)


@lru_cache(maxsize=64)
def _jacobi_coefficients(
    n: int, alpha: Fraction, beta: Fraction
) -> tuple[float, tuple[tuple[float, float, float], ...]]:
    """(p_0, ((a, b, c), ..)) of the orthonormal recursion, degrees 0 .. n-1.

    From the standard recursion (reference §3) and the norms
    h_k = 2^(s+1)/(2k+s+1) Gamma(k+alpha+1) Gamma(k+beta+1) / (k! Gamma(k+s+1)), s = alpha + beta,
    of which only ratios are needed, and those are rational.
    """
    s = alpha + beta
    log_norm = (
        float(s + 1) * math.log(2)
        + math.lgamma(float(alpha + 1))
        + math.lgamma(float(beta + 1))
        - math.lgamma(float(s + 2))
    )
    h = [Fraction(1)]  # h_k / h_0
    steps = []
    for k in range(1, n):
        if k == 1:  # written apart: the general form is 0/0 for alpha + beta = 0 and -1
            a, b, c = (s + 2) / 2, (alpha + 1) - (s + 2) / 2, Fraction(0)
            h.append((alpha + 1) * (beta + 1) / (s + 3))
        else:
            scale = (2 * k + s - 1) / (2 * k * (k + s) * (2 * k + s - 2))
            a = (2 * k + s) * (2 * k + s - 2) * scale
            b = (alpha**2 - beta**2) * scale
            c = -(k + alpha - 1) * (k + beta - 1) * (2 * k + s)
            c = c / (k * (k + s) * (2 * k + s - 2))
            ratio = (2 * k + s - 1) / (2 * k + s + 1) * (k + alpha) * (k + beta) / (k * (k + s))
            h.append(h[-1] * ratio)
        one = math.sqrt(h[k - 1] / h[k])
        two = math.sqrt(h[k - 2] / h[k]) if k > 1 else 0.0
        steps.append((float(a) * one, float(b) * one, float(c) * two))
    return math.exp(-log_norm / 2), tuple(steps)
