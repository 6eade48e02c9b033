"""Orthogonal matching pursuit: one column after the other, each the one that fits the residual best."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.choice import choose

DEPENDENT = 1e-10  # what is left of a column, at least, to be one of its own


def omp(
    system: System,
    validation: System | None = None,
    *,
    size: int | None = None,
    within: float = 1.0,
    max_size: int | None = None,
) -> Solution:
    """The next column has the largest |A_i . residual|, in the scaled unknowns, so that the prior
    counts; c is the least-squares solution on the columns so far.

    size, within: which of the path to take, see `choice`; max_size: where the path ends.
    """
    return choose(system, validation, _path(system, max_size or size), size, within)


def _path(system: System, end: int | None) -> list[np.ndarray]:
    R, z = system.R, system.z.copy()
    P = R.shape[1]
    Q, T, b = np.zeros((len(R), P)), np.zeros((P, P)), np.zeros(P)
    norms = np.linalg.norm(R, axis=0)
    open_ = norms > 0
    chosen: list[int] = []
    out = [np.zeros(P)]
    while open_.any() and len(chosen) < (P if end is None else end):
        i = int(np.argmax(np.where(open_, np.abs(R.T @ z), -1.0)))
        open_[i] = False
        k = len(chosen)
        v, h = R[:, i].copy(), np.zeros(k)
        for _ in range(2):  # twice is enough (Kahan, Parlett)
            d = Q[:, :k].T @ v
            v, h = v - Q[:, :k] @ d, h + d
        left = float(np.linalg.norm(v))
        if left <= DEPENDENT * norms[i]:
            continue
        Q[:, k], T[:k, k], T[k, k] = v / left, h, left
        b[k] = Q[:, k] @ z
        z -= b[k] * Q[:, k]
        chosen.append(i)
        c = np.zeros(P)
        c[chosen] = solve_triangular(T[: k + 1, : k + 1], b[: k + 1])
        out.append(c)
    return out
