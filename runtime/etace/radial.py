"""Polynomial bases of one variable, the raw material of radial functions.

Every basis: y of any shape -> [..., N], the polynomial of lowest degree first, in the dtype of y;
numpy for numpy arrays, else JAX.
`times` (an envelope): [...], a factor of all of them, which recursions carry along at no cost.
Three-term recursions with coefficients that are exact (fractions) until they are rounded once.
"""

import math
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.errors import ParameterError

Steps = tuple[tuple[float, float, float], ...]
Times = jax.Array | None


def chebyshev(y: jax.Array, n: int, times: Times = None) -> jax.Array:
    """Chebyshev polynomials of the first kind, T_0 .. T_{n-1}: cos(k arccos y), not normalised.

    y: [...], in [-1, 1]; result: [..., n]
    """
    _check(n)
    return _recursion(y, 1.0, ((1.0, 0.0, 0.0), *[(2.0, 0.0, -1.0)] * (n - 2)), n, times)


def legendre(y: jax.Array, n: int, times: Times = None) -> jax.Array:
    """Legendre polynomials, orthonormal on [-1, 1]: sqrt((2k+1)/2) P_k, k = 0 .. n-1.

    y: [...], in [-1, 1]; result: [..., n]
    """
    return jacobi(y, n, 0, 0, times)


def jacobi(y: jax.Array, n: int, alpha: float, beta: float, times: Times = None) -> jax.Array:
    """Jacobi polynomials of degrees 0 .. n-1, orthonormal in the weight (1-y)^alpha (1+y)^beta.

    y: [...], in [-1, 1]; result: [..., n]. alpha, beta > -1, else ParameterError.
    """
    _check(n)
    if not (alpha > -1 and beta > -1):
        raise ParameterError(f"jacobi needs alpha, beta > -1, found {alpha} and {beta}")
    first, coefficients = _jacobi_coefficients(n, Fraction(alpha), Fraction(beta))
    return _recursion(y, first, coefficients, n, times)


def monomial(y: jax.Array, n: int, times: Times = None) -> jax.Array:
    """Powers 1, y .. y^(n-1). y: [...]; result: [..., n]"""
    _check(n)
    return _recursion(y, 1.0, ((1.0, 0.0, 0.0),) * (n - 1), n, times)


def recursion(kind: str, n: int, *parameters: float) -> tuple[float, Steps]:
    """(p_0, ((a, b, c), ..)) with p_k = (a y + b) p_{k-1} + c p_{k-2}, of n polynomials.

    kind: chebyshev, legendre, jacobi or monomial; `bernstein` has none. parameters: alpha, beta of jacobi
    """
    if kind in ("legendre", "jacobi"):
        alpha, beta = parameters or (0, 0)
        return _jacobi_coefficients(n, Fraction(alpha), Fraction(beta))
    again = {"chebyshev": (2.0, 0.0, -1.0), "monomial": (1.0, 0.0, 0.0)}[kind]
    return 1.0, ((1.0, 0.0, 0.0), *[again] * (n - 2))[: n - 1]


def bernstein(y: jax.Array, n: int, times: Times = None) -> jax.Array:
    """Bernstein polynomials of degree n-1 in t = (1+y)/2: binom(n-1, k) t^k (1-t)^(n-1-k).

    y: [...], in [-1, 1]; result: [..., n], k = 0 .. n-1; they are positive and their sum is 1.
    """
    _check(n)
    xp = np if isinstance(y, np.ndarray) else jnp
    up, down = [xp.ones_like(y) if times is None else times], [xp.ones_like(y)]
    for _ in range(n - 1):  # products, not powers: the derivative of t^k at t = 0 stays finite
        up.append(up[-1] * ((1 + y) / 2))
        down.append(down[-1] * ((1 - y) / 2))
    p = xp.stack([math.comb(n - 1, k) * up[k] * down[n - 1 - k] for k in range(n)])
    return xp.moveaxis(p, 0, -1)


def _check(n: int) -> None:
    if n < 1:
        raise ParameterError(f"a polynomial basis needs at least one function, found {n}")


def _recursion(y: Any, first: float, steps: Steps, n: int, times: Times) -> Any:
    """p_0 = first, p_k = (a y + b) p_{k-1} + c p_{k-2} with (a, b, c) = steps[k-1]: [..., n]."""
    steps = tuple(steps[: n - 1])
    if isinstance(y, np.ndarray):
        one = np.ones_like(y) if times is None else np.asarray(times)
        return np.moveaxis(np.stack(_polynomials(one, y, first, steps)), 0, -1)
    p = _in_front(jnp.asarray(y), first, steps)
    return jnp.moveaxis(p if times is None else times[None] * p, 0, -1)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _in_front(y: jax.Array, first: float, steps: Steps) -> jax.Array:
    """[n, ...]: stacked in front, where rows are copied whole.

    The derivatives are sums of the polynomials themselves, one matrix product instead of a long
    recursion backwards.
    """
    return jnp.stack(_polynomials(jnp.ones_like(y), y, first, steps))


def _polynomials(one: Any, y: Any, first: float, steps: Steps) -> list[Any]:
    p = [first * one]
    for k, (a, b, c) in enumerate(steps, start=1):
        step = (a * y + b) * p[-1] if b else a * y * p[-1]
        p.append(step + c * p[-2] if k > 1 and c else step)
    return p


@_in_front.defjvp
def _in_front_jvp(
    first: float, steps: Steps, at: tuple[jax.Array], along: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    p = _in_front(at[0], first, steps)
    D = jnp.asarray(_derivatives(steps), p.dtype)
    slopes = jnp.matmul(D, p.reshape(len(p), -1), precision=jax.lax.Precision.HIGHEST)
    return p, along[0][None] * slopes.reshape(p.shape)


@lru_cache(maxsize=64)
def _derivatives(steps: Steps) -> np.ndarray:
    """dp_k/dy = sum_r D[k, r] p_r: [n, n], from the recursion and y p_r in terms of p."""
    n = len(steps) + 1
    D = np.zeros((n, n))
    for k, (a, b, c) in enumerate(steps, start=1):
        D[k, k - 1] += a
        for r in range(k - 1):  # (a y + b) p_r, y p_r = (p_{r+1} - b' p_r - c' p_{r-1}) / a'
            a1, b1, c1 = steps[r]
            D[k, r + 1] += D[k - 1, r] * a / a1
            D[k, r] += D[k - 1, r] * (b - b1 * a / a1)
            if r:
                D[k, r - 1] -= D[k - 1, r] * c1 * a / a1
        if k > 1:
            D[k] += c * D[k - 2]
    return D


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
