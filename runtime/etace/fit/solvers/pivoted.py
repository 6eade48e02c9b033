"""Rank-revealing QR with pivoting: the columns that matter first, the dependent ones last."""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, solve_triangular

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.figures import figures


def rrqr(
    system: System,
    validation: System | None = None,
    *,
    rtol: float = 1e-12,
    solution: str = "minimum_norm",
) -> Solution:
    """Least squares on the rank where |T_kk| > rtol |T_11|, T the pivoted triangle of R.

    solution: minimum_norm, the shortest c; basic, c = 0 for the columns beyond the rank. Both
    predict the same for the training rows. Deterministic (LAPACK's geqp3), unlike upstream's.
    """
    Q, T, order = qr(system.R, mode="economic", pivoting=True)
    size = np.abs(np.diag(T))
    r = int((size > rtol * size.max(initial=0.0)).sum())
    T, b = T[:r], Q[:, :r].T @ system.z
    c = np.zeros(system.R.shape[1])
    if solution == "basic":
        c[order[:r]] = solve_triangular(T[:, :r], b)
    else:
        W, L = np.linalg.qr(T.T)  # T = L^T W^T
        c[order] = W @ solve_triangular(L, b, trans="T")
    return Solution(c, None, {"rank": float(r), **figures(system, c, validation)})
