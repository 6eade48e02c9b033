"""Radials as cubic splines of y: an option of the inference form; exact radials are the default.

Uniform knots on [-1, 1], Hermite cubics with the exact slopes at the knots: of order h^4, at most
h^4/384 times the fourth derivative, and free of the end conditions that dominate the error of natural
splines (reference §4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev as cheb

from etace.errors import ParameterError

if TYPE_CHECKING:
    from etace.inference.shells import Shell

PROBES = 8  # points per cell at which the error is measured


@dataclass(frozen=True)
class SplineError:
    """Largest errors over y in [-1, 1] and all radials and bonds of a shell, and the largest values."""

    shell: str
    knots: int
    value: float
    largest: float
    slope: float
    steepest: float

    def __str__(self) -> str:
        return (
            f"{self.shell}: splines with {self.knots} knots are off by {self.value:.1e} of "
            f"{self.largest:.3g}, their slopes in y by {self.slope:.1e} of {self.steepest:.3g}"
        )


def splined(
    shell: Shell, name: str, matrices: Any, knots: int
) -> tuple[dict[str, Any], SplineError]:
    """Coefficients [species, species, 4, rows, cells] of a shell's radials, and their error.

    matrices: of `Shell.freeze`, numpy. Raises ParameterError: fewer than 2 knots.
    """
    if knots < 2:
        raise ParameterError(f"a spline needs at least 2 knots, found {knots}")
    rows = matrices.shape[2] // 2
    y = np.linspace(-1, 1, knots)
    value, slope = _evaluate(matrices, y, rows)
    h = 2 / (knots - 1)
    f, g, df, dg = value[..., :-1], value[..., 1:], h * slope[..., :-1], h * slope[..., 1:]
    c = np.stack([f, df, -3 * f + 3 * g - 2 * df - dg, 2 * f - 2 * g + df + dg], axis=2)
    fine = np.linspace(-1, 1, PROBES * (knots - 1) + 1)
    exact = _evaluate(matrices, fine, rows)
    cell = np.minimum(((fine + 1) / h).astype(int), knots - 2)
    t = (fine + 1) / h - cell
    p = c[..., cell]
    found = p[:, :, 0] + t * (p[:, :, 1] + t * (p[:, :, 2] + t * p[:, :, 3]))
    slopes = (p[:, :, 1] + t * (2 * p[:, :, 2] + 3 * t * p[:, :, 3])) / h
    off, tilted = np.abs(found - exact[0]).max(), np.abs(slopes - exact[1]).max()
    error = SplineError(
        name, knots, float(off), float(np.abs(exact[0]).max()),
        float(tilted), float(np.abs(exact[1]).max()),
    )  # fmt: skip
    return {"spline": c.astype(matrices.dtype)}, error


def _evaluate(matrices: np.ndarray, y: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Radials and their slopes in y: [species, species, rows, points]."""
    T = cheb.chebvander(y, matrices.shape[-1])
    stack = np.stack([T[:, k % 4] * T[:, k - k % 4] for k in range(matrices.shape[-1])])
    values = matrices.astype(np.float64) @ stack
    return values[:, :, :rows], values[:, :, rows:]


def interpolate(c: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Radials and their slopes in y. c: [4, rows, cells]; y: [K, B]; result: [rows, K, B] each"""
    cells = c.shape[-1]
    h = 2 / cells
    at = (jnp.clip(y, -1, 1) + 1) / h
    cell = jnp.clip(at.astype(jnp.int32), 0, cells - 1)
    t = (at - cell.astype(y.dtype))[None]
    p = [c[k].at[:, cell].get(mode="promise_in_bounds") for k in range(4)]
    value = p[0] + t * (p[1] + t * (p[2] + t * p[3]))
    return value, (p[1] + t * (2 * p[2] + 3 * t * p[3])) * (1 / h)
